"""Which peers a client may reach through the relay.

A relay stands inside the operator's network, so everything not plainly on the public internet is
refused unless the operator allows it. Order: own listeners, denied, IPv4 hidden in IPv6, loopback
for trials, own hosts, allowed, special-purpose. Own hosts come before what is allowed, as a network
that is open to calls is seldom meant to open the relay's own machine in it. Services (our own
forwarder of groups) are let through although their host would not be, each at its port alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import Enum

from turn.address import Address
from turn.special_ranges import GLOBAL_UNICAST, IPV4_SPECIAL, IPV6_SPECIAL, embedded_ipv4

_LOOPBACK = ("127.0.0.0/8", "::1/128")
_Host = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refusal(Enum):
    """Why a peer is refused; the value labels a counter."""

    LISTENER = "own_listener"
    DENIED = "denied"
    EMBEDDED = "embedded_ipv4"
    OWN_HOST = "own_host"
    SPECIAL = "special_range"
    UNALLOCATED = "unallocated"
    CHECK = "not_of_this_check"


class PeerPolicy:
    """The decision for one address; nothing here is kept per client.

    `own_hosts` are every address of this machine and what a NAT shows of it. A peer there is
    another client's relayed address, so only relay ports are let through.
    """

    __slots__ = (
        "_allowed", "_denied", "_listeners", "_own_hosts", "_relay_ports", "_services", "_trial",
    )  # fmt: skip

    def __init__(
        self,
        *,
        allowed: Iterable[str] = (),
        denied: Iterable[str] = (),
        allow_loopback: bool = False,
        own_hosts: Iterable[str] = (),
        listeners: Iterable[Address] = (),
        relay_ports: range = range(0),
        services: Iterable[Address] = (),
    ) -> None:
        trial = _LOOPBACK if allow_loopback else ()
        self._trial = tuple(ipaddress.ip_network(network) for network in trial)
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)
        self._denied = tuple(ipaddress.ip_network(network) for network in denied)
        self._own_hosts = frozenset(ipaddress.ip_address(host) for host in own_hosts)
        self._listeners = frozenset((ipaddress.ip_address(host), port) for host, port in listeners)
        self._relay_ports = relay_ports
        found: dict[_Host, set[int]] = {}
        for host, port in services:
            found.setdefault(ipaddress.ip_address(host), set()).add(port)
        self._services = found

    def refuses(self, peer: Address) -> Refusal | None:
        """Why the peer is refused, or None when it may be reached. `peer.host` is numeric."""
        host = ipaddress.ip_address(peer.host)
        hidden = _hidden(host)
        for candidate in (host, *hidden):
            if self._is_listener(candidate, peer.port):
                return Refusal.LISTENER
            if _within(candidate, self._denied):
                return Refusal.DENIED
        if any(self._special(candidate, peer.port) for candidate in hidden):
            return Refusal.EMBEDDED
        if peer.port in self._services.get(host, ()):
            return None
        return self._special(host, peer.port)

    def refuses_port(self, peer: Address) -> bool:
        """Whether a peer on a permitted host is refused for its port.

        Permissions are for hosts (RFC 8656 §9), so what may be sent to this machine's own ports
        must be looked at again for each port.
        """
        host = ipaddress.ip_address(peer.host)
        if self._is_listener(host, peer.port):
            return True
        services = self._services.get(host)
        if services is not None:
            if peer.port in services:
                return False
            # The host may have been permitted for the sake of a service alone.
            return self._special(host, peer.port) is not None
        return any(
            self._refuses_own(each, peer.port) is not None for each in (host, *_hidden(host))
        )

    def _is_listener(self, host: _Host, port: int) -> bool:
        return (host, port) in self._listeners

    def _refuses_own(self, host: _Host, port: int) -> Refusal | None:
        """Why a host is refused that is this machine, whatever is allowed."""
        if _within(host, self._trial):
            return None
        if host in self._own_hosts:
            return None if port in self._relay_ports else Refusal.OWN_HOST
        # Linux takes the address of none for this machine, and so is all of loopback.
        return Refusal.SPECIAL if host.is_loopback or host.is_unspecified else None

    def _special(self, host: _Host, port: int) -> Refusal | None:
        refusal = self._refuses_own(host, port)
        if refusal is not None or host in self._own_hosts or _within(host, self._trial):
            return refusal
        if _within(host, self._allowed):
            return None
        if isinstance(host, ipaddress.IPv4Address):
            special = any(host in network for network, _ in IPV4_SPECIAL)
            return Refusal.SPECIAL if special else None
        if any(host in network for network, _ in IPV6_SPECIAL):
            return Refusal.SPECIAL
        return None if host in GLOBAL_UNICAST else Refusal.UNALLOCATED


def _hidden(host: _Host) -> Iterable[_Host]:
    return embedded_ipv4(host) if isinstance(host, ipaddress.IPv6Address) else ()


def _within(host: _Host, networks: tuple[_Network, ...]) -> bool:
    return any(host in network for network in networks)
