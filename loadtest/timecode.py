"""A time code in a picture: when a frame was made, and which one it is, as black and white blocks.

What arrives was encoded, sent, decoded; the blocks are large enough to come through that, and a
checksum tells a code that has not. Pure: bytes of a luma plane, no clock.

    bits 63..24  milliseconds of a clock that both ends share, modulo 2^40
    bits 23..8   number of the frame, modulo 2^16
    bits 7..0    CRC-8 (polynomial 0x07) of the seven bytes before
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BLOCK: Final = 16  # pixels: a macroblock of VP8, so that no block shares its quantisation
COLUMNS: Final = 16
ROWS: Final = 4
WIDTH: Final = BLOCK * COLUMNS
HEIGHT: Final = BLOCK * ROWS
WHITE: Final = 235
BLACK: Final = 16
_MIDDLE: Final = (WHITE + BLACK) // 2
_CLEAR: Final = 40  # a block this near to grey is neither
_CLOCK: Final = 1 << 40
_FRAMES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class TimeCode:
    """`at_ms`: when the frame was made; `number`: of the frame."""

    at_ms: int
    number: int


def paint(luma: bytearray, stride: int, code: TimeCode) -> None:
    """Puts the code into the upper left corner of a plane with `stride` bytes per row."""
    body = (code.at_ms % _CLOCK).to_bytes(5, "big") + (code.number % _FRAMES).to_bytes(2, "big")
    bits = int.from_bytes(body + bytes((_crc8(body),)), "big")
    for row in range(ROWS):
        line = b"".join(
            bytes((WHITE if bits >> (63 - row * COLUMNS - column) & 1 else BLACK,)) * BLOCK
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
    whole = bits.to_bytes(8, "big")
    if _crc8(whole[:7]) != whole[7]:
        return None
    return TimeCode(int.from_bytes(whole[:5], "big"), int.from_bytes(whole[5:7], "big"))


def age_ms(code: TimeCode, now_ms: float) -> float:
    """How long ago it was made, by the same clock."""
    age = (now_ms - code.at_ms) % _CLOCK
    return age if age < _CLOCK / 2 else age - _CLOCK


def frames_between(former: int, latter: int) -> int:
    """How many numbers on; negative for one that comes from before."""
    step = (latter - former) % _FRAMES
    return step if step < _FRAMES // 2 else step - _FRAMES


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
