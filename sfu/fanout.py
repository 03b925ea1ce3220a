"""The interface between what is decided and what moves the packets.

Everything a packet in flight needs stands in the `Leg`s, so the loop behind this interface asks
nobody. `sfu.python_fanout` implements it in Python; a native one can take its place without a
change to anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sfu.leg import Leg
from sfu.media import MediaPacket


class FanOut(Protocol):
    """Rewrites packets for legs and gives them to the legs' transports."""

    def newest(self, legs: Sequence[Leg], packet: MediaPacket, now: float) -> None:
        """Send the newest packet of a stream to those legs whose temporal limit allows (for sound
        all do), and close the gap for the others."""

    def late(self, legs: Sequence[Leg], packet: MediaPacket, now: float) -> None:
        """Send a packet that is not the newest to the legs that have its place open; where its
        frame was left out, or it carries nothing, fill the place with an empty packet."""

    def repeat(self, leg: Leg, ours: int, data: bytes, now: float) -> int:
        """Send the packet that went out as number `ours` once more on the leg's retransmission
        stream (RFC 4588); `data` is the publisher's packet. Gives the octets sent, 0 if none."""

    def fill(self, leg: Leg, ours: int, now: float) -> None:
        """Fill a hole with a packet without payload, for nothing else will come."""

    def pad(self, leg: Leg, now: float) -> int:
        """Send padding on the leg's retransmission stream; gives the octets sent."""
