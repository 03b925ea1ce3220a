"""A guard in front of the HTTP server: it sees every byte first (RFC 9112), without sockets.

Only whole, well-formed requests pass: a request is forwarded in one piece when its head and body
are complete, so that a slow or broken one costs the server behind nothing. One request is under
way at a time: pipelined bytes are held (bounded) until `answered`. After a WebSocket upgrade
request they are held until `upgraded` (the server switched) or `answered` (it refused, and the
connection ends); so nothing unseen ever reaches the HTTP parser.

HTTP/1.0 is taken, with a Host and for one request only: some proxies' health checks speak it.

States: HEAD -> BODY -> ANSWERING -> HEAD …, ANSWERING -> UPGRADED, any -> CLOSED.

The shell must call `answered` once each response has been handed to the transport.
"""

from __future__ import annotations

import re
from enum import Enum
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

from signaling.request_head import BadRequest, parse_fields, parse_request_line

MAX_HEAD: Final = 8192  # bytes, with the empty line
MAX_BODY: Final = 65_536
MAX_HELD: Final = MAX_HEAD + MAX_BODY  # pipelined bytes; beyond it the connection is dropped
REQUEST_DEADLINE: Final = 10.0  # seconds for head and body, from the first byte (or the accept)
IDLE_DEADLINE: Final = 75.0  # seconds between an answer and the next request
HURRIED_IDLE_DEADLINE: Final = 5.0  # the same, where few connections are left to have

_loose_line_end: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)(?!\Z)").search
_UPPER: Final = range(ord("A"), ord("Z") + 1)


class Forward(Struct, frozen=True, gc=False):
    """One whole request for the HTTP server (in UPGRADED: any bytes)."""

    data: bytes


class Reject(Struct, frozen=True, gc=False):
    """Write `data` (a whole response with `Connection: close`), then close.

    `code` is one of docs/protocol.md section 6.
    """

    status: int
    code: str
    data: bytes


class Hangup(Struct, frozen=True, gc=False):
    """Close without a word."""


Output = Forward | Reject | Hangup


class State(Enum):
    HEAD = "head"
    BODY = "body"
    ANSWERING = "answering"
    UPGRADED = "upgraded"
    CLOSED = "closed"


