"""Whatever bytes come, codec and core give typed results and never an exception."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.test_turn_world import PEER, PEER_V6, World
from turn.address import Address, Family
from turn.attributes import Attribute, MessageClass, Method
from turn.client import TurnClient, parse_answer
from turn.five_tuple import FiveTuple
from turn.framing import BrokenStream, Framer
from turn.message import (
    Digest,
    Malformed,
    Message,
    encode_message,
    pack_xor_address,
    parse_message,
    unpack_xor_address,
)

NUMBERS = st.sampled_from([*Attribute, 0x0003, 0x7777, 0xC0FE]) | st.integers(0, 0xFFFF)
ATTRIBUTES = st.lists(st.tuples(NUMBERS, st.binary(max_size=40)), max_size=12)
METHODS = st.sampled_from(list(Method)) | st.integers(0, 0xFFF)
CLASSES = st.sampled_from(list(MessageClass))
HOSTS = st.ip_addresses().map(str)


@given(st.binary(max_size=400))
def test_any_bytes_parse_to_something(data: bytes) -> None:
    assert isinstance(parse_message(data), Message | Malformed)


@given(METHODS, CLASSES, st.binary(min_size=12, max_size=12), ATTRIBUTES, st.booleans())
def test_what_is_encoded_is_parsed_again(
    method: int,
    message_class: MessageClass,
    transaction_id: bytes,
    attributes: list[tuple[int, bytes]],
    fingerprint: bool,
) -> None:
    kept = [
        (number, value)
        for number, value in attributes
        if number
        not in (
            Attribute.FINGERPRINT, Attribute.MESSAGE_INTEGRITY, Attribute.MESSAGE_INTEGRITY_SHA256,
        )
    ]  # fmt: skip
    for digest in Digest:
        data = encode_message(
            method, message_class, transaction_id, kept, key=b"k", digest=digest,
            fingerprint=fingerprint,
        )  # fmt: skip
        message = parse_message(data)
        assert isinstance(message, Message)
        assert message.method == method
        assert message.message_class is message_class
        assert message.transaction_id == transaction_id
        assert list(message.attributes) == kept
        assert message.fingerprint is fingerprint
        assert message.signed_with(b"k", digest)
        assert not message.signed_with(b"l", digest)


@given(HOSTS, st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_addresses_there_and_back(host: str, port: int, transaction_id: bytes) -> None:
    value = pack_xor_address(Address(host, port), transaction_id)
    again = unpack_xor_address(value, transaction_id)
    assert again is not None
    assert pack_xor_address(again, transaction_id) == value
    assert again.port == port


@given(st.binary(max_size=24), st.binary(min_size=12, max_size=12))
def test_any_address_value_is_an_address_or_none(value: bytes, transaction_id: bytes) -> None:
    address = unpack_xor_address(value, transaction_id)
    assert address is None or len(value) in (8, 20)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_stream_gives_frames_or_breaks(chunks: list[bytes]) -> None:
    framer = Framer()
    try:
        for chunk in chunks:
            list(framer.feed(chunk))
    except BrokenStream:
        pass
    assert framer.pending <= sum(map(len, chunks))


class HostileClients(RuleBasedStateMachine):
    """Clients with good credentials and bad manners, in any order of doing things."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(ports=range(50000, 50008))
        self.clients = [self.world.client(f"p{index}") for index in range(3)]
        self.flows = [self.world.flow(4000 + index) for index in range(3)]
        for client, flow in zip(self.clients, self.flows, strict=True):
            client.learn(self.world.ask(flow, client.allocate()))

    who = st.integers(0, 2)

    def hear(self, client: TurnClient, flow: FiveTuple, request: bytes) -> None:
        """A request may be malformed and get no answer; a challenge is taken up."""
        for data in self.world.send(flow, request):
            answer = parse_answer(data)
            assert answer is not None
            client.learn(answer)

    @rule(who=who, whose=who, family=st.sampled_from([None, *Family]), extra=ATTRIBUTES)
    def allocate(
        self, who: int, whose: int, family: Family | None, extra: list[tuple[int, bytes]]
    ) -> None:
        client, flow = self.clients[who], self.flows[whose]
        self.hear(client, flow, client.allocate(*extra[:2], family=family))

    @rule(who=who, even=st.sampled_from([b"\0", b"\x80"]))
    def allocate_even(self, who: int, even: bytes) -> None:
        client = self.clients[who]
        self.world.send(self.flows[who], client.allocate((Attribute.EVEN_PORT, even)))

    @rule(who=who, number=st.integers(0x3FFE, 0x4003), host=HOSTS)
    def bind(self, who: int, number: int, host: str) -> None:
        client = self.clients[who]
        for peer in (PEER, PEER_V6, Address(host, 9)):
            self.world.send(self.flows[who], client.channel_bind(number, peer))

    @rule(who=who, hosts=st.lists(HOSTS, max_size=3))
    def permit(self, who: int, hosts: list[str]) -> None:
        client = self.clients[who]
        peers = [Address(host, 9) for host in hosts]
        self.world.send(self.flows[who], client.create_permission(PEER, *peers))

    @rule(who=who, lifetime=st.sampled_from([0, 1, 600, 0xFFFFFFFF]))
    def refresh(self, who: int, lifetime: int) -> None:
        client = self.clients[who]
        self.hear(client, self.flows[who], client.refresh(lifetime))

    @rule(who=who, method=METHODS, attributes=ATTRIBUTES)
    def anything_signed(
        self, who: int, method: Method, attributes: list[tuple[int, bytes]]
    ) -> None:
        self.world.send(self.flows[who], self.clients[who].request(method, attributes))

    @rule(who=who, method=METHODS, message_class=CLASSES, attributes=ATTRIBUTES)
    def anything(
        self,
        who: int,
        method: int,
        message_class: MessageClass,
        attributes: list[tuple[int, bytes]],
    ) -> None:
        data = encode_message(method, message_class, b"t" * 12, attributes)
        self.world.send(self.flows[who], data)

    @rule(who=who, data=st.binary(max_size=80))
    def noise(self, who: int, data: bytes) -> None:
        self.world.send(self.flows[who], data)

    @rule(port=st.integers(50000, 50007))
    def occupy(self, port: int) -> None:
        self.world.occupied ^= {port}

    @rule(seconds=st.sampled_from([0.0, 1.0, 31.0, 299.0, 301.0, 601.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(who=who)
    def hang_up(self, who: int) -> None:
        self.world.server.flow_closed(self.flows[who])
        self.world.settle()

    @invariant()
    def core_and_world_agree(self) -> None:
        world = self.world
        assert world.server.allocations == world.table.quota(check=False).total <= 3
        held = {
            relayed.relay_id
            for allocation in world.table
            for relayed in allocation.relayed.values()
        }
        assert set(world.attached) == held
        used = sum(pool.used for pool in world.pools.values())
        assert len(world.relays) == used
        for hosts in world.permitted.values():
            assert not hosts & {"127.0.0.1", "::1", "0.0.0.0"}

    def teardown(self) -> None:
        self.world.pass_time(4000)
        assert self.world.nothing_left
        self.world.pass_time(1000)
        assert self.world.table.next_deadline() is None


HostileClients.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHostileClients = HostileClients.TestCase
