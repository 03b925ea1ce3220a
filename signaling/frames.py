"""WebSocket framing of the server side (RFC 6455 section 5), without sockets.

Faults are values: the last event of a stream is then a `FrameError`, after the messages that
came before it, whatever way the stream was cut into chunks. After a `Close` or a `FrameError` the
decoder ignores everything.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from signaling.codes import INVALID_UTF8, PROTOCOL_ERROR, TOO_BIG, UNSUPPORTED_DATA
from signaling.masking import unmask

MAX_MESSAGE: Final = 65_536  # bytes of one message, over all its fragments
MAX_FRAGMENTS: Final = 64  # frames of one message; beyond it is refused with 1009

# RFC 6455 section 5.2.
FIN: Final = 0x80
RSV: Final = 0x70
MASKED: Final = 0x80
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
_TEXT_FIN: Final = FIN | TEXT
_KNOWN: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

_MAX_CONTROL: Final = 125
_NO_STATUS: Final = 1005
_SHORT: Final = Layout("!BB").pack
_MEDIUM: Final = Layout("!BBH").pack
_LONG: Final = Layout("!BBQ").pack


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


class _ViolationError(Exception):
    """Carries a FrameError up to receive_data."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.error = FrameError(code, reason)


class FrameDecoder:
    """Frames of one client. Idle, it holds no buffer; at most it holds one message and one frame's
    header and payload, so 2 x 64 KiB, and never more than has really arrived."""

    __slots__ = ("_buffer", "_fragments", "_need", "_parts", "closed")

    def __init__(self) -> None:
        self._buffer: bytearray | None = None  # an incomplete frame
        self._need = 0  # bytes _buffer must have before looking at it again is of use
        self._parts: bytearray | None = None  # earlier fragments of an incomplete message
        self._fragments = 0
        self.closed = False  # whether a Close or a FrameError has been given

    def receive_data(self, data: bytes) -> list[Event]:
        """Takes any piece of the stream, gives the events it completes. Never raises."""
        if self._buffer is None:
            # One whole text frame in one piece of up to 64 KiB: what a page's message looks like.
            size = len(data)
            if size > 6 and data[0] == _TEXT_FIN and not self.closed and self._parts is None:
                length = data[1] - MASKED  # negative when unmasked
                if length == 126:
                    length = data[2] << 8 | data[3]
                    if length > 125 and size == length + 8:
                        payload = unmask(data[4:8], data[8:])
                        if payload.isascii():
                            return [Text(payload)]
                elif length < 126 and size == length + 6:
                    payload = unmask(data[2:6], data[6:])
                    if payload.isascii():
                        return [Text(payload)]
            self._buffer = bytearray(data)
        else:
            self._buffer += data
        return self._drain(self._buffer)

    def _drain(self, buffer: bytearray) -> list[Event]:
        events: list[Event] = []
        try:
            while not self.closed:
                frame = self._take_frame(buffer)
                if frame is None:
                    break
                event = self._receive_frame(*frame)
                if event is not None:
                    events.append(event)
                    self.closed = type(event) is Close
        except _ViolationError as violation:
            events.append(violation.error)
            self.closed = True
        if self.closed:
            self._parts = None
        if self.closed or not buffer:
            self._buffer = None
            self._need = 0
        return events

    def _take_frame(self, buffer: bytearray) -> tuple[int, bytes] | None:
        """The first byte and the unmasked payload of the next frame, once it is all here.

        Everything a header can be refused for is refused before its payload is waited for.
        """
        size = len(buffer)
        if size < 2 or size < self._need:
            return None
        first = buffer[0]
        length = buffer[1] & 0x7F
        self._check_first_bytes(first, buffer[1])
        start = 2
        if length == 126:
            start = 4
            if size < start:
                return None
            length = int.from_bytes(buffer[2:4], "big")
            if length < 126:
                raise _ViolationError(PROTOCOL_ERROR, "length not in its shortest form")
        elif length == 127:
            start = 10
            if size < start:
                return None
            length = int.from_bytes(buffer[2:10], "big")
            if length < 65_536 or length >> 63:
                raise _ViolationError(PROTOCOL_ERROR, "length not in its shortest form")
        if length + (len(self._parts) if self._parts is not None else 0) > MAX_MESSAGE and not (
            first & CLOSE  # the control opcodes are those with this bit
        ):
            raise _ViolationError(TOO_BIG, "message too large")
        end = start + 4 + length
        if size < end:
            self._need = end
            return None
        payload = unmask(bytes(buffer[start : start + 4]), bytes(buffer[start + 4 : end]))
        del buffer[:end]
        self._need = 0
        return first, payload

    def _check_first_bytes(self, first: int, second: int) -> None:
        """RFC 6455 section 5.2, 5.4 and 5.5."""
        opcode = first & 0x0F
        if first & RSV:
            raise _ViolationError(PROTOCOL_ERROR, "reserved bit")
        if opcode not in _KNOWN:
            raise _ViolationError(PROTOCOL_ERROR, "reserved opcode")
        if not second & MASKED:
            raise _ViolationError(PROTOCOL_ERROR, "frame not masked")
        if opcode & CLOSE:
            if not first & FIN:
                raise _ViolationError(PROTOCOL_ERROR, "fragmented control frame")
            if second & 0x7F > _MAX_CONTROL:
                raise _ViolationError(PROTOCOL_ERROR, "control frame too long")
        elif opcode == CONTINUATION:
            if self._parts is None:
                raise _ViolationError(PROTOCOL_ERROR, "continuation of nothing")
            if self._fragments >= MAX_FRAGMENTS:
                raise _ViolationError(TOO_BIG, "too many fragments")
        elif self._parts is not None:
            raise _ViolationError(PROTOCOL_ERROR, "message inside a message")
        elif opcode == BINARY:
            raise _ViolationError(UNSUPPORTED_DATA, "text only")

    def _receive_frame(self, first: int, payload: bytes) -> Event | None:
        opcode = first & 0x0F
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        if opcode == CLOSE:
            return _close_of(payload)
        if not first & FIN:
            if self._parts is None:
                self._parts = bytearray()
                self._fragments = 0
            self._parts += payload
            self._fragments += 1
            return None
        if self._parts is not None:
            payload = bytes(self._parts + payload)
            self._parts = None
        if not payload.isascii():
            _decode(payload)
        return Text(payload)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _ViolationError(INVALID_UTF8, "not UTF-8") from None


