"""Check credentials: they measure the way to the relay, and are good for nothing else."""

from __future__ import annotations

import struct

import pytest

from tests.unit.test_turn_world import (
    PEER,
    RELAY_V4,
    RELAY_V6,
    SECRET,
    SERVER,
    World,
    limits,
)
from turn.address import Address, Family
from turn.attributes import Attribute
from turn.checks import CHECK_SECONDS_MOST, CheckAccount, CheckPolicy, check_ports
from turn.client import TurnClient, address_in, error_code
from turn.config import RelayConfig
from turn.credentials import Credentials, PasswordAlgorithm, issue, issue_check
from turn.five_tuple import FiveTuple, Transport
from turn.forwarding import Allowance
from turn.outputs import OpenMeter
from turn.peer_policy import Refusal

OWN = range(50100, 50120)  # World's ports for checks of this process
FOREIGN = range(50120, 50140)


def checker(world: World, opaque: str = "c1", expires_in: float = 60) -> TurnClient:
    return TurnClient(*issue_check(SECRET, opaque, int(world.wall + expires_in)), world.random)


def allocated(
    world: World, port: int, client: TurnClient | None = None, family: Family | None = None
) -> tuple[TurnClient, FiveTuple, Address]:
    client = client or checker(world)
    client = TurnClient(client.username, client.password, world.random)
    flow = world.flow(port)
    answer = world.allocate(client, flow, family=family)
    assert error_code(answer) is None
    relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    assert relayed is not None
    return client, flow, relayed


def test_its_ends_reach_one_another() -> None:
    world = World()
    near, near_flow, near_relayed = allocated(world, 4000)
    far, far_flow, far_relayed = allocated(world, 4001)
    assert {near_relayed.port, far_relayed.port} < set(OWN)
    assert world.code(near_flow, near.create_permission(far_relayed)) is None
    assert world.code(far_flow, far.channel_bind(0x4000, near_relayed)) is None
    world.send(near_flow, near.send(far_relayed, b"ping"))
    (sent,) = world.transmitted
    assert (sent.peer, sent.payload) == (far_relayed, b"ping")


def test_both_families() -> None:
    world = World()
    client, flow, _ = allocated(world, 4000, family=Family.IPV6)
    _, _, relayed = allocated(world, 4001, family=Family.IPV6)
    assert relayed.host == RELAY_V6
    assert world.code(flow, client.channel_bind(0x4000, relayed)) is None


@pytest.mark.parametrize(
    "peer",
    [
        PEER,
        SERVER,
        Address(RELAY_V4, 50000),  # where calls have their relayed addresses
        Address(RELAY_V4, 53),
        Address(RELAY_V4, OWN.start),  # nobody's now
        Address("127.0.0.1", OWN.start),
        Address("10.0.0.1", FOREIGN.start),
        Address(f"::ffff:{RELAY_V4}", FOREIGN.start),
    ],
)
def test_nobody_else_is_reached(peer: Address) -> None:
    world = World()
    client, flow, relayed = allocated(world, 4000)
    if relayed == peer:
        peer = peer._replace(port=peer.port + 1)
    other, _, own = allocated(world, 4001, client)
    assert world.code(flow, client.create_permission(peer)) == 403
    assert world.code(flow, client.channel_bind(0x4000, peer)) == 403
    # All of the peers or none (RFC 8656 section 10.2).
    assert world.code(flow, client.create_permission(own, peer)) == 403
    # A permission is for the host, so every Send is looked at for its port.
    assert world.code(flow, client.create_permission(own)) is None
    world.send(flow, client.send(peer, b"smuggled"))
    assert not world.transmitted
    assert world.server.counters.dropped["peer_not_of_this_check"] >= 3
    assert other.username == client.username


def test_another_check_is_not_reached() -> None:
    world = World()
    mine, flow, own = allocated(world, 4000, checker(world, "mine"))
    _, _, theirs = allocated(world, 4001, checker(world, "theirs"))
    assert world.code(flow, mine.create_permission(theirs)) == 403
    assert world.code(flow, mine.channel_bind(0x4000, theirs)) == 403
    assert world.code(flow, mine.create_permission(own)) is None
    world.send(flow, mine.send(theirs, b"smuggled"))
    assert not world.transmitted
    # What another process has cannot be told apart from here; it is a check's in any case.
    assert world.code(flow, mine.channel_bind(0x4001, Address(RELAY_V4, FOREIGN.start))) is None


