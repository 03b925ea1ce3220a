"""A guard in front of the HTTP server: it sees every byte first (RFC 9112), without sockets.

Only whole, well-formed HTTP/1.0 or 1.1 requests pass: a request is forwarded in one piece when
its head and body are complete, so that a slow or broken one costs the server behind nothing.
One request is under way at a time: pipelined bytes are held (bounded) until `answered`.
After a WebSocket upgrade request they are held until `upgraded` (the server switched) or
`answered` (it refused); so nothing unseen ever reaches the HTTP parser.

States: HEAD -> BODY -> ANSWERING -> HEAD …, ANSWERING -> UPGRADED, any -> CLOSED.

The shell must call `answered` once each response has been handed to the transport.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

MAX_HEAD: Final = 8192  # bytes, with the empty line
MAX_BODY: Final = 65_536
MAX_HELD: Final = MAX_HEAD + MAX_BODY  # pipelined bytes; beyond it the connection is refused
REQUEST_DEADLINE: Final = 10.0  # seconds for head and body, from the first byte (or the accept)
IDLE_DEADLINE: Final = 75.0  # seconds between an answer and the next request


class Forward(Struct, frozen=True, gc=False):
    """One whole request for the HTTP server."""

    data: bytes


class Reject(Struct, frozen=True, gc=False):
    """Write `data` (a whole response with `Connection: close`), then close. `code` as in section 6."""

    status: int
    code: str
    data: bytes


class Hangup(Struct, frozen=True, gc=False):
    """Close without a word: nothing was asked."""


Output = Forward | Reject | Hangup


class State(Enum):
    HEAD = "head"
    BODY = "body"
    ANSWERING = "answering"
    UPGRADED = "upgraded"
    CLOSED = "closed"


class RequestGuard:
    """`headers`: security headers for the guard's own answers, each line ended by CRLF."""

    __slots__ = ("_buffer", "_deadline", "_headers", "_need", "_scanned", "_upgrade", "state")

    state: State

    def __init__(self, now: float, headers: bytes = b"") -> None:
        raise NotImplementedError

    def receive_data(self, data: bytes, now: float) -> list[Output]:
        """Any piece of the stream. In UPGRADED it must not be called: the bytes are frames."""
        raise NotImplementedError

    def answered(self, now: float) -> list[Output]:
        """The response is with the transport; the next request, if it is already here, comes out."""
        raise NotImplementedError

    def upgraded(self) -> bytes:
        """The server has switched protocols (101): UPGRADED. Gives bytes that came too early, which
        belong to the WebSocket."""
        raise NotImplementedError

    def next_timeout(self) -> float | None:
        """When handle_timer is due; None while a request is being answered, or after the end."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> list[Output]:
        """408 for a request that is not complete in time; Hangup for an idle connection."""
        raise NotImplementedError