class RequestGuard:
    """`headers`: security headers for the guard's own answers, each line ended by CRLF."""

    __slots__ = (
        "_buffer",
        "_deadline",
        "_headers",
        "_idle_since",
        "_last",
        "_line",
        "_need",
        "_scanned",
        "_upgrade",
        "state",
    )

    def __init__(self, now: float, headers: bytes = b"") -> None:
        self.state = State.HEAD
        self._headers = headers
        self._buffer: bytearray | None = None
        self._deadline = now + REQUEST_DEADLINE
        self._idle_since: float | None = None  # between two requests
        self._line = 0  # length of the request line with its CRLF, once it has been checked
        self._scanned = 0  # bytes of the head that hold no end of it
        self._need = 0  # bytes of the request in all, once its head has been checked
        self._last = False  # the connection ends with this answer
        self._upgrade = False

    def receive_data(self, data: bytes, now: float) -> list[Output]:
        """Any piece of the stream. Never raises."""
        if self.state is State.UPGRADED:
            return [Forward(data)]
        if self.state is State.CLOSED or not data:
            return []
        if self._buffer is None:
            self._buffer = bytearray(data)
            if self.state is State.HEAD:
                self._idle_since = None
                self._deadline = now + REQUEST_DEADLINE
        else:
            self._buffer += data
        if self.state is State.ANSWERING:
            return self._end(Hangup()) if len(self._buffer) > MAX_HELD else []
        return self._advance(self._buffer)

    def answered(self, now: float) -> list[Output]:
        """The response is with the transport; the next request, if it is here already, comes out.

        After the last one (HTTP/1.0, `Connection: close`, a refused upgrade) it is Hangup.
        """
        if self.state is not State.ANSWERING:
            return []
        if self._last:
            return self._end(Hangup())
        self.state = State.HEAD
        if self._buffer is None:
            self._idle_since = now
            self._deadline = now + IDLE_DEADLINE
            return []
        self._deadline = now + REQUEST_DEADLINE
        return self._advance(self._buffer)

    def upgraded(self) -> bytes:
        """The server has switched protocols (101): UPGRADED. Gives bytes that came too early, which
        belong to the WebSocket."""
        assert self.state is State.ANSWERING, self.state
        assert self._upgrade, "not an upgrade request"
        early = b"" if self._buffer is None else bytes(self._buffer)
        self._buffer = None
        self.state = State.UPGRADED
        return early

    def hurry(self) -> None:
        """Others want to connect: if the connection is idle, it may be so for a shorter time."""
        if self._idle_since is not None:
            self._deadline = min(self._deadline, self._idle_since + HURRIED_IDLE_DEADLINE)

    def next_timeout(self) -> float | None:
        """When handle_timer is due; None while a request is being answered, or after the end."""
        return self._deadline if self.state in (State.HEAD, State.BODY) else None

    def handle_timer(self, now: float) -> list[Output]:
        """408 for a request that is not complete in time; Hangup for an idle connection."""
        due = self.next_timeout()
        if due is None or now < due:
            return []
        if self._buffer is None:
            return self._end(Hangup())
        return self._refuse(HTTPStatus.REQUEST_TIMEOUT, "bad_request", "not complete within 10 s")

    def _advance(self, buffer: bytearray) -> list[Output]:
        """HEAD or BODY, with something in `buffer`."""
        if self.state is State.HEAD:
            try:
                if not self._check_head(buffer):
                    return []
            except BadRequest as refusal:
                return self._refuse(HTTPStatus.BAD_REQUEST, "bad_request", str(refusal))
            if self._need - self._scanned > MAX_BODY:
                detail = f"the body is longer than {MAX_BODY} bytes"
                return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
            self.state = State.BODY
        if len(buffer) < self._need:
            return []
        request = bytes(buffer[: self._need])
        del buffer[: self._need]
        if not buffer:
            self._buffer = None
        self._line = self._scanned = self._need = 0
        self.state = State.ANSWERING
        # More than this may have come with the request's own last bytes.
        if len(buffer) > MAX_HELD:
            return self._end(Hangup())
        return [Forward(request)]

    def _check_head(self, buffer: bytearray) -> bool:
        """Whether the head is complete. What is wrong with it is refused as early as it shows."""
        if not self._line:
            if buffer[0] not in _UPPER:  # a TLS hello, an empty line, anything but a method
                raise BadRequest("not an HTTP request")
            feed = buffer.find(b"\n", self._scanned, MAX_HEAD)
            if feed < 0:
                self._check_size(buffer)
                self._scanned = len(buffer)
                return False
            version_1_0 = parse_request_line(bytes(buffer[: feed + 1]))
            self._last = version_1_0
            self._line = feed + 1
            self._scanned = feed - 1
        end = buffer.find(b"\r\n\r\n", self._scanned, MAX_HEAD)
        if end < 0:
            if _loose_line_end(buffer, self._scanned, min(len(buffer), MAX_HEAD)):
                raise BadRequest("a line that does not end in CR LF")
            self._check_size(buffer)
            self._scanned = max(self._scanned, len(buffer) - 3)
            return False
        fields = parse_fields(bytes(buffer[self._line : end + 2]))
        self._upgrade = fields.upgrade
        if fields.upgrade and (self._last or not buffer.startswith(b"GET ")):
            raise BadRequest("only a GET request of HTTP/1.1 can be upgraded")
        self._last = self._last or fields.last or fields.upgrade
        self._scanned = end + 4
        self._need = end + 4 + fields.content_length
        return True

    def _check_size(self, buffer: bytearray) -> None:
        if len(buffer) >= MAX_HEAD:
            raise BadRequest(f"the head is longer than {MAX_HEAD} bytes")

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> list[Output]:
        return self._end(Reject(status, code, problem(status, code, detail, self._headers)))

    def _end(self, output: Output) -> list[Output]:
        self.state = State.CLOSED
        self._buffer = None
        return [output]


def problem(status: HTTPStatus, code: str, detail: str, headers: bytes) -> bytes:
    """A whole response with an RFC 9457 document, after which the connection closes."""
    body = msgspec.json.encode(
        {
            "type": "about:blank",
            "title": status.phrase,
            "status": int(status),
            "code": code,
            "detail": detail,
        }
    )
    return (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n"
    ).encode() + b"%b\r\n%b" % (headers, body)
