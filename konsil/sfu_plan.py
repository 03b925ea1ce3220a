"""Where the forwarder listens and which addresses pages are told, out of our settings."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from konsil.errors import SettingsError
from konsil.setting_rules import is_local, origin
from konsil.settings import Settings
from sfu.config import NodeConfig
from turn.address import Family
from turn.interfaces import host_addresses

_EVERYWHERE: Final = {"", "0.0.0.0", "::"}  # noqa: S104 - what an operator writes for all
_LOOPBACK: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Plan:
    """`hosts`: numeric addresses to listen on, each for itself. `shown`: what pages are told."""

    hosts: tuple[str, ...]
    shown: tuple[str, ...]
    port: int

    def config(self, port: int) -> NodeConfig:
        """What the forwarder is started with."""
        return NodeConfig(listen=self.hosts, port=port, advertised=self.shown)

    def places(self, port: int) -> tuple[tuple[str, int], ...]:
        """Every address and port at which it is to be found, for the relay."""
        return tuple((host, port) for host in dict.fromkeys((*self.shown, *self.hosts)))


def plan(settings: Settings, lan_host: str | None) -> Plan:
    """Raises SettingsError where there is no address that pages could use."""
    public = urlsplit(origin(settings, settings.port, lan_host)).hostname or "localhost"
    hosts = _hosts(settings.sfu_host, local=is_local(settings.sfu_host or public))
    shown = _outside(settings, hosts)
    if "turn" in settings.roles and shown != hosts:
        # Where a NAT does not send back what comes from inside, our relay needs the inner address.
        shown = tuple(dict.fromkeys((*shown, *hosts)))
    return Plan(hosts, shown, settings.sfu_port)


def _hosts(wanted: str, *, local: bool) -> tuple[str, ...]:
    if wanted not in _EVERYWHERE and not _is_name(wanted):
        return (wanted,)
    if wanted not in _EVERYWHERE and not is_local(wanted):
        raise SettingsError(f"KONSIL_SFU_HOST: {wanted!r} must be an address, not a name")
    versions = {"0.0.0.0": (4,), "::": (6,)}.get(wanted, (4, 6))  # noqa: S104 - compared with
    own = [
        host
        for family in Family
        for host in host_addresses(family)
        if not is_local(host) and ipaddress.ip_address(host).version in versions
    ]
    reachable = [host for host in own if ipaddress.ip_address(host).is_global]
    if local:
        # Firefox sends nothing to loopback, so the other addresses are there for a trial, too.
        loopback = [host for host in _LOOPBACK if _can_bind(host)]
        return (*loopback, *own)
    # Between two machines on the internet an inner address only costs time, and tells of the house.
    hosts = _of_each_family(own, reachable)
    if not hosts:
        raise SettingsError("this machine has no address for the forwarder: set KONSIL_SFU_HOST")
    return hosts


def _of_each_family(own: list[str], reachable: list[str]) -> tuple[str, ...]:
    """The public ones. Without any of IPv4 its private ones, since a NAT may stand in front; those
    of IPv6 only where there is nothing public at all."""
    v4 = [host for host in reachable if ":" not in host] or [h for h in own if ":" not in h]
    v6 = [host for host in (reachable or own) if ":" in host]
    return (*v4, *v6)


def _outside(settings: Settings, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """What stands for `hosts` outside: what a NAT in front shows, where there is one."""
    set_ones = {
        4: (settings.sfu_public_ipv4, settings.turn_public_ipv4),
        6: (settings.sfu_public_ipv6, settings.turn_public_ipv6),
    }
    public = {
        version: next((host for host in found if host not in {"", "auto"}), "")
        for version, found in set_ones.items()
    }
    return tuple(
        dict.fromkeys(public[ipaddress.ip_address(host).version] or host for host in hosts)
    )


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _can_bind(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True