def test_no_call_reaches_a_check() -> None:
    world = World()
    _, _, relayed = allocated(world, 4000)
    caller, flow = world.allocated(4001)
    assert world.code(flow, caller.create_permission(relayed)) == 403
    assert all(opened.port not in OWN for opened in list(world.relays.values())[1:])


def test_a_check_ends_with_its_credential() -> None:
    world = World()
    client = checker(world, expires_in=60)
    answer = world.allocate(client, world.flow(4000))
    assert int.from_bytes(answer.get(Attribute.LIFETIME) or b"", "big") == 60
    world.pass_time(50)
    asked = client.request(0x004, [(Attribute.LIFETIME, struct.pack("!I", 3600))])
    granted = world.ask(world.flow(4000), asked).get(Attribute.LIFETIME)
    assert int.from_bytes(granted or b"", "big") == 10
    world.pass_time(11)
    assert world.nothing_left
    assert world.code(world.flow(4000), client.allocate()) == 401
    world.pass_time(2)
    assert not world.meters


def test_bytes_are_counted_over_all_its_allocations_and_not_given_again() -> None:
    world = World(limits=limits(check_bytes=1000))
    client, flow, _ = allocated(world, 4000)
    allocated(world, 4001, client)
    allocated(world, 4002, checker(world, "other"))
    first, second, other = world.metered.values()
    assert first == second != other != 0
    assert world.meters == {first: 1000, other: 1000}
    world.send(flow, client.refresh(0))
    allocated(world, 4003, client)
    assert list(world.metered.values())[-1] == first
    assert len(world.meters) == 2
    assert not any(isinstance(o, OpenMeter) for o in world.table.outputs)
    # What belongs to calls has none.
    world.allocated(4004)
    assert list(world.metered.values())[-1] == 0


def test_an_allowance_without_a_rate_is_never_refilled() -> None:
    meter = Allowance(0, 100)
    meter.left -= 101
    assert not meter.refill()
    meter.left += 101
    assert meter.left == 100
    assert not Allowance(0, 0).left


def test_allocations_of_a_check_are_counted_for_its_life() -> None:
    world = World(limits=limits(check_allocations=3))
    client = checker(world)
    for port in range(4000, 4003):
        made, flow, _ = allocated(world, port, client)
        world.ask(flow, made.refresh(0))
    assert error_code(world.allocate(client, world.flow(4003))) == 486
    allocated(world, 4004, checker(world, "another"))


def test_checks_at_a_time_are_bounded() -> None:
    world = World(limits=limits(checks=2))
    for number in range(2):
        made, flow, _ = allocated(world, 4000 + number, checker(world, f"c{number}"))
        world.ask(flow, made.refresh(0))
    assert error_code(world.allocate(checker(world, "c2"), world.flow(4002))) == 508
    world.allocated(4003)  # calls go on
    world.pass_time(63)
    allocated(world, 4004, checker(world, "c3"))


def test_checks_take_no_allocation_that_calls_need() -> None:
    world = World(limits=limits(allocations=2, allocations_per_address=2, allocations_per_user=2))
    for number in range(8):
        allocated(world, 4000 + number, checker(world, f"c{number // 4}"))
    world.allocated(4100)
    world.allocated(4101)
    assert error_code(world.allocate(world.client("late"), world.flow(4102))) == 486
    allocated(world, 4103)  # nor do calls take any that checks need


def test_allocations_of_all_checks_are_bounded() -> None:
    world = World(limits=limits(check_allocations_in_all=3))
    made = [allocated(world, 4000 + n, checker(world, f"c{n}")) for n in range(3)]
    assert error_code(world.allocate(checker(world), world.flow(4003))) == 508
    client, flow, _ = made[0]
    world.ask(flow, client.refresh(0))
    allocated(world, 4003)


