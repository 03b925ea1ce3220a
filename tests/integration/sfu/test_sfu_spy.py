"""What the forwarder's process forwards cannot be decoded there, when it is sealed as pages do."""

from __future__ import annotations

import asyncio
import fractions
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import av
import pytest
from aiortc.mediastreams import MediaStreamTrack

from sfu.control import Source, Track
from sfu.supervisor import SfuProcess
from tests.integration.sfu.conftest import LOOPBACK, Told
from tests.integration.sfu.peers import Peer
from tests.integration.sfu.spy import Found, halves, spy_on, tapped, tone_of, two_halves
from tests.integration.sfu.wires import UdpWire, answering, join
from tests.unit.sfu_page import Page, receiver
from tests.unit.test_frame_vectors import seal

TONE = 400.0
ENOUGH = 60  # frames of either kind
Seal = Callable[[bytes, str, int], bytes]


def as_pages_do(key: str) -> Seal:
    """Sealed frames, as docs/protocol.md has them."""

    def sealed(frame: bytes, kind: str, counter: int) -> bytes:
        return seal(
            {
                "room": "r" * 22,
                "sender": "s" * 22,
                "source": "camera" if kind == "video" else "microphone",
                "kind": kind,
                "stream": 0 if kind == "video" else 1,
                "epoch": 1,
                "counter": counter,
                "key": key,
                "frame": frame.hex(),
            }
        )

    return sealed


def not_at_all(frame: bytes, kind: str, counter: int) -> bytes:
    return frame


class Encoded(MediaStreamTrack):
    """Encoded and perhaps sealed by the sender itself; aiortc only makes packets of it."""

    def __init__(self, kind: str, seals: Seal) -> None:
        super().__init__()
        self.kind = kind
        self._seals = seals
        self._frames = pictures() if kind == "video" else sounds()
        self._pause = 0.05 if kind == "video" else 0.02
        self._began = time.monotonic()
        self._count = 0

    async def recv(self) -> av.Packet:  # type: ignore[override]
        due = self._began + self._count * self._pause
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        packet = av.Packet(self._seals(next(self._frames), self.kind, self._count))
        rate = 90_000 if self.kind == "video" else 48_000
        packet.time_base, packet.pts = (
            fractions.Fraction(1, rate),
            int(self._count * self._pause * rate),
        )
        self._count += 1
        return packet


def pictures() -> Iterator[bytes]:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.bit_rate, encoder.gop_size, encoder.time_base = 300_000, 5, fractions.Fraction(1, 20)
    encoder.options = {"deadline": "realtime", "lag-in-frames": "0"}
    count = 0
    while True:
        frame = two_halves()
        frame.pts, frame.time_base = count, encoder.time_base
        count += 1
        for packet in encoder.encode(frame):
            yield bytes(packet)


def sounds() -> Iterator[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    for frame in tone_of(TONE):
        for packet in encoder.encode(frame):
            yield bytes(packet)


@pytest.fixture
def tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "forwarded"
    tapped(monkeypatch, path)
    return path


@pytest.fixture
async def process(tap: Path, told: Told) -> AsyncIterator[SfuProcess]:
    async with SfuProcess(LOOPBACK, told.add) as made:
        yield made


async def forwards(process: SfuProcess, tap: Path, seals: Seal) -> Found:
    """Alice sends, Bob receives and decodes nothing, and the spy reads along."""
    alice = Peer("alice", process.handle)
    for source in (Source.MICROPHONE, Source.CAMERA):
        alice.pc.addTransceiver(Encoded(source.kind, seals), direction="sendonly")
        alice.tracks.append(Track("?", send=source))
    bob = Page(
        "bob",
        [receiver("0", "alice", Source.MICROPHONE), receiver("1", "alice", Source.CAMERA)],
    )
    wire = UdpWire(process.port)
    try:
        await alice.join()
        await join(bob, process, wire)
        found = Found()
        async with asyncio.timeout(30):
            while found.frames < ENOUGH or found.packets < ENOUGH:
                for _ in range(50):
                    await answering(bob, wire)
                found = spy_on(tap, halves, TONE)
        return found
    finally:
        wire.close()
        await alice.close()


async def test_what_is_sealed_shows_and_tells_nothing(process: SfuProcess, tap: Path) -> None:
    found = await forwards(process, tap, as_pages_do(os.urandom(32).hex()))
    assert found.frames >= ENOUGH
    assert found.packets >= ENOUGH
    # A decoder of Opus complains of nothing: it makes noise of whatever it is given.
    assert (found.decoded, found.seen, found.heard) == (0, 0, 0), found


async def test_the_same_spy_sees_and_hears_what_is_not_sealed(
    process: SfuProcess, tap: Path
) -> None:
    found = await forwards(process, tap, not_at_all)
    assert found.seen == found.decoded == found.frames, found
    assert found.heard > 0.9 * found.packets, found
