"""A bot's RTCPeerConnection: negotiated sealed with the other bot, or with the forwarder."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.codecs.vpx import Vp8Encoder

from loadtest.bots.coding import Decoding, Sound, decode_here, encode_here, tone_packets
from loadtest.bots.group import Group
from loadtest.bots.media import SIZE, Hearing, Picture, Tone, listen, now_ms, watch
from loadtest.bots.page import BotError, Page
from loadtest.bots.seals import Origin, Seals
from loadtest.exchange import Content, Exchange, Output, Ready, Refused, Send, decode_signal
from loadtest.frames import Kind
from loadtest.participant import base64url, from_base64url
from loadtest.sealing import Context, RefusalError, make_share
from loadtest.viewing import Figures, Viewing, percentile
from signaling.group_messages import (
    GroupAnswer,
    GroupOffer,
    GroupWant,
    Source,
    SourceOf,
    Tile,
    Track,
)

CONNECT_S: Final = 30.0
Path = Literal["direct", "relay", "sfu"]
KINDS: Final[tuple[Kind, Kind]] = ("audio", "video")
SOURCES: Final[dict[Kind, Source]] = {"audio": "microphone", "video": "camera"}


@dataclass(eq=False)
class Connection:
    """One side. `link_secret`: 22 base64url characters, as in the link."""

    page: Page
    room: str
    link_secret: str
    path: Path
    fps: int
    viewing: Viewing
    pc: RTCPeerConnection
    size: tuple[int, int] = SIZE
    hearing: Hearing = field(default_factory=Hearing)
    _shown: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _seals: Seals | None = None
    _group: Group | None = None
    _refusal: BotError | None = None

    def publish(self) -> None:
        """Sound and picture; what comes back is watched and listened to."""
        encode_here(self.pc.addTrack(Tone(tone_packets())), Sound())
        encode_here(self.pc.addTrack(Picture(self.fps, self.size)), Vp8Encoder())
        for transceiver in self.pc.getTransceivers():
            decode_here(Decoding(transceiver.receiver))

    def _receive(self) -> None:
        for transceiver in self.pc.getTransceivers():
            track = transceiver.receiver.track
            if track is None or transceiver.currentDirection not in ("sendrecv", "recvonly"):
                continue
            if track.kind == "video":
                work = watch(track, self.viewing, self._shown)
            else:
                work = listen(track, self.hearing, self._heard)
            self._tasks.append(asyncio.create_task(work))

    async def close(self) -> None:
        await self.pc.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the other page (section 7) ---

    async def negotiate(self, *, initiator: bool) -> None:
        """Keys, offer, answer; returns when media may flow. Raises BotError."""
        self.publish()
        other = self.page.other()
        assert other is not None
        offer = await self.pc.createOffer()
        if initiator:
            await self.pc.setLocalDescription(offer)
        own = make_share(
            fingerprint=_fingerprint(offer.sdp), has_secret=True, nonce=secrets.token_bytes(16)
        )
        ends = (self.page.participant, other.id)
        a, b = ends if initiator else ends[::-1]
        exchange: Exchange | None = None
        secret = from_base64url(self.link_secret)
        if initiator:
            context = Context(self.room, a, b, base64url(secrets.token_bytes(12)))
            exchange = Exchange(context, own, initiator=True, link_secret=secret)
            await self._carry_out(exchange, exchange.begin(), other.id)
        async with asyncio.timeout(CONNECT_S):
            while self.pc.signalingState != "stable" or self.pc.remoteDescription is None:
                signal = decode_signal((await self.page.signals.get()).data)
                if exchange is None:
                    context = Context(self.room, a, b, signal.exchange)
                    exchange = Exchange(context, own, initiator=False, link_secret=secret)
                if signal.exchange == exchange.context.exchange:
                    await self._carry_out(exchange, exchange.receive(signal), other.id)
            self._receive()
            await self._connected()

    async def _carry_out(self, exchange: Exchange, outputs: list[Output], to: str) -> None:
        for output in outputs:
            match output:
                case Send():
                    await self.page.signal(to, output.data)
                case Refused():
                    raise BotError(output.reason.value)
                case Ready():
                    if self.pc.signalingState == "have-local-offer":
                        await self._describe(exchange, to)
                case Content():
                    await self._take(exchange, output, to)

    async def _take(self, exchange: Exchange, content: Content, to: str) -> None:
        description = content.value.get("description")
        if description is None:
            return  # what a bot does not use: candidates come with the description
        await self.pc.setRemoteDescription(
            RTCSessionDescription(description["sdp"], description["type"])
        )
        if description["type"] == "offer":
            await self.pc.setLocalDescription(await self.pc.createAnswer())
            await self._describe(exchange, to)

    async def _describe(self, exchange: Exchange, to: str) -> None:
        own = self.pc.localDescription
        description = {"type": own.type, "sdp": _with_one_fingerprint(own.sdp)}
        for content in ({"description": description}, {"candidate": None}):
            await self.page.signal(to, exchange.seal(content).data)

    # --- the forwarder (section 9) ---

    async def offer_to_forwarder(self) -> None:
        """Publishes both, receives the other's both, all of it sealed. Raises BotError."""
        other = self.page.other()
        assert other is not None
        assert self.page.view is not None
        self._seals = seals = Seals(self.room, self.page.participant)
        tracks_sent = (Tone(tone_packets()), Picture(self.fps, self.size))
        for kind, track in zip(KINDS, tracks_sent, strict=True):
            sender = self.pc.addTransceiver(track, direction="sendonly").sender
            seals.guard_sender(sender, SOURCES[kind], kind)
        for kind in KINDS:
            receiver = self.pc.addTransceiver(kind, direction="recvonly").receiver
            seals.guard_receiver(receiver, Origin(other.id, SOURCES[kind], kind))
        offer = await self.pc.createOffer()
        secret = from_base64url(self.link_secret)
        self._group = Group(self.page, self.room, secret, _fingerprint(offer.sdp), seals)
        self._tasks.append(asyncio.create_task(self._keep(self._group)))
        await self.pc.setLocalDescription(offer)
        mids = [str(one.mid) for one in self.pc.getTransceivers()]
        tracks = (
            Track(mids[0], send="microphone"),
            Track(mids[1], send="camera"),
            Track(mids[2], receive=SourceOf(other.id, "microphone")),
            Track(mids[3], receive=SourceOf(other.id, "camera")),
        )
        generation = self.page.view.media.generation
        sdp = _without_estimates(_with_one_fingerprint(self.pc.localDescription.sdp))
        answer = await self.page.command(lambda number: GroupOffer(number, generation, sdp, tracks))
        if not isinstance(answer, GroupAnswer):
            raise BotError("no group_answer")
        await self.pc.setRemoteDescription(
            RTCSessionDescription(_candidates_everywhere(answer.sdp), "answer")
        )
        self._receive()
        shown = (Tile(other.id, "camera", *self.size),)
        await self.page.command(lambda number: GroupWant(number, generation, shown))
        async with asyncio.timeout(CONNECT_S):
            await self._connected()

    async def _keep(self, group: Group) -> None:
        """Its keys; without them nobody need wait for a picture."""
        try:
            await group.run()
        except (BotError, RefusalError, ValueError) as refusal:
            self._refusal = BotError(str(refusal))
            self._shown.set()
            self._heard.set()

    async def _connected(self) -> None:
        changed = asyncio.Event()
        self.pc.on("connectionstatechange", changed.set)
        while self.pc.connectionState != "connected":
            if self.pc.connectionState in ("failed", "closed"):
                raise BotError(f"the {self.path} connection has {self.pc.connectionState}")
            await changed.wait()
            changed.clear()

    # --- what it was like ---

    @property
    def epoch(self) -> int:
        """Of the key that frames for a forwarder are sealed with now; -1: of none."""
        return self._seals.epoch if self._seals else -1

    async def seen(self) -> None:
        """Returns when there was a picture and some sound. Raises BotError."""
        await self._shown.wait()
        await self._heard.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._group is not None:
            await self._group.moved()

    async def traffic(self) -> tuple[int, int, int]:
        """RTP packets that were sent to us, those of them that did not come, bytes received."""
        packets = lost = transported = 0
        for stats in (await self.pc.getStats()).values():
            if stats.type == "inbound-rtp":
                packets += stats.packetsReceived + stats.packetsLost
                lost += stats.packetsLost
            elif stats.type == "transport":
                transported = stats.bytesReceived
        return packets, lost, transported

    async def figures(self) -> Figures:
        viewing, hearing = self.viewing, self.hearing
        viewing.end(now_ms())
        seconds = viewing.seconds()
        packets, lost, transported = await self.traffic()
        return Figures(
            role=self.page.role,
            path=self.path,
            first_frame_ms=viewing.first_frame_ms,
            delay_p05_ms=percentile(viewing.delays_ms, 0.05),
            delay_p50_ms=percentile(viewing.delays_ms, 0.5),
            delay_p95_ms=percentile(viewing.delays_ms, 0.95),
            transit_p05_ms=percentile(viewing.transits_ms, 0.05),
            transit_p50_ms=percentile(viewing.transits_ms, 0.5),
            transit_p95_ms=percentile(viewing.transits_ms, 0.95),
            frames=len(viewing.at_ms),
            frames_per_second=(len(viewing.at_ms) - 1) / seconds if seconds else 0.0,
            missing_frames=viewing.missing,
            unreadable_frames=viewing.unreadable,
            freezes=viewing.freezes,
            frozen_ms=viewing.frozen_ms,
            packets=packets,
            lost=lost,
            kbit_per_s=transported * 8 / 1000 / seconds if seconds else 0.0,
            audio_frames=hearing.frames,
            audible=hearing.audible / hearing.frames if hearing.frames else 0.0,
            unsealed_frames=self._seals.opened if self._seals else 0,
            shut_frames=self._seals.shut if self._seals else 0,
        )


