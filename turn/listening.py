"""Listening sockets: one for each address, transport and process."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from turn.address import Address, Family, family_of
from turn.config import ConfigError, Listener, RelayConfig
from turn.five_tuple import Transport
from turn.interfaces import host_addresses
from turn.relay_socket import set_receive_buffer

_BACKLOG = 512
_WILDCARDS = {"0.0.0.0": Family.IPV4, "::": Family.IPV6}  # noqa: S104


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A bound socket with the address clients reach it by."""

    transport: Transport
    address: Address
    sock: socket.socket


def bind_listeners(config: RelayConfig) -> list[list[BoundListener]]:
    """For each process, a socket for each listening address; raises ConfigError.

    All are bound here, before any process starts, and stay open for as long as the server runs:
    SO_REUSEPORT spreads flows over the sockets of a group by a hash, and as the group never
    changes, a client's flow stays with its process even when another one is started anew.
    """
    addresses = [
        Listener(listener.transport, host, listener.port)
        for listener in config.listen
        for host in _expand(listener)
    ]
    groups: list[list[BoundListener]] = [[] for _ in range(config.processes)]
    try:
        for listener in addresses:
            port = listener.port
            for group in groups:
                sock = _bind(listener.transport, listener.host, port, len(groups) > 1)
                port = sock.getsockname()[1]
                address = Address(listener.host, port)
                group.append(BoundListener(listener.transport, address, sock))
    except OSError as error:
        for group in groups:
            for bound in group:
                bound.sock.close()
        raise ConfigError(
            f"the relay cannot listen on {listener.host} port {listener.port} "
            f"({listener.transport.value}): {error.strerror or error}"
        ) from error
    return groups


def _expand(listener: Listener) -> list[str]:
    """Addresses for a wildcard: an answer must come from the address that was asked, and only a
    socket bound to it makes sure of that over UDP."""
    family = _WILDCARDS.get(listener.host)
    if family is None:
        return [listener.host]
    return host_addresses(family)


def _bind(transport: Transport, host: str, port: int, shared: bool) -> socket.socket:
    family = family_of(host)
    kind = socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM
    sock = socket.socket(family.socket_family, kind)
    try:
        sock.setblocking(False)
        if family is Family.IPV6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if transport is Transport.UDP:
            set_receive_buffer(sock)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if transport is not Transport.UDP:
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
