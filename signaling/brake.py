"""Whoever keeps doing what no page does gets new WebSockets later. Pure; `now`: monotonic seconds.

An intruder at full speed would otherwise fill the node's processor, and everybody's messages would
wait. What is open already is never touched, and nobody is kept out: others behind the same address
wait two seconds, and their turn among the others who have waited (turnstile.py).
"""

from __future__ import annotations

import hashlib
from typing import Final

from signaling.limits import address_key

FREE: Final = 10  # offences
FIRST_WAIT_S: Final = 0.25  # doubling
LONGEST_WAIT_S: Final = 2.0
FORGIVEN_EVERY_S: Final = 20.0  # one offence
MOST: Final = FREE + 1 + int(LONGEST_WAIT_S / FIRST_WAIT_S).bit_length()
"""Offences beyond it change nothing any more; counting on would only lengthen the punishment."""

ALARM: Final = 100  # offences of all addresses together
CALMED_PER_S: Final = 5.0
"""By so many a second the alarm's count falls. While it is above ALARM, an attack comes from many
addresses, and whoever has offended at all waits longest; at most 20 s after its end."""

OFFENCES: Final = frozenset({"bad_message", "hello_expected", "slow_down", "token_invalid"})
"""Ends of a WebSocket, by the code that it was closed with (docs/protocol.md section 6)."""
_FRAME_FAULTS: Final = frozenset({1002, 1003, 1007, 1009})


def is_offence(close_code: int, reason: str) -> bool:
    """Whether a socket was closed for what no page does."""
    return close_code in _FRAME_FAULTS or reason in OFFENCES


class Brake:
    """Offences by place: of an address no more is kept than a number of 16 bits, by a key of this
    process. So the table has 65,536 entries at most, and nobody can be found by it."""

    __slots__ = ("_all", "_all_at", "_key", "_places")

    def __init__(self, key: bytes) -> None:
        """`key`: random, up to 64 bytes."""
        self._key = key
        self._places: dict[int, tuple[int, float]] = {}  # offences, as of when
        self._all = self._all_at = 0.0  # likewise, of all together

    def __bool__(self) -> bool:
        """Whether anybody has offended."""
        return bool(self._places)

    def place_of(self, address: str) -> int:
        """Of an IPv4 address, or of the /64 of an IPv6 one."""
        data = address_key(address).encode()
        digest = hashlib.blake2b(data, key=self._key, digest_size=2, usedforsecurity=False)
        return int.from_bytes(digest.digest(), "big")

    def offended(self, place: int, now: float) -> None:
        """Counts one."""
        self._places[place] = (min(self._offences(place, now) + 1, MOST), now)
        self._all, self._all_at = min(self._count(now) + 1, 2.0 * ALARM), now

    def wait(self, place: int, now: float) -> float:
        """Seconds before a new WebSocket is opened; 0.0 for all but offenders."""
        offences = self._offences(place, now)
        if not offences:
            self._places.pop(place, None)
            return 0.0
        if self._count(now) > ALARM:
            return LONGEST_WAIT_S
        over = offences - FREE
        return 0.0 if over <= 0 else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (over - 1))

    def _count(self, now: float) -> float:
        return max(0.0, self._all - (now - self._all_at) * CALMED_PER_S)

    def _offences(self, place: int, now: float) -> int:
        offences, then = self._places.get(place, (0, now))
        return max(0, offences - int((now - then) / FORGIVEN_EVERY_S))
