"""Who somebody is in a room: docs/protocol.md section 2."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode


def base64url(data: bytes) -> str:
    """Without padding, as everything in the protocol."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Raises ValueError for any other spelling than `base64url`'s."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(data) != text:
        raise ValueError("not base64url")
    return data


def new_secret() -> str:
    return base64url(secrets.token_bytes(16))


def new_instance() -> str:
    return base64url(secrets.token_bytes(9))


def participant_id(room: str, secret: str) -> str:
    digest = hashlib.sha256(f"konsil/1 participant\0{room}\0{secret}".encode()).digest()
    return base64url(digest[:16])
