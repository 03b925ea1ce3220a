"""The VP8 payload descriptor and the clear beginning of a frame (RFC 7741 §4.2 and §4.3).

Frames are encrypted end to end: only the descriptor, which is the packetizer's, and the first ten
bytes of a key frame or three of another are in the clear. Nothing else is looked at.
"""

from __future__ import annotations

_KEY_FRAME_START = b"\x9d\x01\x2a"


class Vp8Descriptor:
    """What `parse` found in the last payload.

    Offsets count from the payload's start and are 0 where the field is absent (the first byte is
    none of them). `tid` is 0 and `sync` False without temporal layers.
    """

    __slots__ = (
        "begins", "key", "key_index", "key_index_at", "length", "picture_id", "picture_id_at",
        "picture_id_mask", "sync", "tid", "tl0", "tl0_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begins = False  # first packet of a frame
        self.key = False  # first packet of a key frame
        self.picture_id = 0
        self.picture_id_at = 0
        self.picture_id_mask = 0x7FFF  # 15 bits, or 0x7F
        self.tl0 = 0
        self.tl0_at = 0
        self.tid = 0
        self.sync = False
        self.key_index = 0
        self.key_index_at = 0
        self.length = 0

    def parse(self, data: bytes, start: int, end: int) -> bool:
        """Take the payload `data[start:end]`; False when it is too short for what it announces,
        or carries nothing behind the descriptor."""
        if end - start < 2:
            return False
        first = data[start]
        self.begins = first & 0x17 == 0x10  # S, and partition index 0
        self.picture_id_at = self.tl0_at = self.key_index_at = self.tid = 0
        self.sync = False
        at = start + 1
        if first & 0x80:
            flags = data[at]
            at += 1
            # What the flags announce, and a byte of payload, must be there.
            size = (1 if flags & 0x80 else 0) + (1 if flags & 0x40 else 0)
            size += 1 if flags & 0x30 else 0
            if at + size >= end:
                return False
            if flags & 0x80:
                self.picture_id_at = at - start
                value = data[at]
                at += 1
                if value & 0x80:
                    if at + size >= end:
                        return False
                    self.picture_id = (value & 0x7F) << 8 | data[at]
                    self.picture_id_mask = 0x7FFF
                    at += 1
                else:
                    self.picture_id = value
                    self.picture_id_mask = 0x7F
            if flags & 0x40:
                self.tl0_at = at - start
                self.tl0 = data[at]
                at += 1
            if flags & 0x30:
                value = data[at]
                if flags & 0x20:
                    self.tid = value >> 6
                    self.sync = value & 0x20 != 0
                if flags & 0x10:
                    self.key_index = value & 0x1F
                    self.key_index_at = at - start
                at += 1
        if at >= end:
            return False
        self.length = at - start
        self.key = self.begins and not data[at] & 1
        return True


def frame_size(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Width and height from the clear beginning of a key frame (RFC 6386 §9.1), which starts at
    `start` behind the descriptor; None when they are not there."""
    if end - start < 10 or data[start + 3 : start + 6] != _KEY_FRAME_START:
        return None
    width = (data[start + 6] | data[start + 7] << 8) & 0x3FFF
    height = (data[start + 8] | data[start + 9] << 8) & 0x3FFF
    return (width, height) if width and height else None