def _close_of(payload: bytes) -> Close:
    """RFC 6455 section 5.5.1 and 7.4; codes 1012 to 1014 are IANA's."""
    if not payload:
        return Close(_NO_STATUS, "")
    if len(payload) < 2:
        raise _ViolationError(PROTOCOL_ERROR, "close code cut short")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise _ViolationError(PROTOCOL_ERROR, "invalid close code")
    return Close(code, _decode(payload[2:]))


def encode_text(payload: bytes) -> bytes:
    """A whole unmasked text frame."""
    length = len(payload)
    if length < 126:
        return _SHORT(_TEXT_FIN, length) + payload
    if length < 65_536:
        return _MEDIUM(_TEXT_FIN, 126, length) + payload
    return _LONG(_TEXT_FIN, 127, length) + payload


def encode_ping(payload: bytes = b"") -> bytes:
    """`payload` of at most 125 bytes."""
    return _control(PING, payload)


def encode_pong(payload: bytes) -> bytes:
    """`payload` of at most 125 bytes, those of the ping."""
    return _control(PONG, payload)


def encode_close(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to 123 bytes of UTF-8. 1005 stands for no code at all."""
    if code == _NO_STATUS:
        return _control(CLOSE, b"")
    text = reason.encode()[: _MAX_CONTROL - 2].decode(errors="ignore").encode()
    return _control(CLOSE, code.to_bytes(2, "big") + text)


def _control(opcode: int, payload: bytes) -> bytes:
    assert len(payload) <= _MAX_CONTROL
    return _SHORT(FIN | opcode, len(payload)) + payload


def encode_masked(opcode: int, payload: bytes, mask: bytes, *, fin: bool = True) -> bytes:
    """A client's frame (RFC 6455 section 5.3); the server's own tests and load clients use it."""
    first = (FIN if fin else 0) | opcode
    length = len(payload)
    if length < 126:
        head = _SHORT(first, MASKED | length)
    elif length < 65_536:
        head = _MEDIUM(first, MASKED | 126, length)
    else:
        head = _LONG(first, MASKED | 127, length)
    return head + mask + unmask(mask, payload)
