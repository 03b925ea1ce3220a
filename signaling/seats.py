"""How many connections a node has, and how many of them one address has. Pure.

A seat is taken when a connection is accepted, and left at its very end: the TLS handshake and the
WebSocket included.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

MAX_CONNECTIONS: Final = 20_000
"""TCP connections of a node, WebSockets included. One more is closed as soon as it is accepted."""

CONNECTIONS_PER_ADDRESS: Final = 256
"""Of one IPv4 address, or of the /64 of an IPv6 one. Hospitals and mobile carriers have many people
behind one address: this is a WebSocket for each of 200, while a few of them load a page over the
six connections that a browser opens. And it is little enough that 78 addresses are needed to fill
a node."""

_CROWDED_NODE: Final = 7 / 8
_CROWDED_ADDRESS: Final = 3 / 4


class Full(Enum):
    """Why there is no seat."""

    NODE = "node"
    ADDRESS = "address"


class Seats:
    """Of an address no more is kept than the number that `place_of` makes of it."""

    __slots__ = ("_is_proxy", "_limit", "_per_address", "_place_of", "_places", "open")

    def __init__(
        self,
        limit: int,
        per_address: int,
        *,
        place_of: Callable[[str], int],
        is_proxy: Callable[[str], bool],
    ) -> None:
        """`is_proxy`: whether all the world may come by this address; it is not counted by."""
        self._limit = limit
        self._per_address = per_address
        self._place_of = place_of
        self._is_proxy = is_proxy
        self._places: dict[int, int] = {}  # those with a seat; bounded by `limit`
        self.open = 0

    def take(self, peer: str) -> Seat | Full:
        """A seat for a connection from the address `peer`."""
        if self.open >= self._limit:
            return Full.NODE
        seat = Seat(self)
        if not self._is_proxy(peer) and not seat.move(peer):
            return Full.ADDRESS
        self.open += 1
        seat.taken = True
        return seat

    def __len__(self) -> int:
        """How many addresses have one."""
        return len(self._places)


class Seat:
    """One connection's."""

    __slots__ = ("_place", "_seats", "taken")

    def __init__(self, seats: Seats) -> None:
        self._seats = seats
        self._place: int | None = None
        self.taken = False

    def move(self, address: str) -> bool:
        """Have the connection count for `address`, unless it is known already for whom.

        False: that address has as many as it may have.
        """
        if self._place is not None:
            return True
        seats = self._seats
        place = seats._place_of(address)
        count = seats._places.get(place, 0)
        if count >= seats._per_address:
            return False
        seats._places[place] = count + 1
        self._place = place
        return True

    @property
    def crowded(self) -> bool:
        """Whether few seats are left, for everybody or for this address."""
        seats = self._seats
        if seats.open > seats._limit * _CROWDED_NODE:
            return True
        if self._place is None:
            return False
        return seats._places.get(self._place, 0) > seats._per_address * _CROWDED_ADDRESS

    def leave(self) -> None:
        """The connection is gone; a second time does nothing."""
        if not self.taken:
            return
        self.taken = False
        seats = self._seats
        seats.open -= 1
        if self._place is None:
            return
        count = seats._places[self._place] - 1
        if count:
            seats._places[self._place] = count
        else:
            del seats._places[self._place]
