"""Relay ports: which are free, which were reserved by EVEN-PORT (RFC 8656 §7.2)."""

from __future__ import annotations

from collections.abc import Callable

_PROBES = 32


class PortPool:
    """Ports of one family on one relay address, chosen at random (RFC 6056).

    The pool knows what this process uses; whether another program holds a port is found out by
    binding it, and `give_back` returns what could not be bound.
    """

    __slots__ = ("_ports", "_random", "_used")

    def __init__(self, ports: range, random: Callable[[int], bytes]) -> None:
        self._ports = ports
        self._random = random
        self._used: set[int] = set()

    @property
    def used(self) -> int:
        return len(self._used)

    def take(self) -> int | None:
        """Any free port, or None when all are used."""
        return self._search(lambda port: port not in self._used, (0,))

    def take_even(self) -> int | None:
        """A free even port."""
        return self._search(lambda port: port % 2 == 0 and port not in self._used, (0,))

    def take_pair(self) -> int | None:
        """An even port whose successor is free too; both are taken."""
        return self._search(
            lambda port: (
                port % 2 == 0
                and port + 1 in self._ports
                and port not in self._used
                and port + 1 not in self._used
            ),
            (0, 1),
        )

    def give_back(self, port: int) -> None:
        self._used.discard(port)

    def _search(self, fits: Callable[[int], bool], offsets: tuple[int, ...]) -> int | None:
        size = len(self._ports)
        port = self._probe(fits, size) or self._scan(fits, size)
        if port is not None:
            self._used.update(port + offset for offset in offsets)
        return port

    def _probe(self, fits: Callable[[int], bool], size: int) -> int | None:
        for _ in range(_PROBES):
            port = self._ports[int.from_bytes(self._random(4), "big") % size]
            if fits(port):
                return port
        return None

    def _scan(self, fits: Callable[[int], bool], size: int) -> int | None:
        """From a random start, so that a nearly full pool still gives no port away."""
        start = int.from_bytes(self._random(4), "big") % size
        for step in range(size):
            port = self._ports[(start + step) % size]
            if fits(port):
                return port
        return None
