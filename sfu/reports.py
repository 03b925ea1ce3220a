"""Sender and receiver reports (RFC 3550 §6.4, appendix A.3 and A.8), and the clocks in them."""

from __future__ import annotations

from sfu.rtcp import ReportBlock
from sfu.sequence import signed32

_NTP_SECOND = 1 << 32


class SenderClock:
    """A stream's timeline as its sender reports tell it: NTP time against RTP timestamps.

    All streams of a page have one NTP clock; that is what sound and pictures are aligned by, so
    it goes on to subscribers unchanged, while the RTP timestamp is mapped to our timeline.
    """

    __slots__ = ("_rate", "at", "known", "ntp", "timestamp")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.known = False
        self.ntp = 0  # 64 bits, seconds in the upper half
        self.timestamp = 0
        self.at = 0.0  # when the report came

    def report(self, ntp: int, timestamp: int, now: float) -> None:
        """Take a sender report."""
        self.known = True
        self.ntp, self.timestamp, self.at = ntp, timestamp, now

    def ntp_of(self, timestamp: int) -> float:
        """NTP time in seconds of an RTP timestamp not more than 2^31 from the reported one."""
        return self.ntp / _NTP_SECOND + signed32(timestamp - self.timestamp) / self._rate

    def now(self, now: float) -> tuple[int, int]:
        """The pair (NTP, timestamp) as a report of this moment would have it."""
        passed = max(0.0, now - self.at)
        ntp = (self.ntp + int(passed * _NTP_SECOND)) & 0xFFFFFFFFFFFFFFFF
        return ntp, (self.timestamp + int(passed * self._rate)) & 0xFFFFFFFF

    def middle(self) -> int:
        """The middle 32 bits of the reported NTP time: LSR of a receiver report."""
        return self.ntp >> 16 & 0xFFFFFFFF


class Reception:
    """What a receiver report says of one incoming stream."""

    __slots__ = (
        "_expected", "_first", "_last_received", "_transit", "jitter", "rate", "received",
    )  # fmt: skip

    def __init__(self, rate: int, first: int) -> None:
        """`rate` is the RTP clock in Hz, `first` the stream's first extended number."""
        self.rate = rate
        self.received = 0
        self.jitter = 0.0
        self._first = first
        self._expected = 0
        self._last_received = 0
        self._transit = -1

    def packet(self, timestamp: int, now: float) -> None:
        """Take note of a packet that came by itself, not by retransmission (RFC 3550 A.8)."""
        self.received += 1
        transit = int(now * self.rate) - timestamp & 0xFFFFFFFF
        if self._transit >= 0:
            difference = abs(signed32(transit - self._transit))
            # A pause or a jump of the timeline is no jitter.
            if difference < self.rate:
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit

    def block(self, ssrc: int, highest: int, clock: SenderClock, now: float) -> ReportBlock:
        """The report of this moment; `highest` is the newest extended number."""
        expected = highest + 1 - self._first
        since = expected - self._expected
        lost = since - (self.received - self._last_received)
        self._expected, self._last_received = expected, self.received
        return ReportBlock(
            ssrc=ssrc,
            lost=lost / since if since > 0 and lost > 0 else 0.0,
            total_lost=max(0, expected - self.received),
            highest=highest - 0x10000,  # our numbers begin in the second cycle
            jitter=int(self.jitter),
            last_report=clock.middle() if clock.known else 0,
            delay=int((now - clock.at) * 65536) if clock.known else 0,
        )


class RoundTrip:
    """Round trip of one subscriber, from the reports on what we send (RFC 3550 §6.4.1).

    Our sender reports carry the publisher's NTP time, so it is remembered when each left; the last
    four of a leg at most.
    """

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: list[tuple[int, float]] = []

    def sent(self, ntp: int, now: float) -> None:
        """A sender report with this NTP time leaves."""
        self._sent.append((ntp >> 16 & 0xFFFFFFFF, now))
        del self._sent[:-4]

    def measure(self, block: ReportBlock, now: float) -> float | None:
        """Seconds, or None when the block answers no report we remember."""
        for middle, at in self._sent:
            if middle == block.last_report and middle:
                measured = now - at - block.delay / 65536
                return measured if 0 <= measured < 10 else None
        return None
