"""Trying out whether the way down carries more: short bursts of padding above the media.

Without it a subscriber that once got a small layer would never get a larger one back: what is not
sent is not measured.
"""

from __future__ import annotations

from sfu.downlink import SENT_RING, Downlink
from sfu.sequence import nearest16
from sfu.twcc import Received

_DURATION = 0.2
_MOST = 0.05  # seconds' worth in one burst
_PATIENCE = 1.0  # for the feedback on it
_INTERVAL, _LONGEST_INTERVAL = 2.0, 8.0
_AFTER_SUCCESS = 0.3
_AFTER_OVERUSE = 3.0
_FACTOR, _CAREFUL_FACTOR = 2.0, 1.5  # of the estimate, at most; careful after one that failed
_QUEUED = 0.02  # seconds by which a probe may spread on its way and still count as carried
_CAUTION = 0.85  # of the rate found where the way is the limit
_MAX_LOSS = 0.15
_MIN_PACKETS = 5


class Probe:
    """One subscriber's probes, one at a time.

    A probe lasts 200 ms at up to twice the estimate. After one that failed the next waits two
    seconds, then four, then eight, and is more careful; so on a narrow way the queue that a probe
    makes is short and rare.
    """

    __slots__ = (
        "_began", "_end", "_first", "_goal", "_interval", "_next", "_results", "ended_at",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self._next = now + 1.0
        self._interval = _INTERVAL
        self._goal = 0.0
        self._began = 0.0
        self.ended_at = float("-inf")
        self._first = self._end = -1  # transport-wide numbers, -1 while nothing is under way
        # Of the probe's packets: number -> (sent, arrived, size), None when lost.
        self._results: dict[int, tuple[float, float, int] | None] = {}

    @property
    def active(self) -> bool:
        """Whether padding is to be sent now."""
        return self._first >= 0 and self._end < 0

    def consider(
        self, target: int, wanted: int, downlink: Downlink, now: float, overused_at: float
    ) -> None:
        """Begin a probe when more is wanted than the estimate allows, and the time is right."""
        if self._first >= 0:
            if self._end >= 0 and now - self.ended_at > _PATIENCE:
                self._finish(now, failed=True)
            return
        if wanted <= target or now < self._next or now - overused_at < _AFTER_OVERUSE:
            return
        factor = _FACTOR if self._interval == _INTERVAL else _CAREFUL_FACTOR
        self._goal = min(target * factor, wanted * 1.1)
        self._began = now
        self._first = downlink.next_number
        self._end = -1
        self._results.clear()

    def octets_due(self, downlink: Downlink, now: float) -> int:
        """How much padding brings this moment of the probe to its rate. Ends the probe when its
        time is over."""
        if not self.active:
            return 0
        newest = downlink.next_number
        sent = sum(
            downlink.sizes[number & (SENT_RING - 1)]
            for number in range(max(self._first, newest - SENT_RING), newest)
        )
        due = min(now - self._began + 0.02, _DURATION) * self._goal / 8
        if now - self._began >= _DURATION:
            self._end = newest
            self.ended_at = now
            return 0
        # Of a tick that comes late not everything is made up for at once.
        return max(0, min(int(due) - sent, int(self._goal * _MOST / 8)))

    def feedback(self, received: Received, downlink: Downlink, now: float) -> float | None:
        """Look for the probe's packets in the feedback; gives the rate found when it is complete,
        None while it is not or when it failed."""
        if self._first < 0:
            return None
        newest = downlink.next_number - 1
        complete = False
        for number, arrived in received:
            extended = nearest16(number, newest)
            if extended < self._first or extended > newest:
                continue
            if 0 <= self._end <= extended + 1:
                complete = True
            if self._end >= 0 and extended >= self._end:
                continue
            slot = extended & (SENT_RING - 1)
            self._results[extended] = (
                None if arrived is None else (downlink.times[slot], arrived, downlink.sizes[slot])
            )
        return self._measure(now) if complete else None

    def _measure(self, now: float) -> float | None:
        came = [result for result in self._results.values() if result is not None]
        lost = len(self._results) - len(came)
        if len(came) < _MIN_PACKETS or lost > _MAX_LOSS * len(self._results):
            self._finish(now, failed=True)
            return None
        first, last = min(came), max(came)
        arrivals = [arrived for _, arrived, _ in came]
        send_span, arrive_span = last[0] - first[0], max(arrivals) - min(arrivals)
        if send_span < _DURATION / 2:
            self._finish(now, failed=True)
            return None
        total = sum(size for _, _, size in came)
        # Carried: the queue at the end is hardly longer than at the beginning.
        held = arrive_span - send_span < _QUEUED
        self._finish(now, failed=not held)
        if held:
            return total * 8 / (self.ended_at - self._began)
        # A burst has no length: the first one is not in the span that the others arrived in.
        burst = sum(size for sent, _, size in came if sent < first[0] + 0.005)
        return _CAUTION * (total - burst) * 8 / arrive_span

    def _finish(self, now: float, *, failed: bool) -> None:
        self._next = now + (self._interval if failed else _AFTER_SUCCESS)
        self._interval = min(self._interval * 2, _LONGEST_INTERVAL) if failed else _INTERVAL
        self._first = self._end = -1
        self._results.clear()
