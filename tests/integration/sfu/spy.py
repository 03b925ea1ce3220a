"""One who reads along in the forwarder's process and tries to see and hear by libav."""

from __future__ import annotations

import array
import itertools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from sfu.rtp import RtpPacket

TAP = Path(__file__).resolve().parent / "tap"
OPUS, VP8 = 111, 96
RATE = 48_000

Recognises = Callable[[av.VideoFrame], bool]


def tapped(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Forwarders that are started from now on write down what they forward."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TAP), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("SPY_TAP", str(path))


@dataclass
class Found:
    """What came of it. `frames` and `packets` were there to be decoded, `decoded` counts those at
    which libav did not complain, `seen` and `heard` those that show what was sent."""

    frames: int = 0
    decoded: int = 0
    seen: int = 0
    packets: int = 0
    sounds: int = 0
    heard: int = 0
    sizes: set[tuple[int, int]] = field(default_factory=set)


def forwarded(path: Path) -> Iterator[bytes]:
    """Packets of RTP as they left, but one that is being written."""
    data, at = path.read_bytes() if path.exists() else b"", 0
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2])
        if at + 2 + size > len(data):
            return
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def spy_on(path: Path, shows: Recognises, tone: float) -> Found:
    """Depayload and decode all that was forwarded: VP8 (RFC 7741) and Opus (RFC 7587)."""
    found, packet = Found(), RtpPacket()
    sounds: dict[int, list[bytes]] = {}
    pictures: dict[int, dict[int, bytes]] = {}
    for data in forwarded(path):
        if not packet.parse(data) or packet.end <= packet.start:
            continue
        payload = data[packet.start : packet.end]
        if packet.payload_type == OPUS:
            sounds.setdefault(packet.ssrc, []).append(payload)
        elif packet.payload_type == VP8:
            _, rest = VpxPayloadDescriptor.parse(payload)
            frames = pictures.setdefault(packet.ssrc, {})
            frames[packet.timestamp] = frames.get(packet.timestamp, b"") + rest
    for stream in pictures.values():
        _look_at(list(stream.values()), shows, found)
    for packets in sounds.values():
        _listen_to(packets, tone, found)
    return found


def _look_at(frames: list[bytes], shows: Recognises, found: Found) -> None:
    decoder = av.CodecContext.create("vp8", "r")
    for frame in frames:
        found.frames += 1
        try:
            pictures = decoder.decode(av.Packet(frame))
        except av.FFmpegError:
            continue
        found.decoded += 1
        found.sizes |= {(picture.width, picture.height) for picture in pictures}
        found.seen += any(shows(picture) for picture in pictures)


def _listen_to(packets: list[bytes], tone: float, found: Found) -> None:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = RATE
    for packet in packets:
        found.packets += 1
        try:
            sounds = decoder.decode(av.Packet(packet))
        except av.FFmpegError:
            continue
        found.sounds += 1
        found.heard += any(share_of(tone, sound) > 0.5 for sound in sounds)


def share_of(tone: float, sound: av.AudioFrame) -> float:
    """How much of a sound's power is in one tone, by Goertzel's algorithm."""
    samples = array.array(
        "h", bytes(sound.planes[0])[: sound.samples * 2 * sound.layout.nb_channels]
    )
    left = samples[:: sound.layout.nb_channels]
    power = sum(value * value for value in left)
    if not power:
        return 0.0
    turn = 2 * math.cos(2 * math.pi * tone / RATE)
    before = now = 0.0
    for value in left:
        before, now = now, value + turn * now - before
    return (before**2 + now**2 - turn * before * now) / (power * len(left) / 2)


def halves(frame: av.VideoFrame) -> bool:
    """Whether a picture is dark on the left and bright on the right, as `two_halves` makes it."""
    plane = frame.planes[0]
    luma, quarter = bytes(plane), frame.width // 4
    row = luma[plane.line_size * (frame.height // 2) :][: frame.width]
    left, right = row[:quarter], row[-quarter:]
    return sum(left) / quarter < 80 and sum(right) / quarter > 160


def two_halves(width: int = 320, height: int = 180) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, (left, right) in zip(frame.planes, ((40, 200), (128, 128), (128, 128)), strict=True):
        half = plane.width // 2
        line = bytes([left]) * half + bytes([right]) * (plane.line_size - half)
        plane.update(line * plane.height)
    return frame


def tone_of(hertz: float) -> Iterator[av.AudioFrame]:
    """20 ms at a time, one channel."""
    for number in itertools.count():
        frame = av.AudioFrame("s16", "mono", 960)
        frame.sample_rate, frame.pts = RATE, number * 960
        at = range(number * 960, (number + 1) * 960)
        values = (round(12_000 * math.sin(2 * math.pi * hertz * t / RATE)) for t in at)
        frame.planes[0].update(array.array("h", values).tobytes())
        yield frame
