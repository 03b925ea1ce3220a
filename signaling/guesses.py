"""How often codes may be guessed. Pure; `now` is monotonic seconds.

Nine digits are a billion codes, so what protects them is that guessing is slow:

* an address (IPv6: a /64, and its /48 with four times as much) has 5 tries; then it waits 2 s
  before the next is looked at, then 4, doubling up to an hour. One is given back for each hour.
* After 100 wrong guesses in ten minutes, from all addresses together, each has 1 try in place of 5.
  Who types the right code at once is not slowed, however many others guess.

Whoever has to wait is told so at once: nothing is looked up, nothing is counted, nothing piles up.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from typing import Final

from signaling.limits import ADDRESSES, address_key

FREE: Final = 5  # tries of an address
FREE_UNDER_ATTACK: Final = 1
NETWORK_FACTOR: Final = 4  # times as much for a /48
FIRST_WAIT: Final = 2.0  # seconds, doubling
LONGEST_WAIT: Final = 3600.0
GIVEN_BACK_EVERY: Final = 3600.0  # seconds, one try
ATTACK_GUESSES: Final = 100  # wrong ones, of all
ATTACK_WINDOW: Final = 600.0  # seconds

_MOST_GUESSES: Final = 64  # counted of one address; more would change nothing


class Guesses:
    """At 10,000 addresses the one that guessed longest ago is forgotten."""

    __slots__ = ("_made", "_wrong")

    def __init__(self) -> None:
        # address -> (guesses, when the last was made); the longest ago first.
        self._made: dict[str, tuple[int, float]] = {}
        # When the latest wrong guesses were made.
        self._wrong: deque[float] = deque(maxlen=ATTACK_GUESSES)

    def take(self, address: str, now: float) -> float:
        """Takes a try; gives 0.0, or for how many seconds there is none."""
        keys = _keys(address)
        wait = max(self._wait(key, factor, now) for key, factor in keys)
        if wait > 0:
            return wait
        # Counted before the code is looked at: many at once are no way around.
        for key, _ in keys:
            guesses = min(self._guesses(key, now) + 1, _MOST_GUESSES)
            self._made.pop(key, None)
            if len(self._made) >= ADDRESSES:
                del self._made[next(iter(self._made))]
            self._made[key] = (guesses, now)
        return 0.0

    def wrong(self, now: float) -> None:
        """The code was none."""
        self._wrong.append(now)

    def right(self, address: str) -> None:
        """It was one: that try is given back, those before are not."""
        for key, _ in _keys(address):
            guesses, then = self._made.get(key, (0, 0.0))
            if guesses > 1:
                self._made[key] = (guesses - 1, then)
            else:
                self._made.pop(key, None)

    def under_attack(self, now: float) -> bool:
        """Whether the latest ATTACK_GUESSES wrong ones came within ATTACK_WINDOW."""
        return len(self._wrong) == ATTACK_GUESSES and now - self._wrong[0] < ATTACK_WINDOW

    def __len__(self) -> int:
        return len(self._made)

    def _guesses(self, key: str, now: float) -> int:
        guesses, then = self._made.get(key, (0, now))
        return max(0, guesses - int((now - then) / GIVEN_BACK_EVERY))

    def _wait(self, key: str, factor: int, now: float) -> float:
        _, then = self._made.get(key, (0, now))
        free = (FREE_UNDER_ATTACK if self.under_attack(now) else FREE) * factor
        over = self._guesses(key, now) - free
        if over < 0:
            return 0.0
        return max(0.0, then + min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(over, 32)) - now)


def _keys(address: str) -> list[tuple[str, int]]:
    key = address_key(address)
    if not key.endswith("/64"):
        return [(key, 1)]
    network = ipaddress.ip_network(key).supernet(new_prefix=48)
    return [(key, 1), (str(network), NETWORK_FACTOR)]
