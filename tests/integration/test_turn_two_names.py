"""A host with two names: what a one-to-one NAT in front shows of it, and its address inside."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.test_turn_running import Ahead, Peer, Talker, config_for, pass_time
from turn.address import Address
from turn.attributes import Attribute, Method
from turn.client import TurnClient, address_in, parse_answer
from turn.message import Message
from turn.node import Node
from turn.relay import Relay

OUTSIDE = "198.51.100.77"


@dataclass
class Scene:
    """A client, and a peer at the relay's own machine by its two names."""

    talker: Talker
    peer: Peer
    node: Node
    clock: Ahead = field(default_factory=Ahead)

    @property
    def outer(self) -> Address:
        return Address(OUTSIDE, self.peer.address.port)

    @property
    def inner(self) -> Address:
        return self.peer.address

    @property
    def client(self) -> TurnClient:
        return self.talker.client

    def pass_time(self, seconds: float) -> None:
        pass_time(self.node, self.clock, seconds)

    async def done(self, *requests: bytes) -> None:
        for request in requests:
            assert await self.talker.code(request) is None

    async def up(self, frame: bytes, payload: bytes) -> None:
        self.talker.sock.send(frame)
        assert (await self.peer.receive())[0] == payload

    def down(self, payload: bytes) -> None:
        self.peer.sock.sendto(payload, ("127.0.0.1", self.talker.relayed.port))

    async def data(self) -> tuple[Address | None, bytes | None]:
        """Peer and payload of the Data indication that comes."""
        message = parse_answer(await self.talker.receive())
        assert isinstance(message, Message)
        assert message.method == Method.DATA
        return address_in(message, Attribute.XOR_PEER_ADDRESS), message.get(Attribute.DATA)


def channel_data(number: int, payload: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload


@contextlib.asynccontextmanager
async def behind_a_nat(directory: Path) -> AsyncIterator[Scene]:
    clock = Ahead()
    with Peer() as peer:
        port = peer.address.port
        config = config_for(
            directory,
            external_ipv4=OUTSIDE,
            relay_ipv4="127.0.0.1",
            allow_loopback_peers=False,
            allowed_services=((OUTSIDE, port), ("127.0.0.1", port)),
        )
        async with Relay(config, None, clock) as relay:
            with Talker(relay) as talker:
                await talker.allocate()
                node = relay._running
                assert isinstance(node, Node)
                yield Scene(talker, peer, node, clock)


@pytest.mark.parametrize("kept", ["outer", "inner"])
async def test_a_permission_that_ends_takes_nothing_from_the_other_name(
    tmp_path: Path, kept: str
) -> None:
    async with behind_a_nat(tmp_path) as scene:
        used = scene.outer if kept == "outer" else scene.inner
        create = scene.client.create_permission
        await scene.done(create(scene.outer), create(scene.inner))
        scene.pass_time(200)
        await scene.done(create(used))
        scene.pass_time(150)  # the other one is over
        scene.down(b"still here")
        assert await scene.data() == (used, b"still here")
        scene.pass_time(200)
        scene.down(b"nobody is permitted any more")
        assert await scene.talker.hears_nothing()


@pytest.mark.parametrize("kept", ["outer", "inner"])
async def test_a_channel_outlives_the_permission_of_the_other_name(
    tmp_path: Path, kept: str
) -> None:
    async with behind_a_nat(tmp_path) as scene:
        used = scene.outer if kept == "outer" else scene.inner
        create, bind = scene.client.create_permission, scene.client.channel_bind
        await scene.done(create(scene.outer), create(scene.inner), bind(0x4000, used))
        for _ in range(4):
            scene.pass_time(200)
            scene.client.learn(await scene.talker.ask(scene.client.refresh(600)))
            await scene.done(scene.client.refresh(600), bind(0x4000, used))
            scene.down(b"down")
            assert await scene.talker.receive() == channel_data(0x4000, b"down")


async def test_what_comes_back_has_the_name_that_was_called(tmp_path: Path) -> None:
    """A client counts an answer only if it comes from where the question went."""
    async with behind_a_nat(tmp_path) as scene:
        create, send = scene.client.create_permission, scene.client.send
        await scene.done(create(scene.inner))
        scene.down(b"by the only name it has")
        assert await scene.data() == (scene.inner, b"by the only name it has")
        await scene.done(create(scene.outer))
        for name in (scene.outer, scene.inner, scene.outer):
            await scene.up(send(name, b"up"), b"up")
            scene.down(b"down")
            assert await scene.data() == (name, b"down")
        # What is sent to one port says nothing of another.
        with Peer() as other:
            await scene.up(send(scene.inner, b"up"), b"up")
            other.sock.sendto(b"down", ("127.0.0.1", scene.talker.relayed.port))
            named, _ = await scene.data()
            assert named == Address(OUTSIDE, other.address.port)


async def test_channels_to_both_names_are_two_ways(tmp_path: Path) -> None:
    async with behind_a_nat(tmp_path) as scene:
        bind = scene.client.channel_bind
        await scene.done(bind(0x4000, scene.outer), bind(0x4001, scene.inner))
        for number in (0x4000, 0x4001, 0x4000, 0x4000, 0x4001):
            await scene.up(channel_data(number, b"up"), b"up")
            scene.down(b"down")
            assert await scene.talker.receive() == channel_data(number, b"down")
        # One that is refreshed, or is the only one left, takes nothing from the other.
        await scene.done(bind(0x4000, scene.outer))
        scene.down(b"down")
        assert await scene.talker.receive() == channel_data(0x4001, b"down")
        scene.pass_time(350)
        scene.client.learn(await scene.talker.ask(scene.client.refresh(600)))
        await scene.done(scene.client.refresh(600), bind(0x4000, scene.outer))
        scene.pass_time(270)
        scene.down(b"down")
        assert await scene.talker.receive() == channel_data(0x4000, b"down")


async def test_a_send_to_the_other_name_is_answered_by_that_name(tmp_path: Path) -> None:
    """Browsers send their checks as Send indications until a way is chosen."""
    async with behind_a_nat(tmp_path) as scene:
        create, bind = scene.client.create_permission, scene.client.channel_bind
        await scene.done(bind(0x4000, scene.outer), create(scene.inner))
        await scene.up(scene.client.send(scene.inner, b"check"), b"check")
        scene.down(b"answer")
        assert await scene.data() == (scene.inner, b"answer")
        await scene.up(channel_data(0x4000, b"media"), b"media")
        scene.down(b"media")
        assert await scene.talker.receive() == channel_data(0x4000, b"media")


async def test_many_ports_of_one_host_cost_no_memory_without_end(tmp_path: Path) -> None:
    async with behind_a_nat(tmp_path) as scene:
        create, bind = scene.client.create_permission, scene.client.channel_bind
        await scene.done(bind(0x4000, scene.outer), create(scene.inner))
        (relay,) = scene.node.path._tables.relays.values()  # type: ignore[attr-defined]
        for number, port in enumerate(scene.node._config.ports_for_calls[:400]):
            scene.talker.sock.send(scene.client.send(Address("127.0.0.1", port), b""))
            if number % 50 == 49:  # no more at a time than a socket takes
                await scene.up(channel_data(0x4000, b"up"), b"up")
        assert 0 < len(relay.spoken) <= 256
