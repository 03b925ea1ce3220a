"""Whether a queue grows on the way down, from when packets left and when they arrived.

The trend-line filter and the adaptive threshold of Google congestion control
(draft-ietf-rmcat-gcc-02 §5, with the linear fit that replaced the Kalman filter in practice).
"""

from __future__ import annotations

from collections import deque
from enum import Enum

_GROUP = 0.005  # packets sent within it are one group (§5.2)
_WINDOW = 20  # groups the line is fitted through
_SMOOTHING = 0.9
_GAIN = 4.0
_MAX_DELTAS = 60
_OVERUSE_TIME = 0.010
_THRESHOLD = 12.5  # milliseconds, as everything that is compared with it
_THRESHOLDS = (6.0, 600.0)
_RISE, _FALL = 0.0087, 0.039  # of the threshold per millisecond (§5.4)
_RESET = 3.0  # seconds between arrivals after which the past tells nothing


class Usage(Enum):
    """What the way down does with what is sent."""

    NORMAL = "normal"
    OVERUSE = "overuse"
    UNDERUSE = "underuse"


class DelayGradient:
    """Give it packets in the order they were sent; `usage` tells what it makes of them.

    Bounded: it keeps twenty points of the line and one group of packets.
    """

    __slots__ = (
        "_arrival", "_delay", "_deltas", "_first_send", "_group_arrival", "_group_send",
        "_last_update", "_origin", "_over_groups", "_over_since", "_points", "_previous",
        "_smoothed", "_threshold", "_trend", "overused", "usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self.overused = False  # since somebody last set it so
        self._threshold = _THRESHOLD
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._last_update = -1.0
        self._reset()

    def _reset(self) -> None:
        self._points.clear()
        self._first_send = -1e9  # of the group that is being filled
        self._group_send = 0.0
        self._group_arrival = 0.0
        self._previous: tuple[float, float] | None = None
        self._origin = 0.0
        self._arrival = 0.0
        self._delay = 0.0
        self._smoothed = 0.0
        self._deltas = 0
        self._trend = 0.0
        self._over_since = -1.0
        self._over_groups = 0
        self.usage = Usage.NORMAL

    def packet(self, sent: float, arrived: float) -> None:
        """One packet, with times in seconds of our clock and of the receiver's."""
        passed = arrived - self._group_arrival
        if not -_RESET <= passed <= _RESET:
            self._reset()
        first = self._first_send
        if sent - first <= _GROUP:
            if sent >= first:  # otherwise it belongs to a group that is closed
                self._group_send = sent
                if passed > 0:
                    self._group_arrival = arrived
            return
        if first < 0:
            self._first_send = self._group_send = sent
            self._group_arrival = arrived
            return
        previous, self._previous = self._previous, (self._group_send, self._group_arrival)
        if previous is not None:
            self._group(self._group_send - previous[0], self._group_arrival - previous[1])
        self._first_send = self._group_send = sent
        self._group_arrival = arrived

    def _group(self, send_delta: float, arrival_delta: float) -> None:
        arrived = self._group_arrival
        if not self._points:
            self._origin = arrived
        self._deltas = min(self._deltas + 1, 1000)
        self._delay += (arrival_delta - send_delta) * 1000
        self._smoothed = _SMOOTHING * self._smoothed + (1 - _SMOOTHING) * self._delay
        self._points.append(((arrived - self._origin) * 1000, self._smoothed))
        trend = self._slope() if len(self._points) == _WINDOW else self._trend
        self._decide(trend, send_delta, arrived)

    def _slope(self) -> float:
        """Least squares through the points; the trend as it was when they stand still."""
        points = self._points
        count = len(points)
        mean_x = sum(x for x, _ in points) / count
        mean_y = sum(y for _, y in points) / count
        down = sum((x - mean_x) ** 2 for x, _ in points)
        if not down:
            return self._trend
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / down

    def _decide(self, trend: float, send_delta: float, arrived: float) -> None:
        modified = min(self._deltas, _MAX_DELTAS) * trend * _GAIN
        if modified > self._threshold:
            if self._over_since < 0:
                self._over_since = arrived - send_delta / 2
                self._over_groups = 0
            self._over_groups += 1
            long = self._over_groups > 1 and arrived - self._over_since > _OVERUSE_TIME
            if long and trend >= self._trend:
                self.usage = Usage.OVERUSE
                self.overused = True
        else:
            self._over_since = -1.0
            self.usage = Usage.UNDERUSE if modified < -self._threshold else Usage.NORMAL
        self._trend = trend
        self._adapt(abs(modified), arrived)

    def _adapt(self, size: float, arrived: float) -> None:
        """Move the threshold towards what is usual here; peaks far above it do not count."""
        last, self._last_update = self._last_update, arrived
        if last < 0 or size > self._threshold + 15:
            return
        factor = _FALL if size < self._threshold else _RISE
        passed = min(max(arrived - last, 0.0) * 1000, 100.0)
        self._threshold += factor * (size - self._threshold) * passed
        self._threshold = min(max(self._threshold, _THRESHOLDS[0]), _THRESHOLDS[1])
