"""What a publisher is told: what is missing, key frames wanted, what arrived when, and reports."""

from __future__ import annotations

from sfu import rtcp
from sfu.interfaces import Bounds, Counters
from sfu.participant import Participant

_FEEDBACK = 0.05  # seconds between two transport-wide feedbacks
_REPORT = 1.0  # between two receiver reports
_MAX_RTCP = 1200  # octets that go as one packet


def tell_publisher(
    participant: Participant, bounds: Bounds, counters: Counters, now: float
) -> None:
    """Everything that is due now, in as few packets as it fits."""
    packets: list[bytes] = []
    for publication in participant.publications.values():
        for stream in publication.streams:
            missing = stream.missing
            if missing:
                numbers = missing.due(now, participant.round_trip)
                if numbers:
                    packets.append(rtcp.nack(stream.ssrc, numbers))
            if missing.given_up:
                missing.given_up = False
                if stream.legs:
                    stream.key_frames.want()
        requests = publication.key_frame_requests(now)
        counters.key_frames_asked += len(requests)
        packets += requests
    if participant.transport_cc and now - participant.told_at >= _FEEDBACK:
        participant.told_at = now
        feedback = participant.arrivals.feedback(participant.any_ssrc())
        if feedback is not None:
            packets.append(feedback)
    if now - participant.reported_at >= _REPORT:
        participant.reported_at = now
        packets += _reports(participant, bounds, now)
    compound = b""
    for packet in packets:
        if compound and len(compound) + len(packet) > _MAX_RTCP:
            participant.send_rtcp(compound)
            compound = b""
        compound += packet
    if compound:
        participant.send_rtcp(compound)


def _reports(participant: Participant, bounds: Bounds, now: float) -> list[bytes]:
    """A receiver report on every stream, and how much may be sent in all (REMB)."""
    blocks = [
        stream.reception.block(stream.ssrc, stream.highest, stream.clock, now)
        for stream in participant.streams()
        if stream.highest >= 0
    ]
    if not blocks:
        return []
    ssrcs = [block.ssrc for block in blocks]
    return [rtcp.receiver_report(blocks[:31]), rtcp.remb(bounds.max_bitrate_up, ssrcs)]
