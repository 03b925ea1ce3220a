"""What somebody who forges an address can take from those who have it."""

from __future__ import annotations

import pytest

from tests.unit.test_turn_world import PEER, World
from turn.attributes import MessageClass, Method
from turn.client import error_code, parse_answer
from turn.config import Limits
from turn.five_tuple import Transport
from turn.message import encode_message

BINDING = encode_message(Method.BINDING, MessageClass.REQUEST, b"x" * 12, ())


def bare(method: int, number: int) -> bytes:
    return encode_message(method, MessageClass.REQUEST, number.to_bytes(12, "big"), ())


def forged(world: World, method: int, number: int, host: str = "198.51.100.7") -> int:
    """One datagram from an address of a client, a port of nobody; bytes that go there."""
    return sum(map(len, world.send(world.flow(9, host), bare(method, number))))


@pytest.mark.parametrize("method", [Method.BINDING, Method.ALLOCATE, 0xABC])
def test_a_flood_takes_nothing_from_an_allocation(method: int) -> None:
    world = World(limits=Limits())
    client, flow = world.allocated()
    for second in range(20):
        for number in range(1000):
            forged(world, method, second << 16 | number)
            world.now += 0.001
        assert world.code(flow, client.channel_bind(0x4000, PEER)) is None
        assert world.code(flow, client.refresh(600)) is None


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_a_flood_takes_nothing_from_who_has_proven_the_address(transport: Transport) -> None:
    world = World(limits=Limits())
    for second in range(5):
        for number in range(1000):
            forged(world, Method.BINDING, second << 16 | number)
            world.now += 0.001
        client = world.client()
        assert error_code(world.allocate(client, world.flow(second, transport=transport))) is None


@pytest.mark.parametrize("method", [Method.BINDING, Method.ALLOCATE])
@pytest.mark.parametrize("host", ["198.51.100.7", "2a02:8388::7"])
def test_a_trickle_silences_nobody(method: int, host: str) -> None:
    """Over UDP, and before there is an allocation."""
    world = World(limits=Limits())
    for number in range(60 * 20):
        forged(world, method, number, host)
        world.now += 1 / 20
        if number % 20 == 0:
            flow = world.flow(4000 + number, host)
            assert error_code(world.allocate(world.client(f"p{number}"), flow)) is None
            assert len(world.send(world.flow(3000 + number, host), BINDING)) == 1
            world.server.end_all()
            world.settle()


@pytest.mark.parametrize("host", ["198.51.100.7", "2a02:8388::7"])
@pytest.mark.parametrize("methods", [(Method.BINDING,), (Method.ALLOCATE, 0xABC)])
def test_what_a_forged_source_is_sent_is_what_it_sent_and_a_little(
    host: str, methods: tuple[int, ...]
) -> None:
    limits = Limits(requests_per_address=1e6, request_burst=1e6)
    world = World(limits=limits)
    sent = received = 0
    for number in range(40_000):
        method = methods[number % len(methods)]
        sent += len(bare(method, number))
        received += forged(world, method, number, host)
        world.now += 1 / 4000
    assert received <= sent + limits.unproven_excess * (1 + 10)
    assert world.server.counters.dropped["amplification"] > 0


@pytest.mark.parametrize("transport", list(Transport))
def test_what_is_too_much_is_refused_where_it_is_not_sent_again(transport: Transport) -> None:
    """RFC 8489 §6.2.2: over TCP and TLS a request without an answer is a server that is gone."""
    world = World(limits=Limits(requests_per_address=1, request_burst=10))
    flow = world.flow(4000, transport=transport)
    answers = [answer for n in range(12) for answer in world.send(flow, bare(0x003, n))]
    codes = [error_code(message) for message in map(parse_answer, answers) if message]
    assert codes == [401] * 10 + ([500] * 2 if transport.proven else [])
    assert world.server.counters.dropped["request_rate"] == (0 if transport.proven else 2)
    assert world.server.counters.requests["allocate", "500"] == (2 if transport.proven else 0)
    # Nor does one of the two take from the other, whoever floods.
    other = Transport.UDP if transport.proven else Transport.TCP
    assert world.code(world.flow(4000, transport=other), bare(0x003, 1)) == 401


def test_an_allocation_has_one_bound_whatever_is_asked() -> None:
    world = World(limits=Limits(request_burst=20, requests_per_allocation=5))
    client, flow = world.allocated()
    assert sum(len(world.send(flow, BINDING)) for _ in range(8)) == 8
    assert sum(len(world.send(flow, client.refresh(600))) for _ in range(50)) == 2
    world.now += 1
    assert world.code(flow, client.refresh(600)) is None
