"""How often the way to the relay may be measured. Pure; `now` is monotonic seconds.

Six checks at once of one room, then one every 20 s; thirty of one address (IPv6: a /64), then one
every 4 s, as a practice or a mobile carrier has many people behind one. Each node counts for
itself.
"""

from __future__ import annotations

from typing import Final

from signaling.limits import Allowances, address_key

ROOM_BURST: Final = 6
ROOM_RATE: Final = 1 / 20  # per second
ADDRESS_BURST: Final = 30
ADDRESS_RATE: Final = 1 / 4


class CheckRates:
    """Both tables are bounded as Allowances are."""

    __slots__ = ("_addresses", "_rooms")

    def __init__(self) -> None:
        self._rooms = Allowances(ROOM_RATE, ROOM_BURST)
        self._addresses = Allowances(ADDRESS_RATE, ADDRESS_BURST)

    def take(self, room: str, address: str, now: float) -> float:
        """Takes one check and gives 0.0, or gives the seconds until there is one."""
        return self._rooms.take(room, now) or self._addresses.take(address_key(address), now)

    def __len__(self) -> int:
        return max(len(self._rooms), len(self._addresses))
