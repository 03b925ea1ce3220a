"""The tables the data path looks packets up in: relay sockets, channels, permitted peers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from turn.address import Address, Family
from turn.data_path import StreamSink
from turn.five_tuple import FiveTuple, Transport

SockAddress = tuple[str, int] | tuple[str, int, int, int]

_MOST_SPOKEN = 256  # peers of one relay socket whose name is remembered, where there are two


def sock_address(host: str, port: int) -> SockAddress:
    """The address as `recvfrom` gives it, which is what the tables are keyed by."""
    if ":" not in host:
        return host, port
    _, _, zone = host.partition("%")
    return host, port, 0, socket.if_nametoindex(zone) if zone else 0


class Allowance:
    """Bytes that may still pass; refilled by time only once it has run out.

    So a packet costs a subtraction, and the clock is asked only when a client is at its bound.
    With a rate of 0 `burst` is all there ever is.
    """

    __slots__ = ("_burst", "_rate", "_refilled", "left")

    def __init__(self, rate: int, burst: int | None = None) -> None:
        self._rate = rate
        self._burst = max(rate, 1 << 17) if burst is None else burst
        self._refilled = time.monotonic()
        self.left = self._burst

    def refill(self) -> bool:
        """Called when `left` went below zero; says whether the packet may pass after all."""
        now = time.monotonic()
        self.left = min(self._burst, self.left + int((now - self._refilled) * self._rate))
        self._refilled = now
        return self.left >= 0


class Relay:
    """One relay socket and what may pass through it.

    A host behind a one-to-one NAT has two names, and a client may use both at a time: each
    permission and channel is kept under the name it was asked for, and what comes from there has
    the name that was last sent to.
    """

    __slots__ = (
        "channels", "client", "down", "family", "flow", "hosts", "peers", "permitted",
        "relay_id", "send", "sock", "spoken", "stream", "two_named", "up",
    )  # fmt: skip

    def __init__(self, relay_id: int, family: Family, sock: socket.socket, rate: int) -> None:
        self.relay_id = relay_id
        self.family = family
        self.sock = sock
        self.flow: FiveTuple | None = None
        self.client: SockAddress | None = None
        self.send: Callable[[memoryview, SockAddress], int] | None = None
        self.stream: StreamSink | None = None
        # As the client named them, and where those are.
        self.hosts: set[str] = set()
        self.permitted: set[str] = set()
        self.channels: dict[Address, int] = {}
        # Channel numbers of peers that have a permission now: the down path's only look-up.
        self.peers: dict[SockAddress, int] = {}
        # Whether two of `hosts` are one; then, by peer, the name last sent to.
        self.two_named = False
        self.spoken: dict[SockAddress, str] = {}
        self.up = Allowance(rate)
        self.down = Allowance(rate)


# Where ChannelData of one client goes: the relay socket, the peer to send to, and the host that the
# client calls it by.
Way = tuple[Relay, SockAddress, str]
Channels = dict[int, Way]


@dataclass(slots=True, eq=False)
class Route:
    """A client's channels over all its relay sockets, two in a dual allocation."""

    channels: Channels = field(default_factory=dict)
    relays: int = 0


class Listener:
    """A UDP socket that clients talk to."""

    __slots__ = ("clients", "server", "sock")

    def __init__(self, sock: socket.socket, server: Address) -> None:
        self.sock = sock
        self.server = server
        self.clients: dict[SockAddress, Channels] = {}


