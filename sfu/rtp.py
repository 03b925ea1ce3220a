"""RTP packets and their header extensions (RFC 3550 §5.1, RFC 8285).

One `RtpPacket` is filled again for every packet that comes in: the hot path makes no objects.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

HEADER_LENGTH = 12
_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_ONE_BYTE = 0xBEDE
_TWO_BYTE = 0x1000  # the low four bits are for the application (RFC 8285 §4.3)


class RtpPacket:
    """What `parse` found in the last packet: numbers, and offsets into `data`.

    The payload, without padding, is `data[start:end]`.
    """

    __slots__ = (
        "_extension", "_extension_end", "_two_byte", "data", "end", "marker", "payload_type",
        "sequence", "ssrc", "start", "timestamp",
    )  # fmt: skip

    def __init__(self) -> None:
        self.data = b""
        self.marker = False
        self.payload_type = 0
        self.sequence = 0
        self.timestamp = 0
        self.ssrc = 0
        self.start = 0
        self.end = 0
        self._extension = 0
        self._extension_end = 0
        self._two_byte = False

    def parse(self, data: bytes) -> bool:
        """Take a packet; False, and nothing usable, when it is not well-formed."""
        length = len(data)
        if length < HEADER_LENGTH:
            return False
        first, second, self.sequence, self.timestamp, self.ssrc = _FIXED.unpack_from(data)
        if first & 0xC0 != 0x80:
            return False
        start = HEADER_LENGTH + ((first & 0x0F) << 2)
        self._extension = self._extension_end = 0
        if first & 0x10:
            if start + 4 > length:
                return False
            profile, words = _EXTENSION.unpack_from(data, start)
            start += 4
            if profile == _ONE_BYTE or profile & 0xFFF0 == _TWO_BYTE:
                self._two_byte = profile != _ONE_BYTE
                self._extension = start
                self._extension_end = start + words * 4
            start += words * 4
        end = length
        if first & 0x20:
            padding = data[-1]
            if not padding:
                return False
            end -= padding
        if start > end:
            return False
        self.data = data
        self.marker = second > 0x7F
        self.payload_type = second & 0x7F
        self.start = start
        self.end = end
        return True

    def find(self, number: int) -> int:
        """Offset of the value of the extension with this id (1 to 255), or 0. Its length is
        `length_at` of that offset; a value of length 0 is not found."""
        at, end, data = self._extension, self._extension_end, self.data
        if self._two_byte:
            while at + 2 <= end:
                found = data[at]
                if not found:  # padding
                    at += 1
                    continue
                size = data[at + 1]
                if found == number:
                    return at + 2 if size and at + 2 + size <= end else 0
                at += 2 + size
            return 0
        while at < end:
            first = data[at]
            if not first:
                at += 1
                continue
            found = first >> 4
            if found == 15:  # what follows is not to be read (RFC 8285 §4.2)
                return 0
            if found == number:
                return at + 1 if at + 2 + (first & 15) <= end else 0
            at += 2 + (first & 15)
        return 0

    def length_at(self, at: int) -> int:
        """Length of the extension value at an offset that `find` gave."""
        before = self.data[at - 1]
        return before if self._two_byte else (before & 15) + 1

    def extension(self, number: int | None) -> bytes | None:
        """Value of the extension with this id, or None."""
        at = self.find(number) if number else 0
        return self.data[at : at + self.length_at(at)] if at else None

    def text(self, number: int | None) -> str:
        """Value of a MID or RID extension (RFC 8852 §3.1), "" when absent or not ASCII."""
        value = self.extension(number)
        return value.decode("ascii", "replace") if value else ""


def encode(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    *,
    marker: bool = False,
    extensions: Iterable[tuple[int, bytes]] = (),
    csrcs: Iterable[int] = (),
    padding: int = 0,
) -> bytes:
    """Bytes of a packet, as a page would send it. One-byte extensions where all of them fit into
    those, two-byte ones otherwise. Not for the hot path."""
    sources = b"".join(struct.pack("!I", csrc) for csrc in csrcs)
    elements = list(extensions)
    block = b""
    if elements:
        short = all(0 < number < 15 and 0 < len(value) <= 16 for number, value in elements)
        block = b"".join(
            bytes((number << 4 | len(value) - 1,) if short else (number, len(value))) + value
            for number, value in elements
        )
        block += bytes(-len(block) & 3)
        block = _EXTENSION.pack(_ONE_BYTE if short else _TWO_BYTE, len(block) // 4) + block
    first = 0x80 | (0x20 if padding else 0) | (0x10 if block else 0) | len(sources) // 4
    tail = bytes(padding - 1) + bytes((padding,)) if padding else b""
    header = _FIXED.pack(first, marker << 7 | payload_type, sequence, timestamp, ssrc)
    return header + sources + block + payload + tail
