"""One RTP stream of a publisher: one simulcast layer of one source, or the whole of it."""

from __future__ import annotations

from typing import Protocol

from sfu.fanout import FanOut
from sfu.history import PacketHistory
from sfu.interfaces import Bounds, Counters, Kind
from sfu.keyframes import KeyFrameRequests
from sfu.leg import Leg
from sfu.media import MediaPacket
from sfu.nack import MissingPackets
from sfu.reports import Reception, SenderClock
from sfu.sequence import FIRST_CYCLE
from sfu.vp8 import Vp8Descriptor, frame_size

_MAX_GAP = 256  # a larger one is a jump, not loss: nothing is kept open for it
_RATE_SMOOTHING = 0.5  # per second
_ALIVE = 2.0  # seconds without a packet after which a layer is not to be had

_NOMINAL = {Kind.AUDIO: 40_000, Kind.VIDEO: 150_000}


class Follower(Protocol):
    """A subscription, as the stream it follows sees it."""

    leg: Leg

    def begin(self, stream: Stream, packet: MediaPacket, now: float) -> None:
        """This packet is the first that may be forwarded to the follower: it moves over."""

    def lose(self, stream: Stream) -> None:
        """The stream begins anew under another SSRC: wait for its beginning again."""

    def pass_report_on(self, stream: Stream, now: float) -> None:
        """The publisher's report on the stream has just come."""


