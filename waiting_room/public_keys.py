"""The public halves of all signing keys there ever were, for what is verified years later.

`state_dir/public-keys/{kid}.pub`, 32 bytes in base64url. A signing key goes when its last link has
expired; what it has signed for somebody's records must be verifiable as long as these are kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import ownership
from .errors import UnusableError
from .signatures import from_base64url, to_base64url

_KID: Final = re.compile(r"[A-Za-z0-9_-]{16}")
KEYS_MAX: Final = 10_000  # files looked at


def key_id(public: Ed25519PublicKey) -> str:
    """The first 96 bits of SHA-256 of the public key, base64url."""
    return to_base64url(hashlib.sha256(public.public_bytes_raw()).digest()[:12])


def key_of(text: str) -> Ed25519PublicKey | None:
    """The key written so; None for anything else."""
    raw = from_base64url(text)
    return Ed25519PublicKey.from_public_bytes(raw) if raw is not None and len(raw) == 32 else None


class PublicKeys:
    """Those of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "public-keys"

    def remember(self, keys: Iterable[Ed25519PublicKey]) -> None:
        """Raises ConfigError when the directory cannot be written."""
        try:
            for key in keys:
                path = self._directory / f"{key_id(key)}.pub"
                if not path.exists():
                    self._write(path, to_base64url(key.public_bytes_raw()))
        except OSError as exc:
            raise UnusableError(
                f"KONSIL_STATE_DIR: cannot write to {self._directory}: {exc.strerror}"
            ) from exc

    def find(self, kid: str) -> Ed25519PublicKey | None:
        """One of ours, by id; a file that does not hold the key of its name is none."""
        if _KID.fullmatch(kid) is None:
            return None
        try:
            found = key_of((self._directory / f"{kid}.pub").read_text("ascii").strip())
        except (OSError, ValueError):
            return None
        return found if found is not None and key_id(found) == kid else None

    def all(self) -> dict[str, Ed25519PublicKey]:
        """By id."""
        try:
            names = sorted(os.listdir(self._directory))[:KEYS_MAX]
        except OSError:
            return {}
        kids = (name.removesuffix(".pub") for name in names if name.endswith(".pub"))
        found = ((kid, self.find(kid)) for kid in kids)
        return {kid: key for kid, key in found if key is not None}

    def _write(self, path: Path, text: str) -> None:
        ownership.check(path, self._directory.parent)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text + "\n")
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