class ForwardingTables:
    """Who may send what to whom. Bounded by the core's bounds, of which it is a copy.

    `inward` maps what a one-to-one NAT shows of this host to the relay address itself, so that
    two clients of this relay reach one another without a way through the NAT.
    """

    def __init__(self, inward: dict[str, str]) -> None:
        self.listeners: dict[Address, Listener] = {}
        self.relays: dict[int, Relay] = {}
        self.routes: dict[FiveTuple, Route] = {}
        self.meters: dict[int, Allowance] = {}
        self._inward = inward
        self._outward = {inner: outer for outer, inner in inward.items()}

    def inward(self, host: str) -> str:
        """The host to send to for a peer the client named."""
        return self._inward.get(host, host)

    def named(self, relay: Relay, source: SockAddress) -> str:
        """The host to name to the client for a peer that sent."""
        host = source[0]
        outer = self._outward.get(host, host)
        name = outer if outer in relay.hosts else host
        return relay.spoken.get(source, name) if relay.two_named else name

    def speak(self, relay: Relay, name: str, at: SockAddress) -> None:
        """The client sends to a peer of a host with two names, by this one."""
        if relay.spoken.get(at) == name or name not in relay.hosts:
            return
        relay.spoken.pop(at, None)
        while len(relay.spoken) >= _MOST_SPOKEN:
            del relay.spoken[next(iter(relay.spoken))]
        relay.spoken[at] = name
        number = relay.channels.get(Address(name, at[1]))
        if number is None:
            relay.peers.pop(at, None)
        else:
            relay.peers[at] = number

    def _refresh(self, relay: Relay) -> None:
        """Permissions or channels have changed."""
        relay.permitted = {self.inward(host) for host in relay.hosts}
        relay.two_named = len(relay.permitted) < len(relay.hosts)
        relay.spoken = {
            at: name for at, name in relay.spoken.items() if relay.two_named and name in relay.hosts
        }
        relay.peers = {}
        for peer, number in relay.channels.items():
            at = sock_address(self.inward(peer.host), peer.port)
            if peer.host in relay.hosts and relay.spoken.get(at, peer.host) == peer.host:
                relay.peers[at] = number

    def attach(self, relay: Relay, flow: FiveTuple, stream: StreamSink | None, meter: int) -> None:
        if meter:
            # One that is not open lets nothing through.
            relay.up = relay.down = self.meters.get(meter) or Allowance(0, 0)
        relay.flow = flow
        relay.stream = stream
        relay.client = sock_address(*flow.client)
        route = self.routes.setdefault(flow, Route())
        route.relays += 1
        if flow.transport is Transport.UDP:
            listener = self.listeners[flow.server]
            listener.clients[relay.client] = route.channels
            relay.send = listener.sock.sendto

    def detach(self, relay: Relay) -> None:
        """Forget everything about a relay socket that closes."""
        del self.relays[relay.relay_id]
        flow = relay.flow
        if flow is None:
            return
        route = self.routes[flow]
        for number in relay.channels.values():
            route.channels.pop(number, None)
        route.relays -= 1
        if route.relays:
            return
        del self.routes[flow]
        if flow.transport is Transport.UDP and relay.client is not None:
            self.listeners[flow.server].clients.pop(relay.client, None)

    def permit(self, relay_id: int, host: str) -> None:
        relay = self.relays.get(relay_id)
        if relay is not None:
            relay.hosts.add(host)
            self._refresh(relay)

    def revoke(self, relay_id: int, host: str) -> None:
        relay = self.relays.get(relay_id)
        if relay is not None:
            relay.hosts.discard(host)
            self._refresh(relay)

    def bind_channel(self, relay_id: int, number: int, peer: Address) -> None:
        relay = self.relays.get(relay_id)
        if relay is None or relay.flow is None:
            return
        relay.channels[peer] = number
        address = sock_address(self.inward(peer.host), peer.port)
        self.routes[relay.flow].channels[number] = (relay, address, peer.host)
        self._refresh(relay)

    def unbind_channel(self, relay_id: int, number: int) -> None:
        relay = self.relays.get(relay_id)
        if relay is None or relay.flow is None or number not in relay.channels.values():
            return
        relay.channels = {peer: bound for peer, bound in relay.channels.items() if bound != number}
        self.routes[relay.flow].channels.pop(number, None)
        self._refresh(relay)
