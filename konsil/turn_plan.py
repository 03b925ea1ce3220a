"""Where the relay listens, what browsers are told of it, and its settings, out of ours."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from konsil import tls
from konsil.errors import SettingsError
from konsil.setting_rules import is_local, origin
from konsil.settings import Settings
from turn.address import Family
from turn.config import Limits, Listener, RelayConfig
from turn.five_tuple import Transport
from turn.interfaces import host_addresses

_EVERYWHERE: Final = {"0.0.0.0", "::"}  # noqa: S104 - asked for by the operator, or a public server
_MEGABIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Ports:
    """`tls`: the fallback port first, since whatever lets another one out lets 443 out, too."""

    plain: int
    tls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`hosts`: addresses to listen on. `name`: what browsers are told. `chain`: certificate, key.

    `local`: only this machine can reach it, so that its loopback may be a peer, too.
    """

    hosts: tuple[str, ...]
    name: str
    local: bool
    ports: Ports
    chain: tuple[Path, Path] | None

    def listeners(self, ports: Ports) -> tuple[Listener, ...]:
        plain = ((Transport.UDP, ports.plain), (Transport.TCP, ports.plain))
        secure = ((Transport.TLS, port) for port in ports.tls)
        return tuple(
            Listener(transport, host, port)
            for transport, port in (*plain, *secure)
            for host in self.hosts
        )

    def urls(self, ports: Ports) -> tuple[str, ...]:
        """In the order in which they connect fast (RFC 7065, RFC 7064)."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return (
            f"turn:{name}:{ports.plain}?transport=udp",
            f"turn:{name}:{ports.plain}?transport=tcp",
            *(f"turns:{name}:{port}?transport=tcp" for port in ports.tls),
            f"stun:{name}:{ports.plain}",
        )


def plan(settings: Settings, chain: tuple[Path, Path] | None, lan_host: str | None) -> Plan:
    """`chain`: of the HTTPS server; the relay's own settings win. Raises SettingsError."""
    public = urlsplit(origin(settings, settings.port, lan_host)).hostname or "localhost"
    local = is_local(settings.turn_host or public)
    if settings.turn_tls_cert is not None and settings.turn_tls_key is not None:
        chain = settings.turn_tls_cert, settings.turn_tls_key
    secure: list[int] = []
    if chain is not None:
        secure = [settings.turn_tls_port]
        if settings.turn_fallback_port is not None:
            secure.insert(0, settings.turn_fallback_port)
    elif settings.turn_fallback_port is not None:
        raise SettingsError(
            "KONSIL_TURN_FALLBACK_PORT needs a certificate: set KONSIL_TURN_TLS_CERT and "
            "KONSIL_TURN_TLS_KEY, or KONSIL_TLS_CERT and KONSIL_TLS_KEY"
        )
    hosts = _hosts(settings.turn_host, local)
    return Plan(
        hosts=hosts,
        name=settings.turn_name or _name(settings, public, hosts, local),
        local=local,
        ports=Ports(settings.turn_port, tuple(secure)),
        chain=chain,
    )


def relay_config(
    settings: Settings,
    planned: Plan,
    ports: Ports,
    secrets: Sequence[str],
    services: Sequence[tuple[str, int]] = (),
) -> RelayConfig:
    """What the relay is started with. `services`: see RelayConfig.allowed_services."""
    certificate, key = planned.chain if planned.chain and ports.tls else ("", "")
    return RelayConfig(
        secrets=tuple(secrets),
        realm=settings.turn_realm,
        listen=planned.listeners(ports),
        relay_ipv4=settings.turn_relay_ipv4,
        relay_ipv6=settings.turn_relay_ipv6,
        external_ipv4=settings.turn_public_ipv4,
        external_ipv6=settings.turn_public_ipv6,
        min_port=settings.turn_min_port,
        max_port=settings.turn_max_port,
        tls_certificate=str(certificate),
        tls_key=str(key),
        allow_loopback_peers=settings.turn_allow_loopback_peers or planned.local,
        allowed_peers=tuple(str(network) for network in settings.turn_allowed_peers),
        denied_peers=tuple(str(network) for network in settings.turn_denied_peers),
        allowed_services=tuple(services),
        processes=settings.turn_processes,
        limits=Limits(
            allocations=settings.turn_allocations, bandwidth=settings.turn_bandwidth * _MEGABIT
        ),
    )


def _hosts(wanted: str, local: bool) -> tuple[str, ...]:
    if local and not _is_address(wanted):
        return tuple(host for host in ("127.0.0.1", "::1") if _can_bind(host))
    if not wanted:
        # Without an address of its own IPv6 would be loopback alone.
        has_ipv6 = any(not is_local(host) for host in host_addresses(Family.IPV6))
        return ("0.0.0.0", "::") if has_ipv6 else ("0.0.0.0",)  # noqa: S104 - a public server
    if _is_address(wanted):
        return (wanted,)
    try:
        found = socket.getaddrinfo(wanted, None, type=socket.SOCK_DGRAM)
    except OSError:
        raise SettingsError(f"KONSIL_TURN_HOST: {wanted!r} is no address of this machine") from None
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


def _name(settings: Settings, public: str, hosts: tuple[str, ...], local: bool) -> str:
    if local:
        # A browser may take "localhost" for either family; this is the one that is always there.
        return hosts[0]
    if not is_local(public):
        return public
    shown = (settings.turn_public_ipv4, settings.turn_public_ipv6, *hosts, tls.lan_address())
    return next((host for host in shown if host and host not in _EVERYWHERE), public)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