async def configuration(
    session: aiohttp.ClientSession, url: str, page: Page, path: Path, relay_url: str = ""
) -> RTCConfiguration:
    """For a path: nothing but own addresses, or nothing but a relay. `relay_url` in its place."""
    if path != "relay":
        return RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    headers = {"Authorization": f"Bearer {page.token}", "Konsil-Participant": page.secret}
    async with session.get(f"{url}/api/v1/ice-servers", headers=headers) as answer:
        if answer.status != 200:
            raise BotError(f"no relay: {answer.status}")
        offered = (await answer.json())["ice_servers"]
    relay = next((one for one in offered if "username" in one), None)
    if relay is None:
        raise BotError("the server has no relay")
    server = RTCIceServer(relay_url or relay["urls"][0], relay["username"], relay["credential"])
    return RTCConfiguration(
        [server], RTCIceTransportPolicy.RELAY, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
    )


def _fingerprint(sdp: str) -> bytes:
    match = re.search(r"a=fingerprint:sha-256 ([0-9A-Fa-f:]+)", sdp)
    assert match is not None
    return bytes.fromhex(match[1].replace(":", ""))


def _with_one_fingerprint(sdp: str) -> str:
    """aiortc names the certificate by three digests; section 7.3 allows SHA-256 alone."""
    return re.sub(r"a=fingerprint:(?!sha-256 )[^\r\n]*\r\n", "", sdp)


def _without_estimates(sdp: str) -> str:
    """aiortc guesses its bandwidth from when packets were sent (REMB), and so low for a picture as
    small as ours that the forwarder would send none at all. Browsers count packets instead."""
    return re.sub(r"a=(?:extmap:\d+ \S*abs-send-time|rtcp-fb:\d+ goog-remb)\r\n", "", sdp)


def _candidates_everywhere(answer: str) -> str:
    """aiortc takes those of a bundle's last section; they belong into the first (RFC 8829)."""
    head, *sections = re.split(r"(?m)^(?=m=)", answer)
    lines = re.findall(r"(?m)^a=(?:candidate|end-of).*\r\n", sections[0])
    return head + sections[0] + "".join(one + "".join(lines) for one in sections[1:])
