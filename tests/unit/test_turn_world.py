"""A world without sockets for the relay's core, and first tests of the two together.

Other test modules of the relay import `World` from here.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from turn.address import Address, Family
from turn.allocation_table import AllocationTable, RelayHost
from turn.attributes import Attribute, MessageClass, Method
from turn.authentication import Authenticator
from turn.channel import ChannelRule
from turn.checks import CheckPolicy
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.config import Limits
from turn.credentials import Credentials, issue
from turn.five_tuple import FiveTuple, Transport
from turn.message import Message
from turn.nonce import Nonces
from turn.outputs import (
    AttachRelay,
    BindChannel,
    CloseMeter,
    CloseRelay,
    EndFlow,
    OpenMeter,
    OpenRelay,
    Permit,
    Reply,
    Revoke,
    Transmit,
    UnbindChannel,
)
from turn.peer_policy import PeerPolicy
from turn.ports import PortPool
from turn.server import TurnServer

SECRET = "s3cret"
REALM = "konsil"
NOW = 1000.0
WALL = 1_800_000_000.0
SERVER = Address("203.0.113.5", 3478)
RELAY_V4 = "203.0.113.5"
RELAY_V6 = "2a01:db8::5"
PEER = Address("8.8.4.4", 5000)
PEER_V6 = Address("2a00:1450::8888", 5000)


class World:
    """The core with pretended sockets: what it asked for is kept in plain dictionaries."""

    def __init__(
        self,
        *,
        ports: range = range(50000, 50100),
        check_ports: range = range(50100, 50120),
        foreign_check_ports: range = range(50120, 50140),
        families: tuple[Family, ...] = (Family.IPV4, Family.IPV6),
        limits: Limits | None = None,
        policy: PeerPolicy | None = None,
        secrets: tuple[str, ...] = (SECRET,),
        channels: ChannelRule | None = None,
        reservations: bool = True,
    ) -> None:
        self._numbers = itertools.count(1)
        self.now = NOW
        self.wall = WALL
        # Tests send faster than any client; those about rates set the rates themselves.
        self.limits = limits or Limits(request_burst=1e9, unproven_excess=1_000_000_000)
        self.credentials = Credentials(secrets, REALM, 90_000)
        shown = {Family.IPV4: RELAY_V4, Family.IPV6: RELAY_V6}
        self.pools = {family: PortPool(ports, self.random) for family in families}
        self.check_pools = {family: PortPool(check_ports, self.random) for family in families}
        self.table = AllocationTable(
            {
                family: RelayHost(shown[family], self.pools[family], self.check_pools[family])
                for family in families
            },
            self.limits,
            self.random,
        )
        self.server = TurnServer(
            self.table,
            Authenticator(REALM, self.credentials, Nonces(b"k" * 32, 600)),
            policy or PeerPolicy(own_hosts=[RELAY_V4, RELAY_V6], relay_ports=ports),
            CheckPolicy(
                shown.values(),
                range(check_ports.start, foreign_check_ports.stop),
                check_ports,
                self.table.checked,
            ),
            self.limits,
            salt=b"salt",
            random=self.random,
            channels=channels or ChannelRule(),
            reservations=reservations,
        )
        self.occupied: set[int] = set()
        self.relays: dict[int, OpenRelay] = {}
        self.attached: dict[int, FiveTuple] = {}
        self.meters: dict[int, int] = {}
        self.metered: dict[int, int] = {}
        self.permitted: dict[int, set[str]] = {}
        self.channels: dict[int, dict[int, Address]] = {}
        self.transmitted: list[Transmit] = []
        self.ended: list[FiveTuple] = []
        self.replies: list[Reply] = []

    def random(self, size: int) -> bytes:
        """Different every time, and the same in every run."""
        return (
            (next(self._numbers) * 0x9E3779B97F4A7C15 % (1 << 96))
            .to_bytes(12, "big")
            .rjust(size, b"\7")[-size:]
        )

    def flow(
        self, port: int, host: str = "198.51.100.7", transport: Transport = Transport.UDP
    ) -> FiveTuple:
        return FiveTuple(transport, Address(host, port), SERVER)

    def client(self, opaque: str = "p1", expires_in: float = 3600) -> TurnClient:
        return TurnClient(*issue(SECRET, opaque, int(self.wall + expires_in)), self.random)

    def send(self, flow: FiveTuple, data: bytes) -> list[bytes]:
        """What the client gets back at once."""
        before = len(self.replies)
        self.server.receive_message(data, flow, self.now, self.wall)
        self.settle()
        return [reply.data for reply in self.replies[before:] if reply.flow == flow]

    def ask(self, flow: FiveTuple, data: bytes) -> Message:
        """The one answer to a request."""
        (answer,) = self.send(flow, data)
        message = parse_answer(answer)
        assert message is not None
        assert message.transaction_id == data[8:20]
        return message

    def code(self, flow: FiveTuple, data: bytes) -> int | None:
        return error_code(self.ask(flow, data))

    def allocate(
        self,
        client: TurnClient,
        flow: FiveTuple,
        *extra: tuple[int, bytes],
        family: Family | None = None,
    ) -> Message:
        """Through the challenge to the final answer."""
        client.learn(self.ask(flow, client.allocate(family=family)))
        return self.ask(flow, client.allocate(*extra, family=family))

    def allocated(
        self, port: int = 4000, opaque: str = "p1", family: Family | None = None
    ) -> tuple[TurnClient, FiveTuple]:
        client, flow = self.client(opaque), self.flow(port)
        assert error_code(self.allocate(client, flow, family=family)) is None
        return client, flow

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds
        self.server.handle_timer(self.now)
        self.settle()

    def settle(self) -> None:
        while (output := self.server.poll_output()) is not None:
            match output:
                case Reply():
                    self.replies.append(output)
                case OpenRelay(relay_id, _, port):
                    if port in self.occupied:
                        self.server.relay_failed(relay_id)
                    else:
                        self.relays[relay_id] = output
                        self.server.relay_opened(relay_id)
                case AttachRelay(relay_id, flow, meter):
                    self.attached[relay_id] = flow
                    self.metered[relay_id] = meter
                    self.permitted[relay_id] = set()
                    self.channels[relay_id] = {}
                case OpenMeter(meter, size):
                    self.meters[meter] = size
                case CloseMeter(meter):
                    del self.meters[meter]
                case CloseRelay(relay_id):
                    for table in (
                        self.relays,
                        self.attached,
                        self.metered,
                        self.permitted,
                        self.channels,
                    ):
                        table.pop(relay_id, None)
                case Permit(relay_id, host):
                    self.permitted[relay_id].add(host)
                case Revoke(relay_id, host):
                    self.permitted[relay_id].remove(host)
                case BindChannel(relay_id, number, peer):
                    self.channels[relay_id][number] = peer
                case UnbindChannel(relay_id, number):
                    del self.channels[relay_id][number]
                case Transmit():
                    self.transmitted.append(output)
                case EndFlow(flow):
                    self.ended.append(flow)

    @property
    def nothing_left(self) -> bool:
        """Whether no trace of any allocation remains, in the core or in the world."""
        return not (
            self.relays
            or self.server.allocations
            or self.table.quota(check=False).total
            or self.table.quota(check=True).total
            or any(pool.used for pool in (*self.pools.values(), *self.check_pools.values()))
        )


def test_allocate_says_where_and_for_how_long() -> None:
    world = World()
    answer = world.allocate(world.client(), world.flow(4000))
    assert answer.method == Method.ALLOCATE
    assert answer.message_class is MessageClass.SUCCESS
    relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    assert relayed is not None
    assert relayed.host == RELAY_V4
    assert [opened.port for opened in world.relays.values()] == [relayed.port]
    assert address_in(answer, Attribute.XOR_MAPPED_ADDRESS) == world.flow(4000).client
    assert answer.get(Attribute.LIFETIME) == (600).to_bytes(4, "big")


def test_answers_are_signed_as_the_request_was() -> None:
    world = World()
    client, flow = world.allocated()
    answer = world.ask(flow, client.create_permission(PEER))
    assert answer.digest is client.digest
    assert answer.signed_with(client.key, client.digest)


def test_refresh_zero_leaves_nothing() -> None:
    world = World()
    client, flow = world.allocated()
    world.ask(flow, client.channel_bind(0x4000, PEER))
    assert world.ask(flow, client.refresh(0)).get(Attribute.LIFETIME) == bytes(4)
    assert world.nothing_left
    assert world.ended == [flow]
    world.pass_time(1000)
    assert world.nothing_left


def test_the_world_keeps_what_is_permitted_and_bound() -> None:
    world = World()
    client, flow = world.allocated()
    world.ask(flow, client.create_permission(PEER, replace_host(PEER, "9.9.9.9")))
    world.ask(flow, client.channel_bind(0x4000, PEER))
    (relay_id,) = world.relays
    assert world.permitted[relay_id] == {PEER.host, "9.9.9.9"}
    assert world.channels[relay_id] == {0x4000: PEER}


def replace_host(address: Address, host: str) -> Address:
    return address._replace(host=host)


def limits(**changes: float) -> Limits:
    """Limits with room for everything but what is changed."""
    return replace(Limits(request_burst=1e9, unproven_excess=1_000_000_000), **changes)
