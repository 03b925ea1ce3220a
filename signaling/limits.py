"""Rates: messages per connection, bad tokens and silent sockets per address. Pure; `now` is
monotonic seconds."""

from __future__ import annotations

import ipaddress
from typing import Final

MESSAGE_RATE: Final = 40.0  # messages per second
MESSAGE_BURST: Final = 200
PAUSE: Final = 2.0  # seconds of refill before an emptied bucket gives again
REFUSALS_IN_A_ROW: Final = 100  # then the connection is closed

FREE_FAILURES: Final = 10
FIRST_DELAY: Final = 0.25  # seconds, doubling
LONGEST_DELAY: Final = 8.0
FORGIVEN_EVERY: Final = 30.0  # seconds, one failure
ADDRESSES: Final = 10_000
AWAITING_PER_ADDRESS: Final = 64
AWAITING_IN_ALL: Final = 10_000

_INTERVAL: Final = 1 / MESSAGE_RATE
# Seconds of rate the bucket holds; half a message more, for 200 sums of a rounded interval.
_DEPTH: Final = (MESSAGE_BURST + 0.5) / MESSAGE_RATE
# Failures beyond this change nothing any more; counting on would only lengthen the punishment.
_MOST_FAILURES: Final = FREE_FAILURES + 1 + int(LONGEST_DELAY / FIRST_DELAY).bit_length()


class TokenBucket:
    """40 messages/s after a burst of 200.

    Emptied, it refuses everything until it has refilled for two seconds. A bucket that let every
    other message through would never refuse many in a row, and so never tell a page that is a
    little quick from one that floods.
    """

    __slots__ = ("_full_at", "_resumes_at", "refused")

    def __init__(self) -> None:
        self._full_at = 0.0  # when the bucket would be full again, were nothing more taken
        self._resumes_at = 0.0
        self.refused = 0  # in a row

    def allow(self, now: float) -> bool:
        """Takes one message; counts `refused` in a row."""
        if now < self._resumes_at:
            self.refused += 1
            return False
        full_at = self._full_at
        full_at = (full_at if full_at > now else now) + _INTERVAL
        if full_at - now > _DEPTH:
            self._resumes_at = now + PAUSE
            self.refused += 1
            return False
        self._full_at = full_at
        if self.refused:
            self.refused = 0
        return True

    def retry_after(self, now: float) -> float:
        """Seconds until the next message is taken; 0.0 at once."""
        return max(0.0, self._resumes_at - now)

    @property
    def exhausted(self) -> bool:
        """REFUSALS_IN_A_ROW reached: close with slow_down."""
        return self.refused >= REFUSALS_IN_A_ROW


class Allowance:
    """`rate` messages a second after a burst of `burst`; what is refused costs nothing further."""

    __slots__ = ("_depth", "_full_at", "_interval")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = 1 / rate
        self._depth = burst / rate
        self._full_at = 0.0  # when all of the burst would be free again

    def take(self, now: float) -> float:
        """Takes one message and gives 0.0, or gives the seconds until one would be taken."""
        full_at = max(self._full_at, now) + self._interval
        wait = full_at - now - self._depth
        if wait > 1e-9:  # the rounding of many sums
            return wait
        self._full_at = full_at
        return 0.0


class Allowances:
    """An Allowance for each key. Of whom all of the burst is free again is forgotten when the next
    one asks; and at 10,000 keys the one that asked longest ago."""

    __slots__ = ("_burst", "_kept", "_known", "_rate")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._kept = burst / rate  # seconds
        # With when they last asked; the longest ago first.
        self._known: dict[str, tuple[Allowance, float]] = {}

    def take(self, key: str, now: float) -> float:
        """Takes one for `key` and gives 0.0, or gives the seconds until there is one."""
        known = self._known
        allowance, _ = known.pop(key, (Allowance(self._rate, self._burst), now))
        while known:
            oldest = next(iter(known))
            if len(known) < ADDRESSES and known[oldest][1] > now - self._kept:
                break
            del known[oldest]
        known[key] = (allowance, now)
        return allowance.take(now)

    def __len__(self) -> int:
        return len(self._known)


def address_key(address: str) -> str:
    """Whom an address stands for: an IPv4 address, or the /64 of an IPv6 one (v4-mapped: the
    IPv4 address). Anything else (a Unix socket) is one key, ``"local"``."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "local"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.IPv6Address(int(ip) >> 64 << 64)) + "/64"
    return str(ip)


class AddressThrottle:
    """Delays for the answers to bad tokens, per address_key; nobody else waits.

    The first 10 failures are free, then the delay doubles from 0.25 s to 8 s; one failure
    is forgotten for every 30 s without another. At 10,000 addresses the one that failed longest
    ago is evicted: whoever commands more addresses than that is not slowed by delays per address
    anyway.
    """

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        # address_key -> (failures, as of when); the longest ago first.
        self._failures: dict[str, tuple[int, float]] = {}

    def failed(self, address: str, now: float) -> float:
        """Counts a failure; gives the seconds to wait before it is answered."""
        key = address_key(address)
        failures = min(self._failures_of(key, now) + 1, _MOST_FAILURES)
        self._failures.pop(key, None)
        if len(self._failures) >= ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[key] = (failures, now)
        return _delay(failures)

    def delay(self, address: str, now: float) -> float:
        """Seconds an answer to this address is now delayed, without counting anything."""
        return _delay(self._failures_of(address_key(address), now))

    def __len__(self) -> int:
        return len(self._failures)

    def _failures_of(self, key: str, now: float) -> int:
        failures, then = self._failures.get(key, (0, now))
        return max(0, failures - int((now - then) / FORGIVEN_EVERY))


def _delay(failures: int) -> float:
    over = failures - FREE_FAILURES
    return 0.0 if over <= 0 else min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (over - 1))


class AwaitingHello:
    """Sockets that have not said hello: at most 64 per address_key and 10,000 in all; the next is
    refused."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._total = 0

    def enter(self, address: str) -> bool:
        """False: refuse the socket (HTTP 429 slow_down); then do not call leave."""
        key = address_key(address)
        count = self._counts.get(key, 0)
        if count >= AWAITING_PER_ADDRESS or self._total >= AWAITING_IN_ALL:
            return False
        self._counts[key] = count + 1
        self._total += 1
        return True

    def leave(self, address: str) -> None:
        """The socket has said hello, or is gone. Once per successful enter."""
        key = address_key(address)
        count = self._counts.get(key, 0)
        assert count > 0, "leave without enter"
        if count == 1:
            del self._counts[key]
        else:
            self._counts[key] = count - 1
        self._total -= 1

    def __len__(self) -> int:
        return self._total
