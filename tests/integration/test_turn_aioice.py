"""aioice's TURN client, and a whole ICE session through it, over every transport."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aioice
import pytest
from aioice import turn as aioice_turn

from tests.integration.test_turn_running import (
    Ahead,
    Peer,
    config_for,
    credentials,
    pass_time,
    port_of,
    running,
    trusting,
)
from turn.five_tuple import Transport
from turn.node import Node
from turn.relay import Relay


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.closed = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


@pytest.mark.parametrize("transport", list(Transport))
async def test_turn_client(tmp_path: Path, transport: Transport) -> None:
    async with running(tmp_path) as relay:
        username, password = credentials()
        name = "localhost" if transport is Transport.TLS else "127.0.0.1"
        endpoint, receiver = await aioice_turn.create_turn_endpoint(
            Receiver,
            server_addr=(name, port_of(relay, transport)),
            username=username,
            password=password,
            transport="udp" if transport is Transport.UDP else "tcp",
            ssl=trusting(tmp_path) if transport is Transport.TLS else None,
        )
        with Peer() as peer:
            endpoint.sendto(b"ping", peer.address)
            data, relayed = await peer.receive()
            assert data == b"ping"
            assert relayed == endpoint.get_extra_info("sockname")
            for size in (0, 1, 2, 3, 1200):  # every padding
                peer.sock.sendto(bytes(size), relayed)
                received = await asyncio.wait_for(receiver.received.get(), 5)
                assert received == (bytes(size), peer.address)
        endpoint.close()
        await asyncio.wait_for(receiver.closed, 5)
        assert relay.allocations == 0


async def test_its_channels_hear_their_peer_until_they_are_refreshed(tmp_path: Path) -> None:
    """It asks for a permission once, and every 500 s for its channels."""
    clock = Ahead()
    async with Relay(config_for(tmp_path), None, clock) as relay:
        username, password = credentials()
        endpoint, receiver = await aioice_turn.create_turn_endpoint(
            Receiver,
            server_addr=("127.0.0.1", port_of(relay, Transport.UDP)),
            username=username,
            password=password,
        )
        node = relay._running
        assert isinstance(node, Node)
        with Peer() as peer:
            endpoint.sendto(b"ping", peer.address)
            _, relayed = await peer.receive()
            for seconds in (200, 110, 190):
                pass_time(node, clock, seconds)
                peer.sock.sendto(b"pong", relayed)
                received = await asyncio.wait_for(receiver.received.get(), 5)
                assert received == (b"pong", peer.address)
        endpoint.close()
        await asyncio.wait_for(receiver.closed, 5)


@pytest.mark.parametrize("transport", list(Transport))
async def test_an_ice_session_through_the_relay_only(tmp_path: Path, transport: Transport) -> None:
    async with running(tmp_path, allow_loopback_peers=False) as relay:
        ends = []
        for role in (True, False):
            username, password = credentials(opaque="ab"[role])
            ends.append(
                aioice.Connection(
                    ice_controlling=role,
                    turn_server=("localhost", port_of(relay, transport)),
                    turn_username=username,
                    turn_password=password,
                    turn_transport="udp" if transport is Transport.UDP else "tcp",
                    turn_ssl=trusting(tmp_path) if transport is Transport.TLS else False,
                    transport_policy=aioice.TransportPolicy.RELAY,
                    use_ipv6=False,
                )
            )
        near, far = ends
        try:
            await asyncio.gather(near.gather_candidates(), far.gather_candidates())
            for here, there in ((near, far), (far, near)):
                assert {candidate.type for candidate in here.local_candidates} == {"relay"}
                for candidate in here.local_candidates:
                    await there.add_remote_candidate(candidate)
                await there.add_remote_candidate(None)
                there.remote_username = here.local_username
                there.remote_password = here.local_password
            await asyncio.wait_for(asyncio.gather(near.connect(), far.connect()), 20)
            for number in range(20):
                await near.send(b"to far %d" % number)
                assert await asyncio.wait_for(far.recv(), 5) == b"to far %d" % number
                await far.send(b"to near %d" % number)
                assert await asyncio.wait_for(near.recv(), 5) == b"to near %d" % number
        finally:
            await asyncio.gather(near.close(), far.close())
        stats = relay.stats()
        assert stats.allocations == 0
        assert stats.packets["up"] >= 40
