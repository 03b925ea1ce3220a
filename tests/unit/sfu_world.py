"""A room with pages that send and receive plain RTP, and what a page would make of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sfu import rtcp
from sfu.interfaces import (
    BUFFER_SIZE,
    Bounds,
    Codec,
    Extension,
    Kind,
    ReceiveTrack,
    SendTrack,
)
from sfu.room import Room
from sfu.rtp import RtpPacket, encode
from sfu.vp8 import Vp8Descriptor

VP8, VP8_RTX, OPUS = 96, 97, 111
FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})
VIDEO_CODECS = {VP8: Codec("VP8", 90_000, VP8_RTX, feedback=FEEDBACK)}
AUDIO_CODECS = {OPUS: Codec("opus", 48_000, feedback=frozenset({"transport-cc"}))}
IDS = {
    Extension.MID: 1,
    Extension.RID: 2,
    Extension.REPAIRED_RID: 3,
    Extension.ABS_SEND_TIME: 4,
    Extension.TRANSPORT_CC: 5,
    Extension.AUDIO_LEVEL: 6,
}
DOWN_IDS = {
    extension: number
    for extension, number in IDS.items()
    if extension not in {Extension.RID, Extension.REPAIRED_RID}
}
RIDS = ("l", "m", "h")


def random(count: int) -> bytes:
    """Not random at all, and near the wrap of sequence numbers."""
    return b"\x7f\xf0" * (count // 2)


def vp8_payload(
    content: bytes,
    *,
    begins: bool = True,
    key: bool = False,
    picture_id: int = 0,
    tl0: int = 0,
    tid: int = 0,
    sync: bool = False,
    key_index: int | None = None,
    size: tuple[int, int] = (640, 360),
) -> bytes:
    """A VP8 payload with all fields of the descriptor, as libwebrtc writes it."""
    flags = 0x80 | 0x40 | 0x20 | (0x10 if key_index is not None else 0)
    last = tid << 6 | (0x20 if sync else 0) | (key_index or 0)
    descriptor = bytes(
        (
            0x80 | (0x10 if begins else 0),
            flags,
            0x80 | picture_id >> 8,
            picture_id & 0xFF,
            tl0,
            last,
        )
    )
    if not begins:
        return descriptor + content
    head = b"\x10\x02\x00" if key else b"\x11\x02\x00"
    if key:
        head += b"\x9d\x01\x2a" + size[0].to_bytes(2, "little") + size[1].to_bytes(2, "little")
    return descriptor + head + content


@dataclass
class Sent:
    """A packet as it left for a page."""

    data: bytes
    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    transport_cc: int | None
    mid: str


class Page:
    """A participant: collects what it is sent."""

    def __init__(self, world: World, pid: str) -> None:
        self.world = world
        self.pid = pid
        self.rtp: list[Sent] = []
        self.rtcp: list[rtcp.Message] = []
        self.on_packet: Callable[[bytes], None] | None = None

    def send_rtp(self, length: int) -> None:
        data = bytes(self.world.buffer[:length])
        # A transport encrypts in place: what is in the buffer afterwards is of no use.
        self.world.buffer[:length] = b"\xaa" * length
        if self.on_packet is not None:
            self.on_packet(data)
            return
        self.rtp.append(read(data))

    def send_rtcp(self, packet: bytes) -> None:
        parsed = rtcp.parse_compound(packet)
        assert parsed is not None
        self.rtcp.extend(parsed)

    def of(self, ssrc: int) -> list[Sent]:
        return [packet for packet in self.rtp if packet.ssrc == ssrc]

    def take(self) -> list[Sent]:
        taken, self.rtp = self.rtp, []
        return taken


def read(data: bytes) -> Sent:
    packet = RtpPacket()
    assert packet.parse(data)
    number = packet.extension(IDS[Extension.TRANSPORT_CC])
    return Sent(
        data,
        packet.ssrc,
        packet.payload_type,
        packet.sequence,
        packet.timestamp,
        packet.marker,
        data[packet.start : packet.end],
        None if number is None else int.from_bytes(number, "big"),
        packet.text(IDS[Extension.MID]),
    )


class World:
    """A room and its pages."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.buffer = bytearray(BUFFER_SIZE)
        self.room = Room(self.buffer, random, bounds)
        self.pages: dict[str, Page] = {}
        self.now = 100.0
        self.next_ssrc = itertools.count(0x5000)

    def join(
        self,
        pid: str,
        *,
        send: Iterable[SendTrack] = (),
        receive: Iterable[ReceiveTrack] = (),
    ) -> Page:
        page = self.pages[pid] = Page(self, pid)
        self.room.add_participant(pid, page, self.now)
        self.room.set_tracks(pid, send, receive, self.now)
        self.room.set_connected(pid, True, self.now)
        return page

    def receive_video(
        self, participant: str, source: str = "camera", mid: str = ""
    ) -> ReceiveTrack:
        ssrc = next(self.next_ssrc)
        return ReceiveTrack(
            mid or f"r{ssrc:x}", participant, source, Kind.VIDEO, ssrc, ssrc + 0x10000,
            VIDEO_CODECS, DOWN_IDS,
        )  # fmt: skip

    def receive_audio(self, participant: str) -> ReceiveTrack:
        ssrc = next(self.next_ssrc)
        return ReceiveTrack(
            f"r{ssrc:x}", participant, "microphone", Kind.AUDIO, ssrc, None, AUDIO_CODECS, DOWN_IDS
        )

    def pass_time(self, seconds: float) -> None:
        """Let timers run, in steps of a tick."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + 0.02)
            self.room.handle_timer(self.now)


CAMERA = SendTrack("1", "camera", Kind.VIDEO, VIDEO_CODECS, IDS, rids=RIDS)
PLAIN_CAMERA = SendTrack("1", "camera", Kind.VIDEO, VIDEO_CODECS, IDS)
MICROPHONE = SendTrack("0", "microphone", Kind.AUDIO, AUDIO_CODECS, IDS)
SIZES = ((320, 180), (640, 360), (1280, 720))
TEMPORAL_PATTERN = ((0, False), (2, True), (1, True), (2, False))


@dataclass
class Encoder:
    """One layer as a browser sends it: packets with the numbers that its encoder gives them."""

    ssrc: int
    rid: str = ""
    layer: int = 0
    sequence: int = 0xFFF0
    timestamp: int = 0xFFFFF000
    picture_id: int = 0x7FF0
    tl0: int = 250
    key_index: int | None = None
    temporal: tuple[tuple[int, bool], ...] = ((0, False),)
    mid: str = "1"
    frames: int = 0
    since_key: int = 0
    sent: dict[int, bytes] = field(default_factory=dict)

    def frame(
        self, packets: int = 2, *, key: bool = False, size: int = 100, step: int = 3000
    ) -> list[bytes]:
        """The packets of the next frame. The first bytes of their contents name layer, frame
        and packet."""
        if key or not self.frames:
            self.since_key = 0
            key = True
        tid, sync = self.temporal[self.since_key % len(self.temporal)]
        self.since_key += 1
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        if tid == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        self.timestamp = (self.timestamp + step) & 0xFFFFFFFF
        made = []
        for at in range(packets):
            self.sequence = (self.sequence + 1) & 0xFFFF
            content = bytes((self.layer, self.frames >> 8, self.frames & 0xFF, at))
            payload = vp8_payload(
                content.ljust(size, b"\x55"),
                begins=at == 0,
                key=key,
                picture_id=self.picture_id,
                tl0=self.tl0,
                tid=tid,
                sync=sync,
                key_index=self.key_index,
                size=SIZES[self.layer],
            )
            extensions = [(IDS[Extension.MID], self.mid.encode())]
            if self.rid:
                extensions.append((IDS[Extension.RID], self.rid.encode()))
            data = encode(
                VP8, self.sequence, self.timestamp, self.ssrc, payload,
                marker=at == packets - 1, extensions=extensions,
            )  # fmt: skip
            self.sent[self.sequence] = data
            made.append(data)
        self.frames += 1
        return made


def simulcast(temporal: tuple[tuple[int, bool], ...] = ((0, False),)) -> list[Encoder]:
    """Three layers whose numbers have nothing to do with one another."""
    return [
        Encoder(
            ssrc=0x100 + layer, rid=rid, layer=layer, sequence=0xFFF0 + 5000 * layer & 0xFFFF,
            timestamp=(0xFFFF0000 + 777_777 * layer) & 0xFFFFFFFF,
            picture_id=0x7FF8 + 999 * layer & 0x7FFF, tl0=(250 + 77 * layer) & 0xFF,
            temporal=temporal,
        )
        for layer, rid in enumerate(RIDS)
    ]  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One packet as a decoder sees it."""

    layer: int
    frame: int
    packet: int
    picture_id: int
    tl0: int
    tid: int
    begins: bool
    key: bool
    sequence: int
    timestamp: int


def picture(sent: Sent) -> Picture | None:
    """What a video packet carries, None for one without payload."""
    if not sent.payload:
        return None
    vp8 = Vp8Descriptor()
    assert vp8.parse(sent.payload, 0, len(sent.payload))
    content = sent.payload[vp8.length :]
    if vp8.begins:
        content = content[10 if vp8.key else 3 :]
    return Picture(
        content[0], content[1] << 8 | content[2], content[3], vp8.picture_id, vp8.tl0, vp8.tid,
        vp8.begins, vp8.key, sent.sequence, sent.timestamp,
    )  # fmt: skip


def unwrapped(values: Iterable[int], bits: int) -> Iterator[int]:
    """Wrapping numbers as they count on; they may come out of order."""
    half, mask = 1 << (bits - 1), (1 << bits) - 1
    reference: int | None = None
    for value in values:
        if reference is None:
            current = value
        else:
            current = reference + ((value - reference + half) & mask) - half
        reference = current if reference is None else max(reference, current)
        yield current
