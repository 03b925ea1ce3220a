"""A time code in a picture: when a frame was made, and which one it is, as black and white blocks.

What arrives was encoded, sent, decoded; the blocks are large enough to come through that, and a
checksum tells a code that has not. Pure: bytes of a luma plane, no clock.

    bits 49..22  milliseconds of a clock that both ends share, modulo 2^28 (three days)
    bits 21..8   number of the frame, modulo 2^14
    bits 7..0    CRC-8 (polynomial 0x07) of the bits before, as six bytes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BLOCK: Final = 16
"""Pixels: a macroblock of VP8. One that is white in part turns grey where the encoder takes what
has changed of it for noise."""
COLUMNS: Final = 10
ROWS: Final = 5
WIDTH: Final = BLOCK * COLUMNS
HEIGHT: Final = BLOCK * ROWS
WHITE: Final = 235
BLACK: Final = 16
_MIDDLE: Final = (WHITE + BLACK) // 2
_CLEAR: Final = 40  # a block this near to grey is neither
_LAST: Final = COLUMNS * ROWS - 1
_CLOCK: Final = 1 << 28
_FRAMES: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class TimeCode:
    """`at_ms`: when the frame was made; `number`: of the frame."""

    at_ms: int
    number: int


def paint(luma: bytearray, stride: int, code: TimeCode) -> None:
    """Puts the code into the upper left corner of a plane with `stride` bytes per row."""
    body = code.at_ms % _CLOCK * _FRAMES + code.number % _FRAMES
    bits = body << 8 | _crc8(body)
    for row in range(ROWS):
        line = b"".join(
            bytes((WHITE if bits >> (_LAST - row * COLUMNS - column) & 1 else BLACK,)) * BLOCK
            for column in range(COLUMNS)
        )
        for y in range(row * BLOCK, (row + 1) * BLOCK):
            luma[y * stride : y * stride + WIDTH] = line


def read(luma: bytes | memoryview, stride: int) -> TimeCode | None:
    """The code, or None where there is none, or a damaged one."""
    if stride < WIDTH or len(luma) < stride * (HEIGHT - 1) + WIDTH:
        return None
    bits = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            at = (row * BLOCK + BLOCK // 2) * stride + column * BLOCK + BLOCK // 2
            above = at - stride
            level = (luma[at] + luma[at - 1] + luma[above] + luma[above - 1]) >> 2
            if abs(level - _MIDDLE) < _CLEAR:
                return None
            bits = bits << 1 | (level > _MIDDLE)
    body = bits >> 8
    if _crc8(body) != bits & 0xFF:
        return None
    return TimeCode(*divmod(body, _FRAMES))


def age_ms(code: TimeCode, now_ms: float) -> float:
    """How long ago it was made, by the same clock."""
    age = (now_ms - code.at_ms) % _CLOCK
    return age if age < _CLOCK / 2 else age - _CLOCK


def frames_between(former: int, latter: int) -> int:
    """How many numbers on; negative for one that comes from before."""
    step = (latter - former) % _FRAMES
    return step if step < _FRAMES // 2 else step - _FRAMES


def _crc8(body: int) -> int:
    crc = 0
    for byte in body.to_bytes(6, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