def test_allocations_of_checks_of_one_address_are_bounded() -> None:
    world = World(limits=limits(check_allocations_per_address=3))
    made = [allocated(world, 4000 + n, checker(world, f"c{n}")) for n in range(3)]
    assert error_code(world.allocate(checker(world), world.flow(4003))) == 486
    assert error_code(world.allocate(checker(world), world.flow(4003, "8.8.4.4"))) is None
    client, flow, _ = made[0]
    world.ask(flow, client.refresh(0))
    allocated(world, 4003)


def test_no_port_left_for_checks_takes_none_of_the_calls() -> None:
    world = World(check_ports=range(50100, 50101))
    allocated(world, 4000)
    assert error_code(world.allocate(checker(world), world.flow(4001))) == 508
    assert world.pools[Family.IPV4].used == 0


def test_no_reservation() -> None:
    world = World()
    reserve = (Attribute.EVEN_PORT, b"\x80")
    assert error_code(world.allocate(checker(world), world.flow(4000), reserve)) == 508


def test_names_and_passwords_are_of_one_kind_or_the_other() -> None:
    credentials = Credentials((SECRET,), "konsil", 90_000)
    name, password = issue_check(SECRET, "abc", 1060)
    assert name == "1060:check:abc"
    claim = credentials.claim(name.encode(), 1000)
    assert claim is not None
    assert claim.check
    plain = credentials.claim(issue(SECRET, "check", 1060)[0].encode(), 1000)
    assert plain is not None
    assert not plain.check
    with pytest.raises(ValueError, match="opaque"):
        issue(SECRET, "check:abc", 1060)
    # What coturn would take for this name, with the same secret, is another password.
    world = World()
    forged = TurnClient(*issue(SECRET, "x", int(world.wall) + 60), world.random)
    forged.username = forged.username.replace(":x", ":check:x")
    assert error_code(world.allocate(forged, world.flow(4000))) == 401
    assert len(credentials.keys(name.encode(), PasswordAlgorithm.MD5)) == 1
    assert password != issue(SECRET, "abc", 1060)[1]


def test_a_check_far_ahead_is_none_of_ours() -> None:
    credentials = Credentials((SECRET,), "konsil", 90_000)
    assert credentials.claim(b"1120:check:a", 1120 - CHECK_SECONDS_MOST) is not None
    assert credentials.claim(b"1121:check:a", 1120 - CHECK_SECONDS_MOST) is None
    assert credentials.claim(b"1000:check:a", 1000) is None


@pytest.mark.parametrize(
    ("ports", "processes", "count"),
    [
        (range(49152, 65536), 1, 512),
        (range(49152, 65536), 3, 510),
        (range(50000, 50100), 1, 12),
        (range(50000, 50100), 4, 8),
        (range(50000, 50008), 1, 0),
        (range(50000, 50008), 4, 0),
    ],
)
def test_ports_for_checks(ports: range, processes: int, count: int) -> None:
    assert check_ports(ports, processes) == count
    config = RelayConfig(("s",), min_port=ports.start, max_port=ports.stop - 1, processes=processes)
    assert len(config.ports_for_checks) == count
    assert config.ports_for_calls.stop == config.ports_for_checks.start
    assert config.ports_for_checks.stop == ports.stop


def test_the_policy_alone() -> None:
    account = CheckAccount.until(b"1:check:a", 1, 60.0)
    held = {Address(RELAY_V4, 50100): account}
    policy = CheckPolicy([RELAY_V4], range(50100, 50200), range(50100, 50150), held.get)
    assert policy.refuses(Address(RELAY_V4, 50100), account) is None
    assert policy.refuses(Address(RELAY_V4, 50150), account) is None
    stranger = CheckAccount.until(b"1:check:b", 2, 60.0)
    for peer, whose in (
        (Address(RELAY_V4, 50100), stranger),
        (Address(RELAY_V4, 50101), account),
        (Address(RELAY_V4, 50099), account),
        (Address(RELAY_V4, 50200), account),
        (Address(RELAY_V6, 50150), account),
    ):
        assert policy.refuses(peer, whose) is Refusal.CHECK


def test_over_tcp_it_ends_with_the_connection() -> None:
    world = World()
    flow = world.flow(4000, transport=Transport.TCP)
    assert error_code(world.allocate(checker(world), flow)) is None
    world.server.flow_closed(flow)
    world.settle()
    assert world.nothing_left
