"""Messages on a TCP or TLS stream (RFC 8489 §6.2.2, RFC 8656 §12.5), without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from turn.attributes import HEADER_LENGTH, MAGIC_COOKIE

_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class StunFrame:
    """One whole STUN message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ChannelFrame:
    """The payload of one ChannelData message; the view is good until the next `feed`."""

    number: int
    payload: memoryview


class BrokenStream(Exception):  # noqa: N818 - the peer's error, and the end of its connection
    """What came is neither a STUN message nor ChannelData, so nothing after it can be found."""


class Framer:
    """Cuts a stream into messages, wherever it was split.

    Holds at most one incomplete message, which is at most 65,555 bytes; a length is believed
    only as far as the bytes before it look like a message of ours.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def pending(self) -> int:
        """Bytes of a message that has begun and is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[StunFrame | ChannelFrame]:
        """Take bytes and give every message they complete; raises BrokenStream."""
        data = self._buffer + data if self._buffer else data
        view = memoryview(data)
        start = 0
        while True:
            size = self._frame_size(data, start)
            if size is None or start + size > len(data):
                break
            if data[start] & 0xC0:
                number = data[start] << 8 | data[start + 1]
                length = data[start + 2] << 8 | data[start + 3]
                yield ChannelFrame(number, view[start + 4 : start + 4 + length])
            else:
                yield StunFrame(data[start : start + size])
            start += size
        self._buffer = data[start:]

    @staticmethod
    def _frame_size(data: bytes, start: int) -> int | None:
        """Bytes of the message that starts here with its padding; None when that is not known."""
        have = len(data) - start
        if have == 0:
            return None
        if data[start] & 0xC0:
            # 01 begins ChannelData; whether the number is bound is for the data path to say.
            if data[start] & 0x80:
                raise BrokenStream
            if have < 4:
                return None
            length = data[start + 2] << 8 | data[start + 3]
            return 4 + (length + 3 & ~3)
        if have < 4:
            return None
        length = data[start + 2] << 8 | data[start + 3]
        if length & 3 or not _COOKIE.startswith(data[start + 4 : start + 8]):
            raise BrokenStream
        return HEADER_LENGTH + length
