"""Check credentials at a running relay: what they measure, and what nobody gets out of them."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.conftest import until
from tests.integration.test_turn_running import (
    SECRET,
    Peer,
    Talker,
    port_of,
    running,
    trusting,
)
from turn.address import Address
from turn.attributes import Attribute
from turn.client import TurnClient, address_in, error_code
from turn.config import Limits
from turn.credentials import issue_check
from turn.five_tuple import Transport
from turn.probe import probe
from turn.relay import Relay


def checker(relay: Relay, opaque: str = "c1", seconds: float = 60) -> Talker:
    talker = Talker(relay)
    name = issue_check(SECRET, opaque, int(time.time() + seconds))
    talker.client = TurnClient(*name, os.urandom)
    return talker


def channel_data(number: int, payload: bytes) -> bytes:
    return struct.pack("!HH", number, len(payload)) + payload


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running(tmp_path, limits=Limits(check_bytes=20_000)) as started:
        yield started


async def pair(relay: Relay, opened: ExitStack, opaque: str = "c1") -> tuple[Talker, Talker]:
    near = opened.enter_context(checker(relay, opaque))
    far = opened.enter_context(checker(relay, opaque))
    far.client = TurnClient(near.client.username, near.client.password, os.urandom)
    for talker in (near, far):
        await talker.allocate()
    assert await near.code(near.client.channel_bind(0x4000, far.relayed)) is None
    assert await far.code(far.client.channel_bind(0x4000, near.relayed)) is None
    return near, far


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("processes", [1, 2])
async def test_the_way_to_the_relay_is_measured(
    tmp_path: Path, transport: Transport, processes: int
) -> None:
    """Its two ends may be in two processes: four times, so that they surely are once."""
    async with running(tmp_path, processes=processes) as relay:
        for number in range(4 if processes > 1 else 1):
            name = issue_check(SECRET, f"c{number}", int(time.time()) + 60)
            port = port_of(relay, transport)
            context = trusting(tmp_path) if transport is Transport.TLS else None
            await probe(transport, "127.0.0.1", port, *name, context=context)


async def test_nobody_but_the_same_check_is_reached(relay: Relay, opened: ExitStack) -> None:
    """Loopback peers are allowed here to everybody else, and the strangers do listen."""
    near, _ = await pair(relay, opened)
    outside = opened.enter_context(Peer())
    caller = opened.enter_context(Talker(relay))
    await caller.allocate()
    # The caller lets everybody on this host through to it, as in a call over the same relay.
    assert await caller.code(caller.client.create_permission(near.relayed)) is None
    other, _ = await pair(relay, opened, "other")
    listener = Address("127.0.0.1", port_of(relay, Transport.UDP))
    for target in (outside.address, caller.relayed, other.relayed, listener):
        assert await near.code(near.client.create_permission(target)) == 403
        assert await near.code(near.client.channel_bind(0x4001, target)) == 403
        near.sock.send(near.client.send(target, b"smuggled"))
        near.sock.send(channel_data(0x4001, b"smuggled"))
    with pytest.raises(TimeoutError):
        await outside.receive(0.2)
    assert await caller.hears_nothing()
    assert await other.hears_nothing()
    dropped = relay.stats().dropped
    assert dropped["peer_not_of_this_check"] == 8
    assert dropped["peer_own_host"] == 4


async def test_bytes_run_out_and_are_not_given_again(relay: Relay, opened: ExitStack) -> None:
    near, far = await pair(relay, opened)
    # Each counts twice: in by one relayed address, and out by the other.
    for _ in range(6):
        near.sock.send(channel_data(0x4000, bytes(1000)))
        assert len(await far.receive()) == 1004
    for _ in range(20):
        near.sock.send(channel_data(0x4000, bytes(1000)))
    while not await far.hears_nothing():
        pass
    assert relay.stats().dropped["bandwidth"] >= 12
    assert relay.stats().bytes["up"] + relay.stats().bytes["down"] == 20_000
    # New allocations with the same credential find the same account.
    await near.code(near.client.refresh(0))
    again = opened.enter_context(checker(relay))
    again.client = TurnClient(near.client.username, near.client.password, os.urandom)
    await again.allocate()
    assert await again.code(again.client.channel_bind(0x4000, far.relayed)) is None
    again.sock.send(channel_data(0x4000, bytes(1000)))
    assert await far.hears_nothing()
    assert relay.stats().bytes["up"] + relay.stats().bytes["down"] == 20_000
    # Another check has its own, and so has a call.
    left, right = await pair(relay, opened, "another")
    left.sock.send(channel_data(0x4000, b"fresh"))
    assert await right.receive() == channel_data(0x4000, b"fresh")


async def test_a_check_over_tcp_is_counted_too(tmp_path: Path) -> None:
    async with running(tmp_path, limits=Limits(check_bytes=10)) as relay:
        name = issue_check(SECRET, "c1", int(time.time()) + 60)
        with pytest.raises(Exception, match="no answer"):
            await probe(
                Transport.TCP, "127.0.0.1", port_of(relay, Transport.TCP), *name, timeout=0.6
            )
        assert relay.stats().dropped["bandwidth"] > 0


async def test_time_runs_out(tmp_path: Path, opened: ExitStack) -> None:
    async with running(tmp_path) as relay:
        near = opened.enter_context(checker(relay, seconds=3))
        answer = await near.ask(near.client.allocate())
        near.client.learn(answer)
        answer = await near.ask(near.client.allocate())
        assert error_code(answer) is None
        assert address_in(answer, Attribute.XOR_RELAYED_ADDRESS) is not None
        assert relay.allocations == 1
        expiry = int(near.client.username.partition(":")[0])
        await until(lambda: relay.allocations == 0 and time.time() > expiry)
        assert await near.code(near.client.allocate()) == 401
