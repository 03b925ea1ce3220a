"""How much the way down to one subscriber carries (draft-ietf-rmcat-gcc-02, §5.5 and §6).

From transport-wide feedback: the delay gradient and the loss. Where a page gives no such feedback,
from REMB and the loss in its receiver reports. Bit rates are in bits per second.

An estimate grows only as far as something was really carried: what is sent must fill it. Where the
room has more to send than the estimate allows, `sfu.probing` tries out more with padding.
"""

from __future__ import annotations

from collections import deque

from sfu.delay_gradient import DelayGradient, Usage
from sfu.downlink import SENT_RING, Downlink
from sfu.standing_queue import StandingQueue
from sfu.twcc import Received

MINIMUM = 50_000
"""The estimate never falls below it: it is about what sound and its overhead need."""

_WINDOW = 0.5  # seconds over which the rate that arrives is measured
_BIN, _BINS = 0.05, 10
_MAX_ACKED = 4096  # packets in that window; the oldest go first
_SENT = SENT_RING - 1
_DECREASE = 0.85
_INCREASE = 1.08  # per second
_ADDITIVE = 1200 * 8  # one packet per response time, near what the way was found to carry
_LOSS_WINDOW = 0.6
_LOSS_HIGH, _LOSS_LOW = 0.10, 0.03
_LOSS_MINIMUM = 20  # packets, fewer tell nothing
_SILENCE = 2.0  # without feedback for so long while sending, the estimate falls by half
_REMB_VALID = 10.0


