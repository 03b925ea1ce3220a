"""Rates: messages per connection, bad tokens and silent sockets per address. Pure; `now` is
monotonic seconds."""

from __future__ import annotations

from typing import Final

MESSAGE_RATE: Final = 40.0  # messages per second
MESSAGE_BURST: Final = 200
REFUSALS_IN_A_ROW: Final = 100  # then the connection is closed

FREE_FAILURES: Final = 10
FIRST_DELAY: Final = 0.25  # seconds, doubling
LONGEST_DELAY: Final = 8.0
ADDRESSES: Final = 10_000
AWAITING_PER_ADDRESS: Final = 64
AWAITING_IN_ALL: Final = 10_000


class TokenBucket:
    """Refuses from the moment it is empty until it has refilled for two seconds, so that whoever
    goes on far above the rate is refused many times in a row."""

    __slots__ = ("_full_at", "_resumes_at", "refused")

    def __init__(self) -> None:
        raise NotImplementedError

    def allow(self, now: float) -> bool:
        """Takes one message; counts `refused` in a row."""
        raise NotImplementedError

    def retry_after(self, now: float) -> float:
        """Seconds until the next message is taken; 0.0 at once."""
        raise NotImplementedError

    @property
    def exhausted(self) -> bool:
        """REFUSALS_IN_A_ROW reached: close with slow_down."""
        raise NotImplementedError


def address_key(address: str) -> str:
    """Whom an address stands for: an IPv4 address, or the /64 of an IPv6 one (v4-mapped: the
    IPv4 address). Anything else (a Unix socket) is one key, ``"local"``."""
    raise NotImplementedError


class AddressThrottle:
    """Delays for the answers to bad tokens, per address_key; nobody else waits.

    The first 10 failures are free, then the delay doubles from 0.25 s to 8 s; a failure is
    forgotten every 30 s. At 10,000 addresses the one that failed longest ago is evicted.
    """

    __slots__ = ("_failures",)

    def __init__(self) -> None:
        raise NotImplementedError

    def failed(self, address: str, now: float) -> float:
        """Counts a failure; gives the seconds to wait before it is answered."""
        raise NotImplementedError

    def delay(self, address: str, now: float) -> float:
        """Seconds an answer to this address is now delayed, without counting anything."""
        raise NotImplementedError


class AwaitingHello:
    """Sockets that have not said hello: at most 64 per address_key and 10,000 in all."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        raise NotImplementedError

    def enter(self, address: str) -> bool:
        """False: refuse the socket (HTTP 429 slow_down); then do not call leave."""
        raise NotImplementedError

    def leave(self, address: str) -> None:
        """The socket has said hello, or is gone. Once per successful enter."""
        raise NotImplementedError
