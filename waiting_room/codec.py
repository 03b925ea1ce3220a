"""A session as bytes, and back. Pure.

A stored value is its own revision (16 hexadecimal digits of BLAKE2b over the rest) followed by one
JSON object. Equal sessions give equal bytes, so the revision names the content: whoever holds a
session knows, without asking, under which revision it must be stored for nothing to have changed.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from .errors import KonsilError
from .session import Session

FORMAT: Final = 4  # another number for every change of the fields of Session or Participant
REVISION_LENGTH: Final = 16


class CodecError(KonsilError):
    """Bytes that are not a session of this format."""


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    session: Session


_decode: Final = msgspec.json.Decoder(_Stored).decode


def encode(session: Session) -> bytes:
    body = msgspec.json.encode(_Stored(FORMAT, session))
    return _revision(body) + body


def decode(stored: bytes) -> Session:
    """The session of `encode`; CodecError for anything that it would have written otherwise."""
    body = stored[REVISION_LENGTH:]
    if stored[:REVISION_LENGTH] != _revision(body):
        raise CodecError("a stored session does not match its revision")
    try:
        content = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
        raise CodecError(f"a stored session cannot be read: {exc}") from exc
    if content.format != FORMAT or msgspec.json.encode(content) != body:
        raise CodecError("a stored session is of another format")
    return content.session


def revision(session: Session) -> bytes:
    return encode(session)[:REVISION_LENGTH]


def _revision(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=REVISION_LENGTH // 2).hexdigest().encode("ascii")
