"""Pages made of aiortc: it does ICE, DTLS, SRTP, VP8 and Opus, and none of it is ours."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import av
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from msgspec.structs import replace

from sfu.control import Answer, Leave, Offer, Refused, Request, Result, Source, SourceRef, Track

Ask = Callable[[Request], Result | Awaitable[Result]]


class Picture(VideoStreamTrack):
    """A picture of one colour, so that it shows whose it is."""

    def __init__(self, shade: int) -> None:
        super().__init__()
        self._shade = shade

    async def recv(self) -> av.VideoFrame:
        pts, base = await self.next_timestamp()
        frame = av.VideoFrame(320, 180, "yuv420p")
        for plane, value in zip(frame.planes, (self._shade, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, fractions.Fraction(base)
        return frame


def _candidates_everywhere(answer: str) -> str:
    """aiortc takes those of a bundle's last section; they belong into the first (RFC 8829)."""
    head, *sections = re.split(r"(?m)^(?=m=)", answer)
    lines = re.findall(r"(?m)^a=(?:candidate|end-of).*\r\n", sections[0])
    return head + sections[0] + "".join(section + "".join(lines) for section in sections[1:])


@dataclass
class Peer:
    """One page. `frames` counts what it has decoded of each source of each participant."""

    name: str
    ask: Ask
    generation: int = 1
    shade: int = 0
    room: str = "room"
    pc: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(
            RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
    )
    tracks: list[Track] = field(default_factory=list)
    frames: dict[SourceRef, int] = field(default_factory=dict)
    shades: dict[SourceRef, int] = field(default_factory=dict)
    _readers: set[asyncio.Task[None]] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)

    def publish(self, *sources: Source) -> None:
        for source in sources:
            track = AudioStreamTrack() if source.kind == "audio" else Picture(self.shade)
            self.pc.addTransceiver(track, direction="sendonly")
            self.tracks.append(Track("?", send=source))

    def subscribe(self, participant: str, *sources: Source) -> None:
        for source in sources:
            self.pc.addTransceiver(source.kind, direction="recvonly")
            self.tracks.append(Track("?", receive=SourceRef(participant, source)))

    async def negotiate(self) -> Result:
        """Offer and take the answer; a refusal is given back and changes nothing here."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await asyncio.sleep(0.05)  # aiortc is not done with it yet, and loopback answers at once
        pairs = zip(self.tracks, self.pc.getTransceivers(), strict=True)
        self.tracks = [replace(track, mid=str(t.mid)) for track, t in pairs]
        # aiortc begins a new session with every offer (RFC 8866 §5.2: one id for all of them).
        origin = f"o=- {id(self)} 2 IN IP4 0.0.0.0"
        sdp = re.sub(r"(?m)^o=[^\r\n]*", origin, self.pc.localDescription.sdp)
        result = self.ask(Offer(self.room, self.name, self.generation, sdp, self.tracks))
        result = await result if isinstance(result, Awaitable) else result
        if isinstance(result, Answer):
            answer = RTCSessionDescription(_candidates_everywhere(result.sdp), "answer")
            await self.pc.setRemoteDescription(answer)
            self._watch()
        return result

    async def join(self) -> None:
        result = await self.negotiate()
        assert isinstance(result, Answer), result

    def _watch(self) -> None:
        for transceiver, track in zip(self.pc.getTransceivers(), self.tracks, strict=True):
            if track.receive is not None and track.mid not in self._read:
                self._read.add(track.mid)
                reader = asyncio.create_task(self._count(track.receive, transceiver.receiver.track))
                self._readers.add(reader)

    async def _count(self, source: SourceRef, track: MediaStreamTrack) -> None:
        with contextlib.suppress(Exception):  # the track has ended
            while True:
                frame = await track.recv()
                self.frames[source] = self.frames.get(source, 0) + 1
                if isinstance(frame, av.VideoFrame):
                    self.shades[source] = bytes(frame.planes[0])[0]

    def seen(self, participant: str, source: Source) -> int:
        return self.frames.get(SourceRef(participant, source), 0)

    async def sees(self, participant: str, *sources: Source, more: int = 3) -> None:
        """Returns when that many more frames of each have been decoded."""
        before = {source: self.seen(participant, source) for source in sources}
        async with asyncio.timeout(20):
            while any(self.seen(participant, s) < before[s] + more for s in sources):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def leave(self) -> None:
        result = self.ask(Leave(self.room, self.name))
        if isinstance(result, Awaitable):
            result = await result
        assert not isinstance(result, Refused)
        await self.close()

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self.pc.close()


@contextlib.asynccontextmanager
async def peers(ask: Ask, *names: str, room: str = "room") -> AsyncIterator[list[Peer]]:
    """Pages that all publish sound and a picture and receive everybody's; not joined yet."""
    made = [Peer(name, ask, shade=40 + 60 * number, room=room) for number, name in enumerate(names)]
    for peer in made:
        peer.publish(Source.MICROPHONE, Source.CAMERA)
        for other in names:
            if other != peer.name:
                peer.subscribe(other, Source.MICROPHONE, Source.CAMERA)
    try:
        yield made
    finally:
        for peer in made:
            await peer.close()
