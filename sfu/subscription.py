"""One source on its way to one subscriber: which stream it follows, and when it changes over."""

from __future__ import annotations

from sfu import rtcp
from sfu.fanout import FanOut
from sfu.interfaces import Codec, ReceiveTrack
from sfu.keyframes import Insistence
from sfu.layers import ALL_TEMPORAL
from sfu.leg import EMPTY, HOLE, RING, Leg
from sfu.media import MediaPacket
from sfu.nack import RepeatBudget, Repeats
from sfu.publication import Publication
from sfu.reports import RoundTrip
from sfu.sequence import nearest16, signed32
from sfu.stream import Stream

_M32 = 0xFFFFFFFF
_TRUSTED = 0.5  # seconds that a timeline by sender reports may differ from one by arrival
_SHORTEST = 0.001  # seconds between the last frame of one layer and the first of the next


class Subscription:
    """Decides about its leg: begins a run of packets at a key frame, ends it, answers NACKs.

    `stream` is what is forwarded now, `target` what is waited for; both None means paused.
    """

    __slots__ = (
        "_anchor", "_fanout", "_repeats", "insistence", "leg", "limit", "publication",
        "round_trips", "starved", "stream", "target", "track",
    )  # fmt: skip

    def __init__(self, track: ReceiveTrack, leg: Leg, fanout: FanOut) -> None:
        self.track = track
        self.leg = leg
        self.publication: Publication | None = None
        self.stream: Stream | None = None
        self.target: Stream | None = None
        self.limit = ALL_TEMPORAL
        self.starved = False
        """Whether it is paused for want of bandwidth alone."""
        self.insistence = Insistence()
        self.round_trips = RoundTrip()
        self._repeats = Repeats()
        self._fanout = fanout
        # A moment on both timelines: NTP seconds of the publisher and our timestamp.
        self._anchor: tuple[float, int] | None = None

    @property
    def source(self) -> tuple[str, str]:
        return self.track.participant, self.track.source

    def same_as(self, track: ReceiveTrack) -> bool:
        """Whether a track negotiated now is this one, so that it goes on without a gap."""
        ours = self.track
        return (ours.mid, ours.participant, ours.source, ours.kind, ours.ssrc, ours.rtx_ssrc) == (
            track.mid, track.participant, track.source, track.kind, track.ssrc, track.rtx_ssrc,
        )  # fmt: skip

    def speaks(self, codec: Codec) -> bool:
        """Whether the section has the publisher's codec; takes its payload types if so."""
        for payload_type, ours in self.track.codecs.items():
            if ours.name.lower() == codec.name.lower() and ours.clock == codec.clock:
                self.leg.set_payload_types(payload_type, ours.rtx_pt)
                return True
        return False

    # What it is to follow

    def aim(self, stream: Stream | None, limit: int = ALL_TEMPORAL) -> None:
        """Follow this stream from its next key frame on, and leave the present one then; None:
        leave it now. `limit` is the highest temporal layer."""
        self.limit = limit
        self.starved = False
        if stream is self.stream:
            self.leg.target_limit = limit
        if stream is self.target:
            return
        if self.target is not None and self.target is not self.stream:
            self.target.waiting.remove(self)
        self.target = stream
        if stream is None:
            self._leave()
        elif stream is not self.stream:
            stream.waiting.append(self)
            stream.key_frames.want()

    def detach(self) -> None:
        """The publication is gone. Our numbers go on with whatever comes in its place."""
        self.aim(None)
        self.publication = None
        self._anchor = None

    def begin(self, stream: Stream, packet: MediaPacket, now: float) -> None:
        """See `sfu.stream.Follower`: the stream has taken us off its waiting list."""
        self._leave()
        leg = self.leg
        leg.target_limit = self.limit
        if stream.layer > leg.layer:
            leg.downlink.raised_at = now
        offset = (self._timestamp(stream, packet.timestamp, now) - packet.timestamp) & _M32
        leg.begin(stream.layer, packet.number, offset)
        if packet.vp8 is not None:
            leg.begin_pictures(packet.vp8.picture_id, packet.vp8.tl0, packet.vp8.key_index)
        self.stream = stream
        stream.follow(self)
        self.report(now)

    def lose(self, stream: Stream) -> None:
        """See `sfu.stream.Follower`."""
        assert stream is self.stream
        self._leave()
        self._anchor = None
        if self.target is stream:
            stream.waiting.append(self)
            stream.key_frames.want()

    def _leave(self) -> None:
        stream, leg = self.stream, self.leg
        if stream is None:
            return
        stream.unfollow(self)
        self.stream = None
        leg.timestamp = (stream.timestamp + leg.timestamp_offset) & _M32
        leg.last_at = stream.last_at
        leg.picture_id = stream.picture_id + leg.picture_id_offset
        leg.tl0 = stream.tl0 + leg.tl0_offset
        leg.key_index = stream.key_index + leg.key_index_offset
        if self._anchor is None and stream.clock.known:
            self._anchor = (stream.clock.ntp_of(stream.timestamp), leg.timestamp)

    def _timestamp(self, stream: Stream, timestamp: int, now: float) -> int:
        """Where the first packet of a run belongs on our timeline.

        By the sender reports of the streams, which tell when it was captured; while those are
        missing, or say what cannot be, by the time that has passed.
        """
        leg = self.leg
        if leg.timestamp < 0:
            return timestamp
        rate = stream.clock_rate
        passed = max(_SHORTEST, now - leg.last_at)
        ours = leg.timestamp + int(passed * rate)
        if stream.clock.known:
            ntp = stream.clock.ntp_of(timestamp)
            if self._anchor is not None:
                by_report = self._anchor[1] + int((ntp - self._anchor[0]) * rate)
                if abs(signed32(by_report - ours)) <= _TRUSTED * rate:
                    ours = by_report
                else:
                    self._anchor = None
            least = leg.timestamp + int(_SHORTEST * rate)
            if signed32(ours - least) < 0:
                ours = least
            if self._anchor is None:
                self._anchor = (ntp, ours)
        return ours & _M32

    # What the subscriber says

    def repeat(
        self, numbers: tuple[int, ...], budget: RepeatBudget, round_trip: float, now: float
    ) -> None:
        """Answer a NACK: what we still have, at a pace and within the budget.

        A number kept open for a packet of a run that is over is filled with an empty packet: what
        was to stand there is of no use any more, and the subscriber need not ask again.
        """
        leg, publication = self.leg, self.publication
        if publication is None or not leg.can_repeat:
            return
        for wrapped in numbers:
            ours = nearest16(wrapped, leg.highest)
            if not leg.first <= ours <= leg.highest or leg.highest - ours >= RING:
                continue
            origin = leg.sent[ours & (RING - 1)]
            if origin == HOLE and ours < leg.base:
                if budget.take(32, now):
                    self._fanout.fill(leg, ours, now)
                continue
            if origin in {HOLE, EMPTY} or ours < leg.base:
                continue
            data = publication.streams[origin & 3].history.get(origin >> 2, now)
            if data is None or not self._repeats.may(ours, now, round_trip):
                continue
            if not budget.take(len(data), now):
                return
            self._fanout.repeat(leg, ours, data, now)

    def repeat_as_padding(self, ours: int, now: float) -> int:
        """Send an old packet again, to no use but its size; gives the octets sent, 0 if none."""
        leg, publication = self.leg, self.publication
        if publication is None or not leg.base <= ours or leg.highest - ours >= RING:
            return 0
        origin = leg.sent[ours & (RING - 1)]
        if origin < 0:
            return 0
        data = publication.streams[origin & 3].history.get(origin >> 2, now)
        return self._fanout.repeat(leg, ours, data, now) if data is not None else 0

    def wants_key_frame(self, now: float) -> None:
        """The subscriber has sent PLI or FIR."""
        stream = self.stream or self.target
        if stream is not None and self.insistence.counts(now):
            stream.key_frames.want()

    # Reports

    def report(self, now: float) -> None:
        """Send a sender report of this moment, when the publisher has told its clock."""
        stream = self.stream
        if stream is not None and stream.clock.known:
            ntp, timestamp = stream.clock.now(now)
            self._send_report(ntp, timestamp, now)

    def pass_report_on(self, stream: Stream, now: float) -> None:
        """The stream's publisher has sent a report just now."""
        self._send_report(stream.clock.ntp, stream.clock.timestamp, now)

    def _send_report(self, ntp: int, timestamp: int, now: float) -> None:
        leg = self.leg
        self.round_trips.sent(ntp, now)
        leg.downlink.send_rtcp(
            rtcp.sender_report(
                leg.ssrc,
                ntp,
                timestamp + leg.timestamp_offset,
                packets=leg.packets,
                octets=leg.octets,
            )
        )
