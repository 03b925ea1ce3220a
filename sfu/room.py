"""A room of the forwarder, without a socket: `sfu.interfaces.ForwardingRoom`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sfu import rtcp, rtx
from sfu.allotment import allot
from sfu.audio_levels import Speakers as Loudness
from sfu.feedback import tell_publisher
from sfu.interfaces import (
    BUFFER_SIZE,
    MAX_PACKET,
    Bounds,
    Counters,
    Extension,
    Kind,
    Output,
    ReceiveTrack,
    RoomFullError,
    SendTrack,
    Sources,
    Speakers,
    Tile,
    Transport,
)
from sfu.leg import Leg
from sfu.media import MediaPacket
from sfu.padding import pad
from sfu.participant import Participant
from sfu.publication import Publication
from sfu.python_fanout import PythonFanOut
from sfu.stream import Stream
from sfu.subscription import Subscription
from sfu.twcc import parse_feedback

_TICK = 0.02
_IDLE_TICK = 0.2  # while no packet has come for a second
_ALLOTMENT = 0.25
_MEASURE = 0.5
_SETTLING = 0.3  # for a queue that a burst of ours has made
_OVERHEAD = 64  # octets that a packet counts for beside its own; so small ones are bounded as well
_CONTROL_RATE, _CONTROL_BURST = 400, 200  # RTCP packets of one page in a second; more are dropped
_MAX_TILES = 64  # of one page; more are left out


class Room:
    """See `sfu.interfaces.ForwardingRoom` for what the methods promise."""

    def __init__(
        self,
        buffer: bytearray,
        random: Callable[[int], bytes],
        bounds: Bounds | None = None,
    ) -> None:
        assert len(buffer) >= BUFFER_SIZE
        self.counters = Counters()
        self._bounds = bounds or Bounds()
        self._random = random
        self._fanout = PythonFanOut(buffer, self.counters)
        self._participants: dict[str, Participant] = {}
        self._loudness = Loudness()
        self._packet = MediaPacket()
        self._repaired = MediaPacket()
        self._outputs: list[Output] = []
        self._sources: Sources = Sources(())
        self._next_tick = 0.0
        self._last_tick = 0.0
        self._last_packet = 0.0
        self._measured = 0.0

    # Participants

    def add_participant(self, pid: str, transport: Transport, now: float) -> None:
        self._remove(pid)
        if len(self._participants) >= self._bounds.participants:
            raise RoomFullError(f"a room holds {self._bounds.participants} participants")
        self._participants[pid] = Participant(pid, transport, self._bounds, now)
        self._tell_sources()

    def remove_participant(self, pid: str, now: float) -> None:
        self._remove(pid)
        self._tell_sources()

    def _remove(self, pid: str) -> None:
        participant = self._participants.pop(pid, None)
        if participant is None:
            return
        self._loudness.forget(pid)
        for publication in participant.publications.values():
            self._unpublish(publication)
        for subscription in participant.subscriptions.values():
            subscription.detach()

    def set_connected(self, pid: str, connected: bool, now: float) -> None:
        participant = self._participants.get(pid)
        if participant is None or participant.connected is connected:
            return
        participant.connected = connected
        if connected:
            self._next_tick = now
            for subscription in participant.subscriptions.values():
                self._attach(subscription)
            self._allot(participant, now)
        else:
            for subscription in participant.subscriptions.values():
                subscription.aim(None)

    # Tracks

    def set_tracks(
        self, pid: str, send: Iterable[SendTrack], receive: Iterable[ReceiveTrack], now: float
    ) -> None:
        participant = self._participants.get(pid)
        if participant is None:
            return
        sending = [track for track in send if track.codecs][: self._bounds.send_tracks]
        receiving = list(receive)[: self._bounds.receive_tracks]
        self._publish(participant, sending, now)
        self._subscribe(participant, receiving)
        if participant.connected:
            self._allot(participant, now)
        self._tell_sources()

    def _publish(self, participant: Participant, tracks: list[SendTrack], now: float) -> None:
        before = participant.publications
        publications: dict[str, Publication] = {}
        new: list[Publication] = []
        for track in tracks:
            known = before.get(track.source)
            if known is not None and known.same_as(track):
                known.track = track
                publications[track.source] = known
            else:
                one = Publication(participant.pid, track, self._fanout, self.counters, self._bounds)
                publications[track.source] = one
                new.append(one)
        for source, publication in before.items():
            if publications.get(source) is not publication:
                self._unpublish(publication)
        participant.set_publications(list(publications.values()))
        sources = {publication.key: publication for publication in new}
        for other in self._participants.values():
            fitting = [one for one in other.subscriptions.values() if one.source in sources]
            for subscription in fitting:
                subscription.publication = sources[subscription.source]
                if other.connected:
                    self._attach(subscription)
            if fitting and other.connected:
                self._allot(other, now)

    def _unpublish(self, publication: Publication) -> None:
        for other in self._participants.values():
            for subscription in other.subscriptions.values():
                if subscription.publication is publication:
                    subscription.detach()

    def _subscribe(self, participant: Participant, tracks: list[ReceiveTrack]) -> None:
        subscriptions: dict[str, Subscription] = {}
        for track in tracks:
            known = participant.subscriptions.get(track.mid)
            if known is not None and known.same_as(track):
                subscriptions[track.mid] = known
                continue
            subscription = Subscription(track, self._leg(participant, track), self._fanout)
            publisher = self._participants.get(track.participant)
            if publisher is not None and publisher is not participant:
                subscription.publication = publisher.publications.get(track.source)
            subscriptions[track.mid] = subscription
        for mid, subscription in participant.subscriptions.items():
            if subscriptions.get(mid) is not subscription:
                subscription.detach()
        participant.subscriptions = subscriptions
        participant.by_ssrc = {}
        for subscription in subscriptions.values():
            participant.by_ssrc[subscription.track.ssrc] = subscription
            if subscription.track.rtx_ssrc is not None:
                participant.by_ssrc[subscription.track.rtx_ssrc] = subscription
            if participant.connected:
                self._attach(subscription)

    def _leg(self, participant: Participant, track: ReceiveTrack) -> Leg:
        """A leg whose numbers begin in the lower half, as RFC 3711 §3.3.1 likes it."""
        first, first_rtx = (int.from_bytes(self._random(2), "big") & 0x7FFF for _ in range(2))
        number = track.extensions.get(Extension.MID, 0)
        name = track.mid.encode("ascii", "replace")
        mid = b""
        if 0 < number < 15 and 0 < len(name) <= 16:
            mid = bytes((number << 4 | len(name) - 1,)) + name
            mid += bytes(-len(mid) & 3)
        return Leg(
            participant.downlink,
            ssrc=track.ssrc,
            rtx_ssrc=track.rtx_ssrc,
            transport_cc=_short_id(track, Extension.TRANSPORT_CC),
            abs_send_time=_short_id(track, Extension.ABS_SEND_TIME),
            mid=mid,
            first=first,
            first_rtx=first_rtx,
        )

    def _attach(self, subscription: Subscription) -> None:
        """Let sound flow. Video is aimed by the allotment; both need a common codec."""
        publication = subscription.publication
        if publication is None:
            return
        if not subscription.speaks(publication.codec):
            subscription.publication = None
        elif publication.track.kind is Kind.AUDIO:
            subscription.aim(publication.streams[0])

    def want(self, pid: str, tiles: Iterable[Tile], now: float) -> None:
        participant = self._participants.get(pid)
        if participant is None:
            return
        participant.tiles = {
            (tile.participant, tile.source): tile for tile in list(tiles)[:_MAX_TILES]
        }
        if participant.connected:
            self._allot(participant, now)

    def _allot(self, participant: Participant, now: float) -> None:
        participant.allocated_at = now
        wanted = allot(participant, self._bounds, self._loudness.recency, now)
        bandwidth = participant.bandwidth
        participant.repeat_budget.set_bitrate(bandwidth.target)
        if bandwidth.feedback_seen and not bandwidth.draining:
            participant.probe.consider(
                bandwidth.target,
                min(wanted, self._bounds.max_bitrate_down),
                participant.downlink,
                now,
                bandwidth.overused_at,
            )

    # Packets

    def receive_rtp(self, pid: str, packet: bytes, now: float) -> None:
        participant = self._participants.get(pid)
        if participant is None or not participant.connected:
            return
        counters = self.counters
        counters.packets_in += 1
        counters.bytes_in += len(packet)
        parsed = self._packet
        if len(packet) > MAX_PACKET or not parsed.parse(packet):
            counters.drop("bad_rtp")
            return
        left = participant.allowance - len(packet) - _OVERHEAD
        if left < 0:
            counters.drop("over_bitrate")
            return
        participant.allowance = left
        self._last_packet = now
        if participant.transport_cc:
            at = parsed.find(participant.transport_cc)
            if at and at + 2 <= len(packet):
                participant.arrivals.note(packet[at] << 8 | packet[at + 1], now)
        stream = participant.media.get(parsed.ssrc)
        if stream is None:
            stream = participant.repairs.get(parsed.ssrc)
            if stream is not None:
                self._repair(stream, parsed, now)
                return
            reason = participant.learn(parsed, now)
            if reason is not None:
                counters.drop(reason)
                return
            stream = participant.media.get(parsed.ssrc)
            if stream is None:
                self._repair(participant.repairs[parsed.ssrc], parsed, now)
                return
        if parsed.payload_type != stream.payload_type:
            counters.drop("unknown_payload_type")
            return
        if stream.voice and participant.level:
            at = parsed.find(participant.level)
            if at:
                self._loudness.note(pid, packet[at])
        stream.receive(parsed, now)

    def _repair(self, stream: Stream, packet: MediaPacket, now: float) -> None:
        """A retransmission (RFC 4588): the packet it carries, late, or nothing but padding."""
        if packet.payload_type != stream.rtx_payload_type or stream.ssrc < 0:
            self.counters.drop("unknown_payload_type")
            return
        data = rtx.unwrap(packet, stream.payload_type, stream.ssrc)
        if data is not None and self._repaired.parse(data):
            stream.receive(self._repaired, now, repaired=True)

    def receive_rtcp(self, pid: str, packet: bytes, now: float) -> None:
        participant = self._participants.get(pid)
        if participant is None or not participant.connected:
            return
        if participant.control_allowance < 1:
            self.counters.drop("over_rtcp_rate")
            return
        participant.control_allowance -= 1
        messages = rtcp.parse_compound(packet) if len(packet) <= MAX_PACKET else None
        if messages is None:
            self.counters.drop("bad_rtcp")
            return
        for message in messages:
            self._take(participant, message, now)

    def _take(self, participant: Participant, message: rtcp.Message, now: float) -> None:
        match message:
            case rtcp.SenderInfo(ssrc=ssrc):
                stream = participant.media.get(ssrc)
                if stream is not None:
                    stream.clock.report(message.ntp, message.timestamp, now)
                    for follower in stream.followers:
                        follower.pass_report_on(stream, now)
            case rtcp.ReportBlock(ssrc=ssrc):
                subscription = participant.by_ssrc.get(ssrc)
                if subscription is not None and ssrc == subscription.track.ssrc:
                    subscription.leg.reported()
                    measured = subscription.round_trips.measure(message, now)
                    if measured is not None:
                        participant.round_trip += (measured - participant.round_trip) / 4
                        participant.bandwidth.round_trip = participant.round_trip
                    if subscription.track.kind is Kind.VIDEO:
                        participant.bandwidth.receiver_report(message.lost, now)
            case rtcp.Nack(ssrc=ssrc):
                subscription = participant.by_ssrc.get(ssrc)
                if subscription is not None and participant.connected:
                    subscription.repeat(
                        message.numbers, participant.repeat_budget, participant.round_trip, now
                    )
            case rtcp.KeyFrameRequest(ssrc=ssrc):
                subscription = participant.by_ssrc.get(ssrc)
                if subscription is not None:
                    subscription.wants_key_frame(now)
            case rtcp.Remb(bitrate=bitrate):
                participant.bandwidth.remb(bitrate, now)
            case rtcp.TransportFeedback(body=body):
                self._take_feedback(participant, body, now)
            case rtcp.Goodbye():
                pass  # what has ended is told by the next offer

    def _take_feedback(self, participant: Participant, body: bytes, now: float) -> None:
        parsed = parse_feedback(body)
        if parsed is None:
            self.counters.drop("bad_rtcp")
            return
        received = parsed[1]
        settling = participant.round_trip + _SETTLING
        burst = (
            participant.probe.active
            or now - participant.probe.ended_at < settling
            or now - participant.downlink.raised_at < settling
        )
        participant.bandwidth.feedback(received, participant.downlink, now, burst=burst)
        found = participant.probe.feedback(received, participant.downlink, now)
        if found is not None:
            participant.bandwidth.probed(found, now)

    # Time

    def next_timeout(self) -> float | None:
        for participant in self._participants.values():
            if participant.connected:
                return self._next_tick
        return None

    def handle_timer(self, now: float) -> None:
        if now < self._next_tick:
            return
        idle = now - self._last_packet > 1.0
        self._next_tick = now + (_IDLE_TICK if idle else _TICK)
        passed = min(now - self._last_tick, 0.5)
        self._last_tick = now
        measure = now - self._measured >= _MEASURE
        if measure:
            self._measured = now
        rate = self._bounds.max_bitrate_up * 1.5 / 8
        failed: Exception | None = None
        for participant in self._participants.values():
            participant.allowance = min(int(participant.allowance + rate * passed), int(rate * 0.5))
            participant.control_allowance = min(
                participant.control_allowance + _CONTROL_RATE * passed, _CONTROL_BURST
            )
            try:
                self._look_after(participant, now, measure=measure)
            except Exception as error:  # the others' turn comes first
                failed = error
        speaking = self._loudness.evaluate(now)
        if speaking is not None:
            self._outputs.append(Speakers(speaking))
        if failed is not None:
            raise failed

    def _look_after(self, participant: Participant, now: float, *, measure: bool) -> None:
        if participant.connected:
            tell_publisher(participant, self._bounds, self.counters, now)
            self._look_down(participant, now)
        if measure:
            for stream in participant.streams():
                stream.measure(now)
                stream.history.expire(now)

    def _look_down(self, participant: Participant, now: float) -> None:
        """What is to be sent to a subscriber: layers, and padding to try out whether more fits."""
        if now - participant.allocated_at >= _ALLOTMENT:
            sent = participant.downlink.next_number
            participant.bandwidth.tick(now, sending=sent != participant.sent_before)
            participant.sent_before = sent
            self._allot(participant, now)
        if participant.probe.active:
            due = participant.probe.octets_due(participant.downlink, now)
            if due:
                pad(participant, self._fanout, due, now)

    # Outputs

    def _tell_sources(self) -> None:
        sources = Sources(
            tuple(
                publication.source
                for participant in self._participants.values()
                for publication in participant.publications.values()
            )
        )
        if sources != self._sources:
            self._sources = sources
            self._outputs.append(sources)

    def poll_output(self) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        return outputs


def _short_id(track: ReceiveTrack, extension: Extension) -> int | None:
    """The id of an extension downstream, where it fits the one-byte form that we write."""
    number = track.extensions.get(extension, 0)
    return number if 0 < number < 15 else None
