"""A subscriber's way down: transport-wide sequence numbers and what was sent under them."""

from __future__ import annotations

from array import array
from collections.abc import Callable

SENT_RING = 2048
"""Packets whose send time is remembered; feedback on older ones is not used."""


class Downlink:
    """Numbers every packet for transport-wide congestion control, over all tracks.

    `times[n % SENT_RING]` and `sizes[…]` are those of the packet with number n. `raised_at` is when
    a source last began in a larger layer: its key frame makes a queue for a moment.
    """

    __slots__ = ("next_number", "raised_at", "send", "send_rtcp", "sizes", "times")

    def __init__(self, send: Callable[[int], None], send_rtcp: Callable[[bytes], None]) -> None:
        self.send = send
        self.send_rtcp = send_rtcp
        self.next_number = 1 << 16
        self.raised_at = float("-inf")
        # Arrays, for lists would keep an object for every number.
        self.times = array("d", bytes(8 * SENT_RING))
        self.sizes = array("H", bytes(2 * SENT_RING))
