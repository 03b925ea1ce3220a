"""Datagrams on a TCP stream: two bytes of length, then the datagram (RFC 4571, RFC 6544 §10.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_FRAME: Final = 4096  # bytes; media fits, and a longer frame is nothing we asked for


class BrokenStreamError(Exception):
    """A frame longer than any of ours: nothing after it can be believed."""


class Framer:
    """Cuts a stream into datagrams, wherever it was split. Holds less than one frame."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Take bytes and give every datagram they complete; raises BrokenStreamError.

        Empty frames are given, too; a view is good until the next `feed`.
        """
        data = self._buffer + data if self._buffer else data
        view = memoryview(data)
        start, end = 0, len(data)
        while end - start >= 2:
            size = data[start] << 8 | data[start + 1]
            if size > MAX_FRAME:
                raise BrokenStreamError
            if end - start - 2 < size:
                break
            yield view[start + 2 : start + 2 + size]
            start += 2 + size
        self._buffer = data[start:]


def frame(datagram: bytes | bytearray | memoryview) -> bytes:
    return len(datagram).to_bytes(2) + datagram
