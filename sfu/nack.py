"""Negative acknowledgements: those we write to publishers, and those we answer to subscribers."""

from __future__ import annotations

_MAX_MISSING = 256
_MAX_TRIES = 8
_MAX_AGE = 1.0
_MIN_RETRY = 0.04
_MAX_NUMBERS = 136  # in one packet: what a reduced-size NACK of eight blocks can hold


class MissingPackets:
    """What is missing of one publisher's stream, and when to ask for it (again).

    At most 256 packets: a larger gap is not asked for at all, everything is forgotten, and
    `given_up` tells to ask for a key frame. A packet is asked for at most 8 times and for one
    second, at intervals of the round trip and no less than 40 ms; then `given_up` tells as well.
    """

    __slots__ = ("_missing", "given_up")

    def __init__(self) -> None:
        self._missing: dict[int, tuple[float, float, int]] = {}  # since, ask again at, tries
        self.given_up = False

    def __len__(self) -> int:
        return len(self._missing)

    def lost(self, first: int, end: int, now: float) -> None:
        """The extended numbers from `first` to before `end` have been jumped over."""
        if len(self._missing) + end - first > _MAX_MISSING:
            self._missing.clear()
            self.given_up = True
            return
        for number in range(first, end):
            self._missing[number] = (now, now, 0)

    def arrived(self, number: int) -> None:
        """A packet has come after all."""
        self._missing.pop(number, None)

    def due(self, now: float, round_trip: float) -> list[int]:
        """Extended numbers to ask for now, in ascending order, as many as fit one packet."""
        due: list[int] = []
        for number, (since, again, tries) in list(self._missing.items()):
            if tries >= _MAX_TRIES or now - since > _MAX_AGE:
                del self._missing[number]
                self.given_up = True
            elif again <= now and len(due) < _MAX_NUMBERS:
                self._missing[number] = (since, now + max(_MIN_RETRY, round_trip), tries + 1)
                due.append(number)
        due.sort()
        return due


class RepeatBudget:
    """How much may be retransmitted to one subscriber, against amplification.

    NACKs are small and their answers large, so answers have an allowance in octets: a share of
    the bit rate the way down is thought to carry, with a floor, saved up for at most half a second.
    What goes beyond it is not answered; the page will ask again, or for a key frame.
    """

    __slots__ = ("_octets", "_rate", "_refilled")

    _SHARE = 0.5
    _FLOOR = 150_000  # bits per second

    def __init__(self, now: float) -> None:
        self._rate = self._FLOOR / 8
        self._octets = self._rate / 2
        self._refilled = now

    def set_bitrate(self, bitrate: int) -> None:
        """What the way down carries, in bits per second."""
        self._rate = max(self._FLOOR, bitrate * self._SHARE) / 8

    def take(self, octets: int, now: float) -> bool:
        """Whether a packet of that size may be repeated now; takes it from the allowance."""
        self._octets = min(self._rate / 2, self._octets + (now - self._refilled) * self._rate)
        self._refilled = now
        if self._octets < octets:
            return False
        self._octets -= octets
        return True


class Repeats:
    """Which packets of one leg were repeated when, so that each is repeated at a sensible pace.

    A packet is repeated at most `_MAX_TIMES` times, not sooner than a round trip after the last.
    Bounded: with more than 512 packets on record the oldest half is forgotten.
    """

    __slots__ = ("_times",)

    _MAX_TIMES = 6
    _MAX_RECORDS = 512

    def __init__(self) -> None:
        self._times: dict[int, tuple[float, int]] = {}

    def may(self, ours: int, now: float, round_trip: float) -> bool:
        """Whether the packet with this number may be repeated now; takes note of it."""
        last, count = self._times.get(ours, (-1.0, 0))
        if count >= self._MAX_TIMES or (count and now - last < max(0.01, round_trip * 0.9)):
            return False
        self._times.pop(ours, None)
        self._times[ours] = (now, count + 1)
        if len(self._times) > self._MAX_RECORDS:
            for old in list(self._times)[: self._MAX_RECORDS // 2]:
                del self._times[old]
        return True
