"""`konsil verify-receipt FILE`: whether a receipt is as its server wrote it, and whose it is."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from konsil.errors import StartError
from waiting_room.public_keys import PublicKeys
from waiting_room.receipts import RECEIPT_MAX, Receipt, ReceiptError, verify

VERIFIED: Final = 0
CHANGED: Final = 1
UNKNOWN_KEY: Final = 2


def run(file: str, state_dir: Path, trusted: Sequence[str]) -> int:
    """Prints what the receipt says and whether it holds; gives the exit code.

    `file`: a path, or `-` for standard input. `trusted`: ids of keys besides those of `state_dir`.
    Raises StartError when the file cannot be read.
    """
    try:
        found = verify(_read(file), PublicKeys(state_dir).find)
    except ReceiptError as error:
        print(f"NOT VERIFIED: {error}")
        return CHANGED
    for name, text in lines(found.receipt):
        print(f"{name:12} {text}")
    if found.ours or found.receipt.kid in trusted:
        print("VERIFIED: signed by this server, and not changed since")
        return VERIFIED
    print(
        f"NOT KNOWN: not changed since it was signed by the key {found.receipt.kid}, which is not "
        f"one of {state_dir}. Compare it with {found.receipt.server}/api/v1/receipt-keys, then add "
        f"--trust {found.receipt.kid}"
    )
    return UNKNOWN_KEY


def lines(receipt: Receipt) -> list[tuple[str, str]]:
    """What it says, for reading; no line holds a character that moves the cursor."""
    shown = (
        ("receipt of", receipt.konsil_receipt),
        ("server", receipt.server),
        ("provider", receipt.provider),
        ("session", receipt.session),
        ("participant", receipt.participant),
        ("at", receipt.at),
        ("language", receipt.language),
        ("text", receipt.text),
        ("text sha256", receipt.text_sha256),
        ("statement", receipt.statement),
    )
    return [
        (name, "".join(c if c.isprintable() else " " for c in text)) for name, text in shown if text
    ]


def _read(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(RECEIPT_MAX + 1)
        with Path(file).open("rb") as opened:
            return opened.read(RECEIPT_MAX + 1)
    except OSError as error:
        raise StartError(f"cannot read {file}: {error.strerror}") from None
