"""Pictures with a time code and a tone, made at the pace of a camera and a microphone; and the eyes
and ears for them."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import math
import re
import struct
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

from loadtest.timecode import HEIGHT, WIDTH, TimeCode, paint, read
from loadtest.viewing import Viewing

SIZE: Final = (320, 240)
SIZE_LEAST: Final = (WIDTH, HEIGHT)
SIZE_MOST: Final = (640, 480)
VIDEO_CLOCK: Final = 90_000
SAMPLE_RATE: Final = 48_000
SAMPLES: Final = SAMPLE_RATE // 50  # 20 ms
TONE_HZ: Final = 440
TONE_AMPLITUDE: Final = 8000
TONE_DBOV: Final = -15  # of a sine with that amplitude (RFC 6465)
AUDIBLE: Final = 1000  # mean of absolute values; the tone's is about 5000


def size_of(text: str) -> tuple[int, int] | None:
    """Of WIDTHxHEIGHT; None for anything else, odd numbers and sizes out of bounds."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    inside = SIZE_LEAST[0] <= width <= SIZE_MOST[0] and SIZE_LEAST[1] <= height <= SIZE_MOST[1]
    return (width, height) if inside and not width % 2 and not height % 2 else None


def now_ms() -> float:
    """A clock that all processes of one machine share."""
    return time.monotonic() * 1000


class Pace:
    """Sleeps until each next tick is due; after a stall it does not make up for lost ticks."""

    def __init__(self, period_s: float) -> None:
        self._period, self._due = period_s, 0.0

    async def tick(self) -> int:
        """How many periods have passed since the last tick, at least one."""
        now = time.monotonic()
        if not self._due:
            self._due = now
            return 1
        self._due += self._period
        late = max(0, int((now - self._due) / self._period))
        self._due += late * self._period
        await asyncio.sleep(max(0.0, self._due - now))
        return 1 + late


_STRIPE: Final = 160  # from dark to bright
_STRIPES: Final = bytes(x % _STRIPE + 40 for x in range(_STRIPE + SIZE_MOST[0] + 64))


def picture(size: tuple[int, int], code: TimeCode) -> av.VideoFrame:
    """Something that moves, so that it is worth encoding, and the time code."""
    frame = av.VideoFrame(*size, "yuv420p")
    luma, *chroma = frame.planes
    stride = luma.line_size
    moved = 4 * code.number % _STRIPE
    whole = bytearray(_STRIPES[moved : moved + stride] * size[1])
    paint(whole, stride, code)
    luma.update(bytes(whole))
    for plane in chroma:
        plane.update(b"\x80" * plane.buffer_size)
    frame.time_base = fractions.Fraction(1, VIDEO_CLOCK)
    return frame


def read_from(frame: av.VideoFrame) -> TimeCode | None:
    luma = frame.planes[0]
    return read(memoryview(luma), luma.line_size)


class Picture(MediaStreamTrack):
    """One picture after the other."""

    kind = "video"

    def __init__(self, fps: int, size: tuple[int, int] = SIZE) -> None:
        super().__init__()
        self._size = size
        self._pace, self._step = Pace(1 / fps), VIDEO_CLOCK // fps
        self._number, self._pts = -1, -self._step

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._pts += self._step * await self._pace.tick()
        self._number += 1
        frame = picture(self._size, TimeCode(int(now_ms()), self._number))
        frame.pts = self._pts
        return frame


def tone(pts: int) -> av.AudioFrame:
    """20 ms of a steady sine, beginning with sample `pts`."""
    wave = (
        round(TONE_AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * n / SAMPLE_RATE))
        for n in range(pts, pts + SAMPLES)
    )
    frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
    frame.planes[0].update(struct.pack(f"<{SAMPLES}h", *wave))
    frame.pts, frame.sample_rate = pts, SAMPLE_RATE
    frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
    return frame


class Tone(MediaStreamTrack):
    """A steady sine, as `packets` of 20 ms each that make it when they are sent over and over."""

    kind = "audio"

    def __init__(self, packets: Sequence[bytes]) -> None:
        super().__init__()
        self._pace, self._pts = Pace(SAMPLES / SAMPLE_RATE), -SAMPLES
        self._packets = packets

    async def recv(self) -> Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        self._pts += SAMPLES * await self._pace.tick()
        packet: Packet[Any] = Packet(self._packets[self._pts // SAMPLES % len(self._packets)])
        packet.pts, packet.time_base = self._pts, fractions.Fraction(1, SAMPLE_RATE)
        return packet


class Hearing:
    """What has come of the tone."""

    def __init__(self) -> None:
        self.frames = self.audible = 0

    def hear(self, frame: av.AudioFrame) -> None:
        self.frames += 1
        samples = memoryview(frame.planes[0]).cast("B").cast("h")[: frame.samples : 8].tolist()
        if sum(map(abs, samples)) / max(1, len(samples)) > AUDIBLE:
            self.audible += 1


async def watch(track: MediaStreamTrack, viewing: Viewing, first: asyncio.Event) -> None:
    """Until the track ends. `first` is set with the first picture."""
    async for frame in _frames(track):
        shown = now_ms()
        if isinstance(frame, av.VideoFrame):
            viewing.see(read_from(frame), shown)
            first.set()


async def listen(track: MediaStreamTrack, hearing: Hearing, first: asyncio.Event) -> None:
    """Until the track ends. `first` is set with the first sound."""
    async for frame in _frames(track):
        if isinstance(frame, av.AudioFrame):
            hearing.hear(frame)
            first.set()


async def _frames(track: MediaStreamTrack) -> AsyncIterator[object]:
    with contextlib.suppress(MediaStreamError):
        while True:
            yield await track.recv()
