"""What RFC 8656 says of each request, in one table and some stories."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.test_turn_world import PEER, PEER_V6, RELAY_V4, RELAY_V6, World, limits
from turn.address import Address, Family
from turn.attributes import Attribute, MessageClass, Method
from turn.channel import ChannelRule
from turn.client import TurnClient, address_in, error_code
from turn.five_tuple import Transport
from turn.message import Message, encode_message, parse_message, unpack_error

UDP = (Attribute.REQUESTED_TRANSPORT, bytes((17, 0, 0, 0)))
DUAL = (Attribute.ADDITIONAL_ADDRESS_FAMILY, bytes((2, 0, 0, 0)))
EVEN = (Attribute.EVEN_PORT, b"\0")
EVEN_AND_NEXT = (Attribute.EVEN_PORT, b"\x80")
IPV4 = (Attribute.REQUESTED_ADDRESS_FAMILY, bytes((1, 0, 0, 0)))
TOKEN = (Attribute.RESERVATION_TOKEN, b"12345678")


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([], 400),
        ([(Attribute.REQUESTED_TRANSPORT, b"\x11")], 400),
        ([(Attribute.REQUESTED_TRANSPORT, bytes((6, 0, 0, 0)))], 442),
        ([(Attribute.REQUESTED_TRANSPORT, bytes((132, 0, 0, 0)))], 442),
        ([UDP, (Attribute.REQUESTED_ADDRESS_FAMILY, bytes((3, 0, 0, 0)))], 440),
        ([UDP, (Attribute.REQUESTED_ADDRESS_FAMILY, b"\1")], 400),
        ([UDP, (Attribute.ADDITIONAL_ADDRESS_FAMILY, bytes((1, 0, 0, 0)))], 400),
        ([UDP, (Attribute.ADDITIONAL_ADDRESS_FAMILY, bytes((9, 0, 0, 0)))], 440),
        ([UDP, IPV4, DUAL], 400),
        ([UDP, TOKEN, EVEN], 400),
        ([UDP, TOKEN, IPV4], 400),
        ([UDP, TOKEN, DUAL], 400),
        ([UDP, (Attribute.RESERVATION_TOKEN, b"short")], 400),
        ([UDP, TOKEN], 508),
        ([UDP, EVEN_AND_NEXT, DUAL], 400),
        ([UDP, (Attribute.EVEN_PORT, b"")], 400),
        ([UDP, (Attribute.LIFETIME, b"\0")], 400),
        ([UDP, (Attribute.DONT_FRAGMENT, b"x")], 400),
        ([UDP, (0x7777, b"")], 420),
        ([UDP, (Attribute.DONT_FRAGMENT, b"")], None),
        ([UDP, (0xC0FE, b"optional")], None),
        ([UDP, EVEN], None),
    ],
)
def test_allocate(attributes: list[tuple[int, bytes]], code: int | None) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    assert world.code(flow, client.request(Method.ALLOCATE, attributes)) == code
    assert bool(world.relays) is (code is None)


def test_unknown_attributes_are_named() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    answer = world.allocate(client, flow, (0x7777, b"a"), (0x0003, b"abcd"), (0x7777, b"b"))
    assert answer.get(Attribute.UNKNOWN_ATTRIBUTES) == bytes.fromhex("0003 7777")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(None, 600), (0, 600), (1, 600), (777, 777), (3600, 3600), (0xFFFFFFFF, 3600)],
)
def test_lifetime_of_an_allocation(asked: int | None, granted: int) -> None:
    world = World()
    extra = [] if asked is None else [(Attribute.LIFETIME, asked.to_bytes(4, "big"))]
    answer = world.allocate(world.client(expires_in=80_000), world.flow(4000), *extra)
    assert answer.get(Attribute.LIFETIME) == granted.to_bytes(4, "big")
    world.pass_time(granted - 1)
    assert world.server.allocations == 1
    world.pass_time(1)
    assert world.nothing_left


def test_lifetime_ends_with_the_credential() -> None:
    world = World()
    asked = (Attribute.LIFETIME, (3600).to_bytes(4, "big"))
    answer = world.allocate(world.client(expires_in=1200), world.flow(4000), asked)
    assert answer.get(Attribute.LIFETIME) == (1200).to_bytes(4, "big")
    answer = world.allocate(world.client(expires_in=60), world.flow(4001), asked)
    assert answer.get(Attribute.LIFETIME) == (600).to_bytes(4, "big")


def test_refresh_extends_and_is_refused_after_the_credential_has_expired() -> None:
    world = World()
    client, flow = world.client(expires_in=900), world.flow(4000)
    world.allocate(client, flow)
    world.pass_time(500)
    assert world.code(flow, client.refresh(600)) is None
    world.pass_time(500)
    assert world.server.allocations == 1
    assert world.code(flow, client.refresh(600)) == 401
    world.pass_time(100)
    assert world.nothing_left


def test_the_same_transaction_gets_the_same_answer() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    request = client.allocate()
    first = world.send(flow, request)
    assert world.send(flow, request) == first
    assert world.server.allocations == 1
    delete = client.refresh(0)
    gone = world.send(flow, delete)
    assert world.send(flow, delete) == gone
    # From elsewhere, or much later, the same bytes are nothing special.
    assert world.code(world.flow(4001), request) == 438
    world.pass_time(60)
    assert world.code(flow, delete) == 437


def test_a_second_allocation_and_an_absent_one_are_a_mismatch() -> None:
    world = World()
    client, flow = world.allocated()
    assert world.code(flow, client.allocate()) == 437
    world.ask(flow, client.refresh(0))
    assert world.code(flow, client.refresh(0)) == 437
    assert world.code(flow, client.refresh(600)) == 437
    assert world.code(flow, client.create_permission(PEER)) == 437
    assert world.code(flow, client.channel_bind(0x4000, PEER)) == 437


def test_another_user_on_the_same_flow_is_refused() -> None:
    world = World()
    _, flow = world.allocated()
    stranger = world.client("p2")
    assert not stranger.nonce
    stranger.learn(world.ask(flow, stranger.refresh(0)))
    assert world.code(flow, stranger.refresh(0)) == 441
    assert world.server.allocations == 1


def test_dual_allocation_has_both_families() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    answer = world.allocate(client, flow, DUAL)
    hosts = [
        address.host
        for value in answer.get_all(Attribute.XOR_RELAYED_ADDRESS)
        if (address := _unxor(value, answer))
    ]
    assert hosts == [RELAY_V4, RELAY_V6]
    assert world.code(flow, client.create_permission(PEER, PEER_V6)) is None
    # One half goes, and takes its permissions along.
    half = client.request(
        Method.REFRESH,
        [
            (Attribute.LIFETIME, bytes(4)),
            (Attribute.REQUESTED_ADDRESS_FAMILY, bytes((2, 0, 0, 0))),
        ],
    )
    assert world.code(flow, half) is None
    assert world.code(flow, client.create_permission(PEER_V6)) == 443
    assert world.code(flow, client.create_permission(PEER)) is None
    world.pass_time(700)
    assert world.nothing_left


@pytest.mark.parametrize(("families", "code"), [((Family.IPV4,), 440), ((), 440)])
def test_dual_allocation_on_a_single_stack_server(families: tuple[Family, ...], code: int) -> None:
    world = World(families=families)
    answer = world.allocate(world.client(), world.flow(4000), DUAL)
    if not families:
        assert error_code(answer) == code
        return
    error = answer.get(Attribute.ADDRESS_ERROR_CODE)
    assert error is not None
    assert (error[0], unpack_error(error)) == (Family.IPV6, code)
    assert len(answer.get_all(Attribute.XOR_RELAYED_ADDRESS)) == 1


def test_an_absent_family_is_440() -> None:
    world = World(families=(Family.IPV4,))
    assert error_code(world.allocate(world.client(), world.flow(1), family=Family.IPV6)) == 440
    world = World(families=(Family.IPV6,))
    assert error_code(world.allocate(world.client(), world.flow(1))) == 440


def test_even_port_with_reservation() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    answer = world.allocate(client, flow, EVEN_AND_NEXT)
    relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    token = answer.get(Attribute.RESERVATION_TOKEN)
    assert relayed is not None
    assert token is not None
    assert relayed.port % 2 == 0
    # Nobody else's token.
    thief = world.client("thief")
    assert error_code(world.allocate(thief, world.flow(4009), (TOKEN[0], token))) == 508
    answer = world.allocate(client, world.flow(4001), (TOKEN[0], token))
    second = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    assert second == Address(relayed.host, relayed.port + 1)
    # And only once.
    assert error_code(world.allocate(client, world.flow(4002), (TOKEN[0], token))) == 508
    world.pass_time(700)
    assert world.nothing_left


def test_an_unused_reservation_is_given_back() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    world.allocate(client, flow, EVEN_AND_NEXT)
    assert len(world.relays) == 2
    world.pass_time(31)
    assert len(world.relays) == 1
    world.ask(flow, client.refresh(0))
    assert world.nothing_left


def test_even_port_without_reservation_holds_one_port_only() -> None:
    world = World(ports=range(50000, 50010))
    for port in range(5):
        relayed = address_in(
            world.allocate(world.client(), world.flow(port), EVEN), Attribute.XOR_RELAYED_ADDRESS
        )
        assert relayed is not None
        assert relayed.port % 2 == 0
    assert error_code(world.allocate(world.client(), world.flow(9), EVEN)) == 508
    for port in range(5):  # the odd ones are free for those who do not care
        assert error_code(world.allocate(world.client(), world.flow(20 + port))) is None
    world.pass_time(700)
    assert world.nothing_left


def test_ports_held_by_others_are_passed_by() -> None:
    world = World(ports=range(50000, 50020))
    world.occupied = set(range(50000, 50020)) - {50013}
    answer = world.allocate(world.client(), world.flow(4000))
    # One of twenty is free: sixteen tries may or may not find it, but nothing may leak.
    relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    assert relayed in (None, Address(RELAY_V4, 50013))
    assert (error_code(answer) == 508) is (relayed is None)
    world.occupied = set(range(50000, 50020))
    assert error_code(world.allocate(world.client(), world.flow(4001))) == 508
    assert error_code(world.allocate(world.client(), world.flow(4002), EVEN_AND_NEXT)) == 508
    world.pass_time(700)
    assert world.nothing_left


def test_half_a_pair_is_given_back() -> None:
    world = World(ports=range(50000, 50004))
    world.occupied = {50001, 50003}
    answer = world.allocate(world.client(), world.flow(4000), EVEN_AND_NEXT)
    assert error_code(answer) == 508
    assert world.nothing_left


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0x0000, 400), (0x3FFF, 400), (0x4000, None), (0x4FFF, None),
        (0x5000, 400), (0x7FFF, 400), (0x8000, 400), (0xFFFF, 400),
    ],
)  # fmt: skip
def test_channel_numbers(number: int, code: int | None) -> None:
    world = World()
    client, flow = world.allocated()
    assert world.code(flow, client.channel_bind(number, PEER)) == code


@pytest.mark.parametrize(
    ("rule", "lifetime", "code"),
    [
        (ChannelRule(), 777, 400),
        (ChannelRule(trial=True), 778, 400),
        (ChannelRule(trial=True), 777, None),
        (ChannelRule(rfc5766=True), 600, None),
    ],
)
def test_numbers_of_rfc_5766(rule: ChannelRule, lifetime: int, code: int | None) -> None:
    world = World(channels=rule)
    client, flow = world.client(), world.flow(4000)
    world.allocate(client, flow, (Attribute.LIFETIME, lifetime.to_bytes(4, "big")))
    assert world.code(flow, client.channel_bind(0x7FFF, PEER)) == code
    assert world.code(flow, client.channel_bind(0x8000, PEER)) == 400


def test_a_channel_has_one_peer_and_a_peer_one_channel() -> None:
    world = World()
    client, flow = world.allocated()
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
    assert world.code(flow, client.channel_bind(0x4000, Address(PEER.host, 1))) == 400
    assert world.code(flow, client.channel_bind(0x4001, PEER)) == 400


@pytest.mark.parametrize(
    "build",
    [
        lambda client: client.request(Method.CREATE_PERMISSION),
        lambda client: client.request(
            Method.CREATE_PERMISSION, [(Attribute.XOR_PEER_ADDRESS, b"\0\1")]
        ),
        lambda client: client.request(
            Method.CREATE_PERMISSION, [(Attribute.XOR_PEER_ADDRESS, b"\0\3" + bytes(18))]
        ),
        lambda client: client.request(
            Method.CHANNEL_BIND, [(Attribute.CHANNEL_NUMBER, b"\x40\0\0\0")]
        ),
        lambda client: client.request(
            Method.CHANNEL_BIND, [(Attribute.XOR_PEER_ADDRESS, b"\0\1" + bytes(6))]
        ),
        lambda client: client.request(Method.DATA),
    ],
)
def test_requests_without_what_they_need(build: Callable[[TurnClient], bytes]) -> None:
    world = World()
    client, flow = world.allocated()
    assert world.code(flow, build(client)) == 400


def test_peer_of_another_family_is_443() -> None:
    world = World()
    client, flow = world.allocated()
    assert world.code(flow, client.create_permission(PEER_V6)) == 443
    assert world.code(flow, client.channel_bind(0x4000, PEER_V6)) == 443
    other_family = client.request(
        Method.REFRESH, [(Attribute.REQUESTED_ADDRESS_FAMILY, bytes((2, 0, 0, 0)))]
    )
    assert world.code(flow, other_family) == 443


def test_create_permission_installs_all_or_none() -> None:
    world = World()
    client, flow = world.allocated()
    (relay_id,) = world.relays
    bad = Address("127.0.0.1", 5)
    assert world.code(flow, client.create_permission(PEER, bad)) == 403
    assert world.permitted[relay_id] == set()


def test_send_needs_a_permission_and_carries_dont_fragment() -> None:
    world = World()
    client, flow = world.allocated()
    assert world.send(flow, client.send(PEER, b"too early")) == []
    assert world.transmitted == []
    world.ask(flow, client.create_permission(PEER))
    # A permission is for the host, whatever the port (RFC 8656 §9).
    elsewhere = Address(PEER.host, 7777)
    world.send(flow, client.send(elsewhere, b"hello"))
    world.send(flow, client.send(PEER, b"", (Attribute.DONT_FRAGMENT, b"")))
    sent = [(t.peer, t.payload, t.dont_fragment) for t in world.transmitted]
    assert sent == [(elsewhere, b"hello", False), (PEER, b"", True)]
    world.send(flow, client.send(PEER, b"x", (0x7777, b"unknown")))
    assert len(world.transmitted) == 2


def test_icmp_errors_reach_the_client_of_a_permitted_peer() -> None:
    world = World()
    client, flow = world.allocated()
    (relay_id,) = world.relays
    error = bytes.fromhex("0000 0603 00000000")
    world.server.receive_icmp(relay_id, PEER, error)
    world.settle()
    count = len(world.replies)
    world.ask(flow, client.create_permission(PEER))
    world.server.receive_icmp(relay_id, PEER, error)
    world.settle()
    assert len(world.replies) == count + 2
    message = parse_message(world.replies[-1].data)
    assert isinstance(message, Message)
    assert message.method == Method.DATA
    assert message.get(Attribute.ICMP) == error
    assert address_in(message, Attribute.XOR_PEER_ADDRESS) == PEER
    assert message.get(Attribute.DATA) is None


def test_binding_answers_without_credentials() -> None:
    world = World()
    flow = world.flow(4321, "2a02:8388::77")
    request = encode_message(Method.BINDING, MessageClass.REQUEST, b"t" * 12, ())
    answer = world.ask(flow, request)
    assert address_in(answer, Attribute.XOR_MAPPED_ADDRESS) == flow.client
    assert not answer.fingerprint
    request = encode_message(Method.BINDING, MessageClass.REQUEST, b"u" * 12, (), fingerprint=True)
    assert world.ask(flow, request).fingerprint


def test_a_closed_connection_takes_its_allocation_along() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000, transport=Transport.TCP)
    world.allocate(client, flow)
    world.server.flow_closed(flow)
    world.server.flow_closed(flow)
    world.settle()
    assert world.nothing_left


def test_draining_lets_live_what_lives() -> None:
    world = World()
    client, flow = world.allocated()
    world.server.draining = True
    assert error_code(world.allocate(world.client(), world.flow(4001))) == 508
    assert world.code(flow, client.refresh(600)) is None
    assert world.code(flow, client.create_permission(PEER)) is None


@pytest.mark.parametrize("transport", list(Transport))
def test_reserving_is_refused_where_it_cannot_be_kept(transport: Transport) -> None:
    world = World(reservations=False)
    flow = world.flow(4000, transport=transport)
    assert error_code(world.allocate(world.client(), flow, EVEN_AND_NEXT)) == 508
    assert error_code(world.allocate(world.client(), flow, EVEN)) is None


def test_tables_of_one_allocation_have_bounds() -> None:
    world = World(limits=limits(permissions_per_allocation=3, channels_per_allocation=2))
    client, flow = world.allocated()
    for index in range(2):
        assert world.code(flow, client.channel_bind(0x4000 + index, _peer(index))) is None
    assert world.code(flow, client.channel_bind(0x4002, _peer(2))) == 508
    assert world.code(flow, client.create_permission(_peer(2))) is None
    assert world.code(flow, client.create_permission(_peer(3))) == 508
    assert world.code(flow, client.create_permission(_peer(2), _peer(0))) is None


def _peer(index: int) -> Address:
    return Address(f"9.9.9.{index}", 1000)


def _unxor(value: bytes, message: Message) -> Address | None:
    whole = Message(
        message.method,
        message.message_class,
        message.transaction_id,
        ((Attribute.XOR_RELAYED_ADDRESS, value),),
    )
    return address_in(whole, Attribute.XOR_RELAYED_ADDRESS)
