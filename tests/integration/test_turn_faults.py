"""What goes wrong at one client's packets costs no other client any."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import until
from tests.integration.test_turn_running import Peer, Talker, running
from turn.address import Address, Family
from turn.attributes import Attribute
from turn.client import parse_answer
from turn.five_tuple import FiveTuple, Transport
from turn.python_path import PythonPath
from turn.server import TurnServer

SIX = (Attribute.REQUESTED_ADDRESS_FAMILY, bytes((2, 0, 0, 0)))


@pytest.fixture
async def met() -> list[dict[str, Any]]:
    """What the event loop is told of exceptions that nobody caught."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


@pytest.mark.parametrize("size", [65_504, 65_505, 65_527])
async def test_what_is_too_long_for_a_message_is_dropped(
    tmp_path: Path, size: int, met: list[dict[str, Any]]
) -> None:
    async with running(tmp_path) as relay:
        with Talker(relay, "::1") as talker, Peer("::1") as peer, Peer("::1") as bound:
            await talker.allocate(SIX)
            assert await talker.code(talker.client.create_permission(peer.address)) is None
            assert await talker.code(talker.client.channel_bind(0x4000, bound.address)) is None
            peer.sock.sendto(bytes(size), talker.relayed)
            peer.sock.sendto(b"small", talker.relayed)
            message = parse_answer(await talker.receive())
            assert message is not None
            assert message.get(Attribute.DATA) == b"small"
            # A message of 65,504 bytes of payload fits its length, but no datagram to the client.
            reason = "too_long" if size > 65_504 else "send_error"
            assert relay.stats().dropped == {reason: 1}
            # A channel's header holds every length there is.
            bound.sock.sendto(bytes(65_000), talker.relayed)
            assert len(await talker.receive()) == 65_004
    assert met == []


async def test_a_fault_at_one_allocation_costs_no_other_a_packet(
    tmp_path: Path, met: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as relay:
        with (
            Talker(relay, opaque="a") as broken,
            Talker(relay, opaque="b") as sound,
            Peer() as peer,
        ):
            for talker in (broken, sound):
                await talker.allocate()
            await broken.ask(broken.client.create_permission(peer.address))
            await sound.ask(sound.client.channel_bind(0x4000, peer.address))
            # As a fault of ours would leave it.
            tables = relay._running.path._tables  # type: ignore[union-attr]
            for one in tables.relays.values():
                if one.sock.getsockname()[1] == broken.relayed.port:
                    one.permitted = None
            for number in range(100):
                peer.sock.sendto(b"secret word", broken.relayed)
                peer.sock.sendto(bytes((number,)), sound.relayed)
            received = [await sound.receive() for _ in range(100)]
            assert received == [bytes((0x40, 0, 0, 1, number)) for number in range(100)]
            assert relay.stats().dropped == {"fault": 100}
    assert met == []
    lines = [one for one in caplog.records if one.msg == "relay_fault"]
    assert 1 <= len(lines) < 100


async def test_a_fault_at_a_message_leaves_what_was_sent_counted_and_what_waits_served() -> None:
    heard: list[bytes] = []

    def on_message(data: bytes, flow: FiveTuple) -> None:
        if data == b"\0trap":
            raise IndexError(data)
        heard.append(data)

    path = PythonPath(on_message, lambda *_: None, os.urandom, bandwidth=1_000_000)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        Peer() as peer,
    ):
        for sock in (listening, client):
            sock.bind(("127.0.0.1", 0))
        server = Address(*listening.getsockname())
        path.listen(listening, server)
        path.open_relay(1, Family.IPV4, "127.0.0.1", 0)
        path.attach(1, FiveTuple(Transport.UDP, Address(*client.getsockname()), server), None)
        path.bind_channel(1, 0x4000, peer.address)
        frame = struct.pack("!HH", 0x4000, 4) + b"data"
        for data in (frame, b"\0trap", frame, b"\0word"):
            client.sendto(data, server)
        path.drain()
        for _ in range(2):
            assert (await peer.receive())[0] == b"data"
        assert heard == [b"\0word"]
        assert path.counters.dropped == {"fault": 1}
        assert path.counters.packets_up == 2
        assert path.counters.bytes_up == 8
        path.close()


async def test_a_fault_at_a_tick_does_not_stop_the_clock(
    tmp_path: Path, met: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[float] = []
    handle_timer = TurnServer.handle_timer

    def fails_once(server: TurnServer, now: float) -> None:
        ticks.append(now)
        if len(ticks) == 1:
            raise RuntimeError("a fault of ours")
        handle_timer(server, now)

    monkeypatch.setattr(TurnServer, "handle_timer", fails_once)
    async with running(tmp_path):
        await until(lambda: len(ticks) >= 3)
    assert len(met) == 1