class Bandwidth:
    """The estimate for one subscriber. `target` is what may be sent now, all in all.

    Bounded by the windows above; a subscriber that lies in its feedback gets what it says, within
    `maximum`, and hurts only itself.
    """

    __slots__ = (
        "_acked", "_acked_octets", "_arrival", "_ceiling", "_delay_based", "_gradient",
        "_last_feedback", "_last_increase", "_last_loss_change", "_loss_based", "_loss_since",
        "_lost", "_maximum", "_next", "_queue", "_remb", "_remb_at", "_sent", "feedback_seen",
        "overused_at", "round_trip", "target",
    )  # fmt: skip

    def __init__(self, start: int, maximum: int, now: float) -> None:
        self._maximum = maximum
        self.target = min(start, maximum)
        self._delay_based = float(self.target)
        self._loss_based = float(self.target)
        self._gradient = DelayGradient()
        self._queue = StandingQueue()
        self._acked: deque[tuple[float, int]] = deque()
        self._acked_octets = 0
        self._arrival = 0.0
        self._next = -1
        self._sent = self._lost = 0
        self._loss_since = now
        self._last_loss_change = now
        self._last_increase = now
        self._last_feedback = now
        self._ceiling = 0.0  # rate that arrived when the way was last overused, 0 before
        self._remb = 0
        self._remb_at = float("-inf")
        self.feedback_seen = False
        self.overused_at = float("-inf")
        self.round_trip = 0.1

    @property
    def acked(self) -> float:
        """Bits per second that arrived lately."""
        if len(self._acked) < 2:
            return 0.0
        span = max(self._acked[-1][0] - self._acked[0][0], 0.1)
        return (self._acked_octets - self._acked[0][1]) * 8 / span

    def _carried(self) -> float:
        """The most that arrived within 200 ms of the window, in bits per second.

        While a queue grows the way is full, and this is what it carries. The mean would not be:
        what is sent comes in bursts, and little of it may have been sent.
        """
        if not self._acked:
            return 0.0
        newest = self._acked[-1][0]
        bins = [0] * _BINS
        for arrived, size in self._acked:
            bins[min(int((newest - arrived) / _BIN), _BINS - 1)] += size
        return max(sum(bins[at : at + 4]) for at in range(_BINS - 3)) * 8 / (4 * _BIN)

    def feedback(
        self, received: Received, downlink: Downlink, now: float, *, burst: bool = False
    ) -> None:
        """Take one transport-wide feedback packet on what went out through the downlink. After
        a `burst` of ours, a probe or a key frame, a queue that grows is no news."""
        self.feedback_seen = True
        self._last_feedback = now
        newest = downlink.next_number - 1
        following = self._next if self._next >= 0 else max(newest - SENT_RING + 1, 1 << 16)
        gradient, acked = self._gradient, self._acked
        gradient.overused = False
        note, times, sizes = gradient.packet, downlink.times, downlink.sizes
        octets, came = 0, None
        slot = 0
        for number, arrived in received:
            back = (newest - number) & 0xFFFF
            if back >= SENT_RING:
                continue
            extended = newest - back
            if extended < following:
                if arrived is not None and self._lost:
                    self._lost -= 1  # reported lost before, and come after all
                continue
            following = extended + 1
            self._sent += 1
            if arrived is None:
                self._lost += 1
                continue
            slot = extended & _SENT
            size, came = sizes[slot], arrived
            octets += size
            acked.append((arrived, size))
            note(times[slot], arrived)
        self._next = following
        self._acked_octets += octets
        self._forget()
        if came is not None:
            self._queue.packet(times[slot], came, now)
        usage = Usage.OVERUSE if gradient.overused else gradient.usage
        if not (burst and usage is Usage.OVERUSE):
            self._adjust(usage, now)
        self._judge_loss(now)
        self._settle(now)

    def _forget(self) -> None:
        """Let go of what arrived before the window, or lies about when it did."""
        acked = self._acked
        while acked:
            age = acked[-1][0] - acked[0][0]
            if 0 <= age <= _WINDOW and len(acked) <= _MAX_ACKED:
                return
            self._acked_octets -= acked.popleft()[1]

    def _adjust(self, usage: Usage, now: float) -> None:
        """The rate control of §5.5: down to what arrives, up slowly."""
        passed = min(now - self._last_increase, 1.0)
        acked = self.acked
        if usage is Usage.OVERUSE:
            # Once per response time: what was sent before the decrease still tells of overuse.
            if now - self.overused_at > self.round_trip + 0.1:
                self.overused_at = now
                self._ceiling = self._carried()
                # Halved at most: one moment of disorder is not to end all video.
                lowered = max(_DECREASE * self._ceiling, self._delay_based / 2)
                self._delay_based = min(self._delay_based, lowered)
            self._last_increase = now
        elif usage is Usage.NORMAL and passed > 0:
            if self._ceiling and self._delay_based > self._ceiling * 0.8:
                grown = self._delay_based + _ADDITIVE / (self.round_trip + 0.1) * passed
                if self._delay_based > self._ceiling * 1.5:
                    self._ceiling = 0.0
            else:
                grown = self._delay_based * _INCREASE**passed + 1000 * passed
            if grown <= acked * 1.5 + 10_000:
                self._delay_based = grown
            self._last_increase = now
        else:
            self._last_increase = now

    def _judge_loss(self, now: float) -> None:
        if now - self._loss_since < _LOSS_WINDOW or self._sent < _LOSS_MINIMUM:
            return
        share = self._lost / self._sent
        self._sent = self._lost = 0
        self._loss_since = now
        self._react_to_loss(share, now)

    def _react_to_loss(self, share: float, now: float) -> None:
        """The loss-based controller of §6."""
        passed = min(now - self._last_loss_change, 1.0)
        self._last_loss_change = now
        if share > _LOSS_HIGH:
            # What is lost in a queue that overflows is lost above what the way carries.
            self._loss_based = min(self._loss_based, float(self.target)) * (1 - share / 2)
        elif share < _LOSS_LOW:
            # It follows the other one, and is not to be reached only after minutes.
            grown = self._loss_based * (_INCREASE + 0.12) ** passed + 1000
            self._loss_based = min(max(self._loss_based, self._delay_based * 1.2), grown)

    def receiver_report(self, lost: float, now: float) -> None:
        """The fraction lost of a receiver report; used only without transport-wide feedback."""
        if not self.feedback_seen and now - self._last_loss_change > 0.9:
            self._react_to_loss(lost, now)
            if not self._remb and lost < _LOSS_LOW:
                self._delay_based = min(self._delay_based * _INCREASE, self._maximum)
            self._settle(now)

    def remb(self, bitrate: int, now: float) -> None:
        """The receiver's own estimate; it caps ours while it is not older than ten seconds."""
        self._remb, self._remb_at = bitrate, now
        if not self.feedback_seen:
            self._delay_based = float(bitrate)
            self._loss_based = max(self._loss_based, bitrate * 0.5)
        self._settle(now)

    def probed(self, bitrate: float, now: float) -> None:
        """A probe found that so much is carried."""
        self._delay_based = max(self._delay_based, bitrate)
        self._loss_based = max(self._loss_based, bitrate)
        self._last_increase = now
        self._settle(now)

    def tick(self, now: float, *, sending: bool) -> None:
        """Look at the time: a way down that tells nothing any more carries nothing."""
        if not sending:
            self._last_feedback = now
            # No sound either: nothing is sent whose delay could tell that the queue is gone.
            if self._queue.give_up(now):
                self._settle(now)
        elif self.feedback_seen and now - self._last_feedback > _SILENCE:
            self._last_feedback = now
            self._delay_based *= 0.5
            self._settle(now)

    def _settle(self, now: float) -> None:
        self._delay_based = min(max(self._delay_based, MINIMUM), self._maximum)
        self._loss_based = min(max(self._loss_based, MINIMUM), self._maximum)
        target = min(self._delay_based, self._loss_based)
        if self._remb and now - self._remb_at < _REMB_VALID:
            target = min(target, self._remb)
        self.target = MINIMUM if self._queue.draining else max(MINIMUM, int(target))

    @property
    def draining(self) -> bool:
        """Whether a long queue on the way is being waited out."""
        return self._queue.draining