class Stream:
    """What comes in of one layer, and who gets it.

    `legs` are fanned out to; `followers` are their subscriptions, in the same order; `waiting` are
    subscriptions that begin with the next key frame (with the next packet, where any will do).
    Subscriptions add and remove themselves.
    """

    __slots__ = (
        "_bounds", "_counters", "_fanout", "_octets", "_rated", "_vp8", "clock", "clock_rate",
        "followers", "highest", "history", "key_frames", "key_index", "kind", "last_at", "layer",
        "legs", "missing", "name", "octets", "payload_type", "picture_id", "rates", "reception",
        "rtx_payload_type", "size", "ssrc", "timestamp", "tl0", "use_fir", "use_nack", "voice",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        *,
        kind: Kind,
        layer: int,
        name: str,
        clock_rate: int,
        payload_type: int,
        rtx_payload_type: int | None,
        feedback: frozenset[str],
        fanout: FanOut,
        counters: Counters,
        bounds: Bounds,
        voice: bool,
    ) -> None:
        """`name` is the codec's in lower case; `feedback` as of `sfu.interfaces.Codec`; `voice`:
        its level tells whether the publisher speaks."""
        self.kind = kind
        self.voice = voice
        self.layer = layer
        self.name = name
        self.clock_rate = clock_rate
        self.payload_type = payload_type
        self.rtx_payload_type = rtx_payload_type
        self.use_nack = "nack" in feedback
        self.use_fir = "nack pli" not in feedback and "ccm fir" in feedback
        self._fanout = fanout
        self._counters = counters
        self._bounds = bounds
        self._vp8 = Vp8Descriptor() if name == "vp8" else None
        self.legs: list[Leg] = []
        self.followers: list[Follower] = []
        self.waiting: list[Follower] = []
        self.key_frames = KeyFrameRequests()
        self.size: tuple[int, int] | None = None
        self.ssrc = -1  # unknown
        self._octets = [0, 0, 0, 0]  # since the rates were last taken, by temporal layer
        self._rated = 0.0
        self.rates = [0.0, 0.0, 0.0, 0.0]  # bits per second, by temporal layer
        self._anew()

    def _anew(self) -> None:
        bounds = self._bounds
        self.highest = -1
        self.history = PacketHistory(
            bounds.history_packets, bounds.history_bytes, bounds.history_seconds
        )
        self.missing = MissingPackets()
        self.reception = Reception(self.clock_rate, 0)
        self.clock = SenderClock(self.clock_rate)
        self.last_at = float("-inf")
        # Of the newest packet, as the publisher numbers them.
        self.timestamp = 0
        self.picture_id = 0
        self.tl0 = 0
        self.key_index = 0

    def bind(self, ssrc: int) -> None:
        """Take the SSRC; a change of it begins the stream anew for everybody."""
        if ssrc == self.ssrc:
            return
        known = self.ssrc >= 0
        self.ssrc = ssrc
        if known:
            for follower in list(self.followers):
                follower.lose(self)
            self._anew()

    def alive(self, now: float) -> bool:
        """Whether packets come."""
        return now - self.last_at < _ALIVE

    # Packets

    def receive(self, packet: MediaPacket, now: float, *, repaired: bool = False) -> None:
        """Take a packet of this stream and forward it."""
        vp8 = self._vp8
        if vp8 is not None and packet.end > packet.start:
            if not vp8.parse(packet.data, packet.start, packet.end):
                self._counters.drop("bad_payload")
                return
            packet.vp8 = vp8
        else:
            packet.vp8 = None
        packet.layer = self.layer
        highest = self.highest
        if highest < 0:
            number = FIRST_CYCLE + packet.sequence
            self.reception = Reception(self.clock_rate, number)
        else:
            ahead = (packet.sequence - highest) & 0xFFFF
            if not ahead or ahead >= 0x8000:
                self._late(packet, highest + (ahead and ahead - 0x10000), now, repaired=repaired)
                return
            number = highest + ahead
            if ahead > 1:
                self._gap(highest + 1, number, now)
        packet.number = number
        self.highest = number
        self.history.put(number, packet.data, now)
        if not repaired:
            self.reception.packet(packet.timestamp, now)
        self.last_at = now
        self.timestamp = packet.timestamp
        if vp8 is None or packet.vp8 is None:
            self._octets[0] += len(packet.data)
            if self.waiting and packet.end > packet.start and vp8 is None:
                self._begin(packet, now)
        else:
            self._octets[vp8.tid] += len(packet.data)
            if vp8.key:
                self._key_frame(packet, vp8, now)
            self.picture_id = vp8.picture_id
            self.tl0 = vp8.tl0
            self.key_index = vp8.key_index
        if self.legs:
            self._fanout.newest(self.legs, packet, now)

    def _late(self, packet: MediaPacket, number: int, now: float, *, repaired: bool) -> None:
        if not self.history.put(number, packet.data, now):
            self._counters.drop("duplicate_or_old")
            return
        self.missing.arrived(number)
        packet.number = number
        if not repaired:
            self.reception.packet(packet.timestamp, now)
        if self.legs:
            self._fanout.late(self.legs, packet, now)

    def _gap(self, first: int, end: int, now: float) -> None:
        if end - first > _MAX_GAP:
            for leg in self.legs:
                leg.leave_gap_out(first, end)
            self.missing.given_up = True
            return
        for leg in self.legs:
            leg.leave_open(first, end)
        if self.use_nack:
            self.missing.lost(first, end, now)

    def _key_frame(self, packet: MediaPacket, vp8: Vp8Descriptor, now: float) -> None:
        self.key_frames.answered()
        size = frame_size(packet.data, packet.start + vp8.length, packet.end)
        if size is not None:
            self.size = size
        if self.waiting:
            self._begin(packet, now)

    def _begin(self, packet: MediaPacket, now: float) -> None:
        waiting, self.waiting = self.waiting, []
        for follower in waiting:
            follower.begin(self, packet, now)

    # Followers

    def follow(self, follower: Follower) -> None:
        self.followers.append(follower)
        self.legs.append(follower.leg)

    def unfollow(self, follower: Follower) -> None:
        at = self.followers.index(follower)
        del self.followers[at]
        del self.legs[at]

    # Time

    def measure(self, now: float) -> None:
        """Take the rates; to be called about once in half a second."""
        passed = now - self._rated
        if passed <= 0:
            return
        first = not self._rated
        self._rated = now
        if first:
            self._octets = [0, 0, 0, 0]
            return
        share = min(1.0, passed / (passed + _RATE_SMOOTHING))
        for tid, octets in enumerate(self._octets):
            rate = octets * 8 / passed
            known = self.rates[tid]
            self.rates[tid] = known + (rate - known) * share if known else rate
            self._octets[tid] = 0

    def bitrate(self, limit: int) -> int:
        """Bits per second up to a temporal layer; a guess while nothing has been measured."""
        measured = sum(self.rates[: limit + 1])
        return int(measured) if measured else _NOMINAL[self.kind] << 2 * self.layer
