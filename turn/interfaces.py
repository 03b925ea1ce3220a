"""The addresses this host has: to listen on, to relay from, and to protect from its own clients."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from turn.address import Family, unpack_host
from turn.config import ConfigError, RelayConfig

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")
_LOCAL_ROUTE = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
# Documentation addresses: connecting a UDP socket sends nothing, it only asks the routing table.
_FAR_AWAY = {Family.IPV4: "198.51.100.1", Family.IPV6: "2001:db8::1"}
_LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


def host_addresses(family: Family) -> list[str]:
    """Every address of this host of a family, loopback included, link-local left out.

    Linux lists them; elsewhere it is loopback, the way out and what the host's name resolves to.
    """
    found: set[str] = set()
    with contextlib.suppress(OSError):
        if family is Family.IPV4:
            found.update(_LOCAL_ROUTE.findall(_FIB_TRIE.read_text()))
        else:
            lines = _IF_INET6.read_text().splitlines()
            found.update(unpack_host(bytes.fromhex(line.split()[0])) for line in lines)
    if not found:
        found = {_LOOPBACK[family], *filter(None, [primary_address(family)])}
        with contextlib.suppress(OSError):
            infos = socket.getaddrinfo(socket.gethostname(), 0, family.socket_family)
            found.update(str(info[4][0]) for info in infos)
    return sorted(host for host in found if not host.startswith("fe80:"))


def primary_address(family: Family) -> str | None:
    """The address this host sends from to the internet, or None without a route."""
    with contextlib.suppress(OSError), socket.socket(family.socket_family, socket.SOCK_DGRAM) as s:
        s.connect((_FAR_AWAY[family], 9))
        return str(s.getsockname()[0])
    return None


def relay_addresses(config: RelayConfig) -> dict[Family, str]:
    """The address to relay from, for each family that is on.

    "auto" takes the listening address when the server listens on a single one of the family, so
    that a server on loopback relays on loopback; otherwise the host's way out.
    """
    addresses: dict[Family, str] = {}
    for family, setting in (
        (Family.IPV4, config.relay_ipv4),
        (Family.IPV6, config.relay_ipv6),
    ):
        wildcard = "0.0.0.0" if family is Family.IPV4 else "::"  # noqa: S104
        hosts = {listener.host for listener in config.listen}
        single = {host for host in hosts if (":" in host) == (family is Family.IPV6)}
        if setting != "auto":
            address: str | None = setting
        elif len(single) == 1 and wildcard not in single:
            (address,) = single
        elif single:
            address = primary_address(family)
        elif any(host not in ("127.0.0.1", "::1") for host in hosts):
            # Clients of one family may want relayed addresses of the other (RFC 8656 §3.1).
            address = primary_address(family)
        else:
            address = None
        if address:
            addresses[family] = address
    if not addresses:
        raise ConfigError("the relay found no address to relay from: set KONSIL_TURN_RELAY_IPV4")
    return addresses
