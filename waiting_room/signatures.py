"""Signatures over what is no link: a sign-in, a receipt. Pure.

Each kind of statement has a label of its own, signed along with it, so that none can ever be taken
for another, nor for a link's token (whose signed text is base64url and begins with a brace).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .tokens import SigningKey, VerifyingKeys

_PREFIX: Final = b"konsil/1 "


def sign(label: str, body: bytes, key: SigningKey) -> bytes:
    """The Ed25519 signature (64 bytes) of `body` as a statement of the kind `label`."""
    return key.private.sign(_signed(label, body))


def is_signed(label: str, body: bytes, signature: bytes, public: Ed25519PublicKey) -> bool:
    try:
        public.verify(signature, _signed(label, body))
    except InvalidSignature:
        return False
    return True


def seal(label: str, body: bytes, key: SigningKey) -> str:
    """A statement of ours as one text: key id, body and signature."""
    return f"{key.kid}.{to_base64url(body)}.{to_base64url(sign(label, body, key))}"


def unseal(label: str, text: str, ring: VerifyingKeys, now: float, *, most: int) -> bytes | None:
    """The body of a statement that we have sealed under `label`; None for all others.

    `most`: characters that are looked at; `now`: seconds since 1970.
    """
    parts = text.split(".") if len(text) <= most else []
    if len(parts) != 3:
        return None
    public = ring.find(parts[0], now)
    body, signature = from_base64url(parts[1]), from_base64url(parts[2])
    if public is None or body is None or signature is None:
        return None
    return body if is_signed(label, body, signature, public) else None


def to_base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """Bytes of unpadded base64url in its one canonical spelling (RFC 4648); else None."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw if to_base64url(raw) == text else None


def _signed(label: str, body: bytes) -> bytes:
    return _PREFIX + label.encode("ascii") + b"\0" + body
