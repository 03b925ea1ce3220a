"""What the cameras of these tests see: a bar that wanders over a slope of grey, again and again."""

from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 360, 15
_FRAMES = 20
_BAR = WIDTH // _FRAMES


def write_film(file: Path) -> None:
    """Write one round of it as YUV4MPEG2, 4:2:0."""
    slope = bytes(40 + 120 * column // WIDTH for column in range(WIDTH))
    colour = bytes([100]) * (WIDTH * HEIGHT // 4) + bytes([150]) * (WIDTH * HEIGHT // 4)
    with file.open("wb") as film:
        film.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_PER_SECOND}:1 Ip A1:1 C420\n".encode())
        for number in range(_FRAMES):
            at = number * _BAR
            row = slope[:at] + bytes([235]) * _BAR + slope[at + _BAR :]
            film.write(b"FRAME\n" + row * HEIGHT + colour)
