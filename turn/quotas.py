"""Bounds on what clients may take: allocations, requests, and bytes to unproven sources."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TypeVar

from turn.address import pack_host

_Key = TypeVar("_Key")

_SLOTS = 16384  # a power of two; the tables below take 4 x 2 x 128 KiB whatever is sent at us


def source_of(host: str) -> bytes:
    """What one party is taken to own: an IPv4 address, or the /64 of an IPv6 address."""
    packed = pack_host(host)
    return packed if len(packed) == 4 else packed[:8]


class AllocationQuota:
    """Counts allocations in all, by user and by client source, each up to a bound.

    The counters hold one entry for each user and source that has an allocation now, so the
    bound on allocations bounds them.
    """

    __slots__ = ("_most", "_per_source", "_per_user", "_sources", "_users", "total")

    def __init__(self, most: int, *, per_user: int, per_source: int) -> None:
        self._most = most
        self._per_user = per_user
        self._per_source = per_source
        self._users: Counter[str] = Counter()
        self._sources: Counter[bytes] = Counter()
        self.total = 0

    @property
    def full(self) -> bool:
        """Whether the server as a whole takes no further allocation (508)."""
        return self.total >= self._most

    def reached(self, user: str, host: str) -> bool:
        """Whether this user or source takes no further allocation (486)."""
        return (
            self._users[user] >= self._per_user
            or self._sources[source_of(host)] >= self._per_source
        )

    def take(self, user: str, host: str) -> None:
        self.total += 1
        self._users[user] += 1
        self._sources[source_of(host)] += 1

    def give_back(self, user: str, host: str) -> None:
        self.total -= 1
        _decrement(self._users, user)
        _decrement(self._sources, source_of(host))


def _decrement(counter: Counter[_Key], key: _Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


class SourceBuckets:
    """Token buckets by source in a table of fixed size.

    A flood from forged sources costs no memory: sources share a slot by a hash the attacker
    cannot know, and the worst of a shared slot is a shared allowance.
    """

    __slots__ = ("_burst", "_rate", "_salt", "_tokens", "_touched")

    def __init__(self, rate: float, burst: float, salt: bytes) -> None:
        self._rate = rate
        self._burst = burst
        self._salt = salt
        self._tokens = array("d", [burst]) * _SLOTS
        self._touched = array("d", [0.0]) * _SLOTS

    def take(self, host: str, amount: float, now: float) -> bool:
        """Take from the source's bucket, or leave it as it is and say no."""
        slot = self._refilled(host, now)
        if self._tokens[slot] < amount:
            return False
        self._tokens[slot] -= amount
        return True

    def _refilled(self, host: str, now: float) -> int:
        slot = hash((self._salt, self._salt + source_of(host))) & (_SLOTS - 1)
        elapsed = max(0.0, now - self._touched[slot])
        self._touched[slot] = now
        self._tokens[slot] = min(self._burst, self._tokens[slot] + elapsed * self._rate)
        return slot


class Bucket:
    """One token bucket, for one allocation."""

    __slots__ = ("_burst", "_rate", "_tokens", "_touched")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._touched = now

    def take(self, amount: float, now: float) -> bool:
        elapsed = max(0.0, now - self._touched)
        self._touched = now
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True
