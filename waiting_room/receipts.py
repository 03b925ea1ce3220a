"""Receipts: statements signed by the server, for the records of those who were there. Pure.

A receipt is one JSON file in one spelling: what `encode` writes. `verify` takes nothing else, so a
changed byte, be it a blank, does not verify. Its key comes with it; whether that is one of ours
is for whoever has our keys to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .keys import Key
from .public_keys import key_id, key_of
from .signatures import from_base64url, is_signed, sign, to_base64url

RECEIPT_MAX: Final = 16_384  # bytes
DELETED: Final = (
    "At this time the server had looked for everything it holds under this session in its store, "
    "and found nothing: names, messages and codes of the session were deleted."
)

_LABEL: Final = "receipt"
_Text = Annotated[str, msgspec.Meta(max_length=8192)]


class Receipt(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What it says; members that do not apply are left out."""

    konsil_receipt: Literal["consent", "deletion"]
    server: _Text  # origin
    provider: _Text  # name
    session: _Text  # the room's id
    at: _Text  # ISO 8601 in UTC, whole seconds
    participant: _Text = ""  # consent: whose
    language: _Text = ""  # consent: of the text
    text: _Text = ""  # consent: what was agreed to
    text_sha256: _Text = ""  # consent: of the text in UTF-8, hexadecimal
    statement: _Text = ""  # deletion
    kid: _Text = ""
    public_key: _Text = ""  # base64url
    signature: _Text = ""  # base64url, Ed25519 over all the rest


class ReceiptError(Exception):
    """Why something is no receipt of anybody, in one line."""


@dataclass(frozen=True, slots=True)
class Verified:
    receipt: Receipt
    ours: bool  # signed by a key that is known here


_decode: Final = msgspec.json.Decoder(Receipt).decode


def time_of(now: float) -> str:
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(receipt: Receipt, key: Key) -> bytes:
    """The file of a receipt, signed with `key`."""
    unsigned = msgspec.structs.replace(
        receipt, kid=key.kid, public_key=to_base64url(key.public.public_bytes_raw()), signature=""
    )
    signature = sign(_LABEL, msgspec.json.encode(unsigned), key)
    return _file(msgspec.structs.replace(unsigned, signature=to_base64url(signature)))


def verify(file: bytes, find: Callable[[str], Ed25519PublicKey | None]) -> Verified:
    """What a file says, if no byte of it has been changed. Raises ReceiptError.

    `find` gives a public key of ours by id.
    """
    if len(file) > RECEIPT_MAX:
        raise ReceiptError("this is no receipt: it is too long")
    try:
        receipt = _decode(file)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise ReceiptError("this is no receipt of Konsil") from None
    if _file(receipt) != file:
        raise ReceiptError("this receipt has been changed: it is not as a server writes it")
    public, signature = key_of(receipt.public_key), from_base64url(receipt.signature)
    if public is None or signature is None or key_id(public) != receipt.kid:
        raise ReceiptError("this receipt has been changed: its key does not fit")
    unsigned = msgspec.structs.replace(receipt, signature="")
    if not is_signed(_LABEL, msgspec.json.encode(unsigned), signature, public):
        raise ReceiptError("this receipt has been changed: the signature does not fit")
    return Verified(receipt, ours=find(receipt.kid) == public)


def _file(receipt: Receipt) -> bytes:
    return msgspec.json.format(msgspec.json.encode(receipt), indent=2) + b"\n"
