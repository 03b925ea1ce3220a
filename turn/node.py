"""One process of the relay: the core, the data path, the connections, and the clock that ticks."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from turn.acceptor import Acceptor
from turn.address import Address, Family, pack_host, unpack_host
from turn.allocation_table import AllocationTable, RelayHost
from turn.authentication import Authenticator
from turn.channel import ChannelRule
from turn.checks import CheckPolicy
from turn.clock import Clock
from turn.config import RelayConfig
from turn.connection import Connection
from turn.credentials import Credentials
from turn.data_path import DataPath
from turn.five_tuple import FiveTuple, Transport
from turn.interfaces import host_addresses
from turn.listening import BoundListener
from turn.metrics import Stats, request_key
from turn.nonce import Nonces
from turn.outputs import (
    AttachRelay,
    BindChannel,
    CloseMeter,
    CloseRelay,
    EndFlow,
    OpenMeter,
    OpenRelay,
    Output,
    Permit,
    Reply,
    Revoke,
    Transmit,
    UnbindChannel,
)
from turn.peer_policy import PeerPolicy
from turn.ports import PortPool
from turn.python_path import PythonPath
from turn.server import TurnServer
from turn.tls import server_context

_TICK = 1.0  # seconds; what expires, expires at most this much late
_GRACE = 10.0  # seconds a connection is given to make another allocation after its last ended


@dataclass(frozen=True, slots=True)
class Place:
    """What distinguishes one process of a server from the others.

    `hosts` is the address to relay from by family, `ports` this process's share of the range, and
    `check_ports` its share of what is set apart for checks.
    """

    listeners: list[BoundListener]
    hosts: dict[Family, str]
    ports: range
    check_ports: range
    nonce_key: bytes


class Node:
    """`start`, then `drain` when asked to, then `stop`."""

    def __init__(
        self,
        config: RelayConfig,
        place: Place,
        clock: Clock,
        random: Callable[[int], bytes],
        context: ssl.SSLContext | None,
    ) -> None:
        self._config = config
        self._place = place
        self._clock = clock
        external = {Family.IPV4: config.external_ipv4, Family.IPV6: config.external_ipv6}
        # In the kernel's spelling, as peers are compared with it.
        shown = {
            family: unpack_host(pack_host(external[family] or host))
            for family, host in place.hosts.items()
        }
        table = AllocationTable(
            {
                family: RelayHost(
                    shown[family],
                    PortPool(place.ports, random),
                    PortPool(place.check_ports, random) if place.check_ports else None,
                )
                for family in shown
            },
            config.limits,
            random,
        )
        self._credentials = Credentials(
            config.secrets, config.realm, config.max_credential_lifetime
        )
        self.server = TurnServer(
            table,
            Authenticator(
                config.realm, self._credentials, Nonces(place.nonce_key, config.nonce_lifetime)
            ),
            _peer_policy(config, place, shown),
            CheckPolicy(
                shown.values(),
                config.ports_for_checks,
                place.check_ports,
                table.checked,
            ),
            config.limits,
            salt=random(16),
            random=random,
            channels=ChannelRule(config.rfc5766_channels, config.allow_loopback_peers),
            # A token is good in the process that gave it, and its bearer may land in another.
            reservations=config.processes == 1,
        )
        self.path: DataPath = PythonPath(
            self._datagram_message,
            self._icmp,
            random,
            bandwidth=config.limits.bandwidth,
            inward={shown[f]: host for f, host in place.hosts.items() if shown[f] != host},
        )
        self._acceptor = Acceptor(
            self,
            config.limits,
            context,
            clock.monotonic,
            self.path.counters.drop,
            salt=random(16),
        )
        self._tick: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Serve on the listening sockets; needs the running loop."""
        loop = asyncio.get_running_loop()
        for bound in self._place.listeners:
            if bound.transport is Transport.UDP:
                self.path.listen(bound.sock, bound.address)
            else:
                self._acceptor.listen(bound)
        loop.add_reader(self.path.fileno(), self.path.drain)
        self._tick = loop.call_later(_TICK, self._on_tick)

    def drain(self) -> None:
        """Take no new allocations; what lives, lives on.

        Connections are taken all the same: the kernel would go on completing handshakes, and a
        client that hears 508 turns elsewhere at once.
        """
        self.server.draining = True

    def rotate_secrets(self, secrets: tuple[str, ...]) -> None:
        self._credentials.rotate(secrets)

    def reload_certificate(self) -> None:
        """Use the certificate files as they are now; raises ConfigError and keeps the old one."""
        self.use_certificate(server_context(self._config))

    def use_certificate(self, context: ssl.SSLContext | None) -> None:
        """For connections from now on."""
        self._acceptor.context = context

    async def stop(self) -> None:
        """End every allocation and close everything but the listening sockets."""
        if self._tick is not None:
            self._tick.cancel()
        asyncio.get_running_loop().remove_reader(self.path.fileno())
        await self._acceptor.close()
        self.server.end_all()
        self._perform_outputs()
        self.path.close()

    def stats(self) -> Stats:
        counters, path = self.server.counters, self.path.counters
        dropped: dict[str, int] = dict(counters.dropped)
        for reason, count in path.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        return Stats(
            allocations=self.server.allocations,
            connections=self._acceptor.open,
            allocations_made=dict(counters.allocations_made),
            requests={request_key(*key): count for key, count in counters.requests.items()},
            dropped=dropped,
            packets={"up": path.packets_up, "down": path.packets_down},
            bytes={"up": path.bytes_up, "down": path.bytes_down},
        )

    # What comes in

    def _datagram_message(self, data: bytes, flow: FiveTuple) -> None:
        self.server.receive_message(data, flow, self._clock.monotonic(), self._clock.wall())
        self._perform_outputs()

    stream_message = _datagram_message

    def _icmp(self, relay_id: int, peer: Address, error: bytes) -> None:
        self.server.receive_icmp(relay_id, peer, error)
        self._perform_outputs()

    def stream_opened(self, connection: Connection) -> None:
        self._acceptor.opened(connection)

    def stream_closed(self, connection: Connection) -> None:
        self._acceptor.closed(connection)
        self.server.flow_closed(connection.flow)
        self._perform_outputs()

    def stream_refused(self, reason: str) -> None:
        self.path.counters.drop(reason)

    def _on_tick(self) -> None:
        # First of all: a fault in what follows must not stop the clock.
        self._tick = asyncio.get_running_loop().call_later(_TICK, self._on_tick)
        now = self._clock.monotonic()
        self.server.handle_timer(now)
        self._perform_outputs()
        self._acceptor.sweep(now)

    # What goes out

    def _perform_outputs(self) -> None:
        while (output := self.server.poll_output()) is not None:
            self._perform(output)

    def _perform(self, output: Output) -> None:
        path = self.path
        match output:
            case Reply(flow, data):
                if flow.transport is Transport.UDP:
                    path.reply(flow, data)
                elif connection := self._acceptor.connections.get(flow):
                    connection.send_message(data)
            case OpenRelay(relay_id, family, port):
                try:
                    path.open_relay(relay_id, family, self._place.hosts[family], port)
                except OSError:
                    path.counters.drop("port_in_use")
                    self.server.relay_failed(relay_id)
                else:
                    self.server.relay_opened(relay_id)
            case AttachRelay(relay_id, flow, meter):
                attached = self._acceptor.connections.get(flow)
                if attached is not None:
                    attached.without_allocation = 0.0
                path.attach(relay_id, flow, attached, meter)
            case OpenMeter(meter, size):
                path.open_meter(meter, size)
            case CloseMeter(meter):
                path.close_meter(meter)
            case CloseRelay(relay_id):
                path.close_relay(relay_id)
            case Permit(relay_id, host):
                path.permit(relay_id, host)
            case Revoke(relay_id, host):
                path.revoke(relay_id, host)
            case BindChannel(relay_id, number, peer):
                path.bind_channel(relay_id, number, peer)
            case UnbindChannel(relay_id, number):
                path.unbind_channel(relay_id, number)
            case Transmit(relay_id, peer, payload, dont_fragment):
                path.transmit(relay_id, peer, payload, dont_fragment=dont_fragment)
            case EndFlow(flow):
                if ended := self._acceptor.connections.get(flow):
                    # Idle from now on, with most of the idle time already over.
                    idle = max(0.0, self._config.limits.idle_seconds - _GRACE)
                    ended.without_allocation = self._clock.monotonic() - idle
            case _:
                assert_never(output)


def _peer_policy(config: RelayConfig, place: Place, shown: dict[Family, str]) -> PeerPolicy:
    own = {host for family in Family for host in host_addresses(family)}
    return PeerPolicy(
        allowed=config.allowed_peers,
        denied=config.denied_peers,
        services=[Address(host, port) for host, port in config.allowed_services],
        allow_loopback=config.allow_loopback_peers,
        own_hosts=own | set(shown.values()) | set(place.hosts.values()),
        listeners=[
            Address(host, bound.address.port)
            for bound in place.listeners
            for host in {bound.address.host, *own, *shown.values()}
        ],
        relay_ports=config.ports_for_calls,
    )
