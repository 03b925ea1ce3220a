"""Pictures with a time code and a tone, made at the pace of a camera and a microphone; and the eyes
and ears for them."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import math
import struct
import time
from collections.abc import AsyncIterator
from typing import Final

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from loadtest.timecode import TimeCode, paint, read
from loadtest.viewing import Viewing

SIZE: Final = (320, 240)
VIDEO_CLOCK: Final = 90_000
SAMPLE_RATE: Final = 48_000
SAMPLES: Final = SAMPLE_RATE // 50  # 20 ms
TONE_HZ: Final = 440
TONE_AMPLITUDE: Final = 8000
AUDIBLE: Final = 1000  # mean of absolute values; the tone's is about 5000


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


class Picture(MediaStreamTrack):
    """Something that moves, so that it is worth encoding, and the time code."""

    kind = "video"

    def __init__(self, fps: int) -> None:
        super().__init__()
        self._pace, self._step = Pace(1 / fps), VIDEO_CLOCK // fps
        self._number, self._pts = -1, -self._step

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._pts += self._step * await self._pace.tick()
        self._number += 1
        frame = av.VideoFrame(*SIZE, "yuv420p")
        luma, *chroma = frame.planes
        stride = luma.line_size
        bar = bytes((x + 4 * self._number) % 160 + 40 for x in range(stride))
        whole = bytearray(bar * SIZE[1])
        paint(whole, stride, TimeCode(int(now_ms()), self._number))
        luma.update(bytes(whole))
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts, frame.time_base = self._pts, fractions.Fraction(1, VIDEO_CLOCK)
        return frame


class Tone(MediaStreamTrack):
    """A steady sine."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pace, self._pts = Pace(SAMPLES / SAMPLE_RATE), -SAMPLES
        # 440 Hz has 8.8 periods in 20 ms, so five packets are a whole number of them.
        wave = [
            round(TONE_AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * n / SAMPLE_RATE))
            for n in range(5 * SAMPLES)
        ]
        self._packets = [
            struct.pack(f"<{SAMPLES}h", *wave[n * SAMPLES : (n + 1) * SAMPLES]) for n in range(5)
        ]

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._pts += SAMPLES * await self._pace.tick()
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(self._packets[self._pts // SAMPLES % 5])
        frame.pts, frame.sample_rate = self._pts, SAMPLE_RATE
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        return frame


class Hearing:
    """What has come of the tone."""

    def __init__(self) -> None:
        self.frames = self.audible = 0

    def hear(self, frame: av.AudioFrame) -> None:
        self.frames += 1
        data = bytes(frame.planes[0])[: 2 * frame.samples]
        samples = struct.unpack(f"<{len(data) // 2}h", data)
        if sum(map(abs, samples[::8])) / max(1, len(samples[::8])) > AUDIBLE:
            self.audible += 1


async def watch(track: MediaStreamTrack, viewing: Viewing, first: asyncio.Event) -> None:
    """Until the track ends. `first` is set with the first picture."""
    async for frame in _frames(track):
        shown = now_ms()
        if isinstance(frame, av.VideoFrame):
            luma = frame.planes[0]
            viewing.see(read(memoryview(luma), luma.line_size), shown)
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
