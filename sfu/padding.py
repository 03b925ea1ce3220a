"""Padding for a probe (`sfu.probing`): packets to no use but their size."""

from __future__ import annotations

from sfu.fanout import FanOut
from sfu.participant import Participant

_WORTH = 400  # octets from which on an old packet is sent again instead of bare padding


def pad(participant: Participant, fanout: FanOut, octets: int, now: float) -> None:
    """Send at least so many octets on the retransmission stream of whatever video there is.

    What was sent last is sent again, as one such packet is cheaper than five of bare padding; pages
    know it for a repetition. Without a video section nothing is sent: then nothing is wanted.
    """
    videos = [one for one in participant.videos() if one.leg.can_repeat and one.leg.transport_cc]
    if not videos:
        return
    one = max(videos, key=lambda video: video.stream is not None)
    back = one.leg.highest
    while octets > 0:
        sent = one.repeat_as_padding(back, now) if octets > _WORTH else 0
        back -= 1
        octets -= sent or fanout.pad(one.leg, now)
