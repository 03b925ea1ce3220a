"""Settings of a node. Whoever runs it makes one of these; nothing is read from elsewhere."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from sfu.interfaces import Bounds


class ConfigError(ValueError):
    """A missing or contradictory setting; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NodeBounds:
    """Bounds of one node, and what happens at each."""

    rooms: int = 500
    """Rooms at a time; an offer for one more is refused `sfu_unavailable`."""
    participants: int = 2000
    """Connections at a time, in all rooms; an offer for one more is refused `sfu_unavailable`."""
    streams: int = 1024
    """TCP streams at a time; one more is closed at once."""
    streams_per_address: int = 64
    """TCP streams of one address (IPv6: one /64); one more is closed at once."""
    room: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Where a node listens and what it says of itself.

    `listen`: numeric addresses, each gets sockets of its own. `0.0.0.0` and `::` work where the
    machine has one address of the family: what is asked at one address must be answered from it.
    `port`: for UDP and TCP; 0 lets the kernel choose. `advertised`: numeric addresses that pages
    are told, best first; the listening ones where it is empty. `tcp`: whether ICE-TCP is offered.
    """

    listen: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - a public server listens everywhere
    port: int = 10000
    advertised: tuple[str, ...] = ()
    tcp: bool = True
    bounds: NodeBounds = field(default_factory=NodeBounds)

    @property
    def shown(self) -> tuple[str, ...]:
        """The addresses that pages are told."""
        return self.advertised or self.listen

    def validate(self) -> None:
        """Raise ConfigError with one line that says what to do."""
        if not self.listen:
            raise ConfigError("the forwarder has no address to listen on: set KONSIL_SFU_HOST")
        if not 0 <= self.port <= 65_535:
            raise ConfigError("KONSIL_SFU_PORT must be a port number")
        for host in (*self.listen, *self.advertised):
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ConfigError(f"not a numeric address for the forwarder: {host!r}") from None
        if any(ipaddress.ip_address(host).is_unspecified for host in self.shown):
            raise ConfigError("the forwarder needs an address that pages can reach it at")
