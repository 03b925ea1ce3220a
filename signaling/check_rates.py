"""How often the way to the relay may be measured. Pure; `now` is monotonic seconds.

Six checks at once of one room, then one every 20 s; thirty of one address (IPv6: a /64), then one
every 4 s, as a practice or a mobile carrier has many people behind one. Each node counts for
itself.
"""

from __future__ import annotations

from typing import Final

from signaling.limits import ADDRESSES, Allowance, address_key

ROOM_BURST: Final = 6
ROOM_RATE: Final = 1 / 20  # per second
ADDRESS_BURST: Final = 30
ADDRESS_RATE: Final = 1 / 4
KEPT: Final = 120.0  # seconds; by then all of either burst is free again


class CheckRates:
    """Who has not asked for two minutes is forgotten when the next one asks; and at 10,000 rooms,
    or addresses, the one that asked longest ago."""

    __slots__ = ("_addresses", "_rooms")

    def __init__(self) -> None:
        # With when they last asked; the longest ago first.
        self._rooms: dict[str, tuple[Allowance, float]] = {}
        self._addresses: dict[str, tuple[Allowance, float]] = {}

    def take(self, room: str, address: str, now: float) -> float:
        """Takes one check and gives 0.0, or gives the seconds until there is one."""
        by_room = _found(self._rooms, room, Allowance(ROOM_RATE, ROOM_BURST), now)
        wait = by_room.take(now)
        if wait > 0:
            return wait
        new = Allowance(ADDRESS_RATE, ADDRESS_BURST)
        return _found(self._addresses, address_key(address), new, now).take(now)

    def __len__(self) -> int:
        return max(len(self._rooms), len(self._addresses))


def _found(
    known: dict[str, tuple[Allowance, float]], key: str, new: Allowance, now: float
) -> Allowance:
    allowance, _ = known.pop(key, (new, now))
    while known:
        oldest = next(iter(known))
        if len(known) < ADDRESSES and known[oldest][1] > now - KEPT:
            break
        del known[oldest]
    known[key] = (allowance, now)
    return allowance
