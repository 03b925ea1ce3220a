"""Whether packets stand in a long queue on the way down, however steady it is.

The delay gradient tells only that a queue grows. One that has grown to seconds, on a way that drops
nothing, would stay for as long: sound would come late all the while. So when it is long, video is
held back until it is short again.
"""

from __future__ import annotations

_LONG, _SHORT = 0.5, 0.15  # seconds
_SURE = 0.3  # for so long it must have been long: a page that was busy for a moment is no queue
_MOST = 4.0  # after which the delay is taken for the way's own, as after a change of route
_MEMORY = 10.0  # the shortest delay of the last 10 to 20 seconds is that of an empty queue


class StandingQueue:
    """`draining` tells whether to hold back. Its two clocks need not agree, and may drift."""

    __slots__ = ("_base", "_began", "_former", "_long_since", "_turned", "draining")

    def __init__(self) -> None:
        self.draining = False
        self._base: float | None = None
        self._former = 0.0
        self._turned = 0.0
        self._long_since = -1.0
        self._began = 0.0

    def give_up(self, now: float) -> bool:
        """Whether what was waited out is over for want of packets that would tell; begins anew."""
        if not self.draining or now - self._began <= _MOST:
            return False
        self.draining = False
        self._base = None
        self._long_since = -1.0
        return True

    def packet(self, sent: float, arrived: float, now: float) -> None:
        """One packet in a while, with times in seconds of our clock and of the receiver's."""
        delay = arrived - sent
        if self._base is None or (self.draining and now - self._began > _MOST):
            self._base = self._former = delay
            self._turned = now
        elif now - self._turned > _MEMORY and not self.draining:
            self._former, self._base = self._base, delay
            self._turned = now
        self._base = min(self._base, delay)
        queued = delay - min(self._base, self._former)
        if self.draining:
            self.draining = queued > _SHORT
        elif queued <= _LONG:
            self._long_since = -1.0
        elif self._long_since < 0:
            self._long_since = now
        elif now - self._long_since >= _SURE:
            self.draining = True
            self._began = now
            self._long_since = -1.0
