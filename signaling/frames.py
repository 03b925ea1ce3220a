"""WebSocket framing of the server side (RFC 6455 section 5), without sockets.

Faults are values: the last event of a stream is then a `FrameError`, after the messages that
came before it, whatever way the stream was cut into chunks. After a `Close` or a `FrameError` the
decoder ignores everything.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MAX_MESSAGE: Final = 65_536  # bytes of one message, over all its fragments
MAX_FRAGMENTS: Final = 64  # frames of one message; beyond it is refused with 1009


class Text(Struct, frozen=True, gc=False):
    """A whole text message: valid UTF-8, at most MAX_MESSAGE bytes."""

    payload: bytes


class Ping(Struct, frozen=True, gc=False):
    """To be answered by `encode_pong(payload)`."""

    payload: bytes


class Pong(Struct, frozen=True, gc=False):
    payload: bytes


class Close(Struct, frozen=True, gc=False):
    """The peer closes. `code` 1005 when it named none (RFC 6455 section 7.1.5)."""

    code: int
    reason: str


class FrameError(Struct, frozen=True, gc=False):
    """The peer broke the protocol: close with `code` and drop the connection."""

    code: int
    reason: str


Event = Text | Ping | Pong | Close | FrameError


class FrameDecoder:
    """Frames of one client. Idle, it holds no buffer."""

    __slots__ = ("_buffer", "_need", "_fragments", "_fragment_bytes", "_closed")

    def __init__(self) -> None: ...

    def receive_data(self, data: bytes) -> list[Event]:
        """Takes any piece of the stream, gives the events it completes. Never raises."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether a Close or a FrameError has been given."""
        raise NotImplementedError


def encode_text(payload: bytes) -> bytes:
    """A whole unmasked text frame."""
    raise NotImplementedError


def encode_ping(payload: bytes = b"") -> bytes:
    raise NotImplementedError


def encode_pong(payload: bytes) -> bytes:
    raise NotImplementedError


def encode_close(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to 123 bytes of UTF-8."""
    raise NotImplementedError


def encode_masked(opcode: int, payload: bytes, mask: bytes, *, fin: bool = True) -> bytes:
    """A client's frame (RFC 6455 section 5.3); the server's own tests and load clients use it."""
    raise NotImplementedError
