"""Trying out whether the way down carries more: short bursts of padding above the media.

Without it a subscriber that once got a small layer would never get a larger one back: what is not
sent is not measured.
"""

from __future__ import annotations

from sfu.downlink import SENT_RING, Downlink
from sfu.sequence import nearest16
from sfu.twcc import Received

_DURATION = 0.2
_PATIENCE = 1.0  # for the feedback on it
_INTERVAL, _LONGEST_INTERVAL = 2.0, 16.0
_AFTER_OVERUSE = 3.0
_FACTOR = 2.0  # of the estimate, at most
_ENOUGH = 0.9  # of the rate sent that must arrive
_MAX_LOSS = 0.15
_MIN_PACKETS = 5


class Probe:
    """One subscriber's probes, one at a time.

    A probe lasts 200 ms at up to twice the estimate, and the next waits two seconds; after one that
    failed the wait doubles, up to 16 seconds, so at most a fifth more is sent than media for long.
    """

    __slots__ = (
        "_began", "_end", "_ended", "_first", "_goal", "_interval", "_next", "_octets", "_results",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self._next = now + 1.0
        self._interval = _INTERVAL
        self._goal = 0.0
        self._began = self._ended = 0.0
        self._first = self._end = -1  # transport-wide numbers, -1 while nothing is under way
        self._octets = 0
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
            if self._end >= 0 and now - self._ended > _PATIENCE:
                self._finish(now, failed=True)
            return
        if wanted <= target or now < self._next or now - overused_at < _AFTER_OVERUSE:
            return
        self._goal = min(target * _FACTOR, wanted * 1.15)
        self._began = now
        self._first = downlink.next_number
        self._end = -1
        self._octets = 0
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
            self._ended = now
            return 0
        return max(0, int(due) - sent)

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
        sent_first, sent_last = min(came)[0], max(came)[0]
        arrived_first = min(came, key=lambda result: result[1])
        arrived_last = max(came, key=lambda result: result[1])
        total = sum(size for _, _, size in came)
        # A burst has no length: the last one is not in the span of sending, nor the first in that
        # of arriving.
        last_burst = sum(size for sent, _, size in came if sent > sent_last - 0.005)
        first_burst = sum(size for sent, _, size in came if sent < sent_first + 0.005)
        send_span, arrive_span = sent_last - sent_first, arrived_last[1] - arrived_first[1]
        if send_span < _DURATION / 3 or arrive_span <= 0:
            self._finish(now, failed=True)
            return None
        sent = (total - last_burst) * 8 / send_span
        arrived = (total - first_burst) * 8 / max(arrive_span, send_span * 0.5)
        held = arrived >= sent * _ENOUGH
        self._finish(now, failed=not held)
        return min(sent, arrived) * (1.0 if held else 0.9)

    def _finish(self, now: float, *, failed: bool) -> None:
        self._interval = min(self._interval * 2, _LONGEST_INTERVAL) if failed else _INTERVAL
        self._next = now + (self._interval if failed else 0.3)
        self._first = self._end = -1
        self._results.clear()
