"""TCP and TLS connections: which are taken, and how each of them comes to an end."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_turn_running import (
    Peer,
    Talker,
    credentials,
    many,
    port_of,
    running,
    trusting,
)
from turn.address import Address
from turn.attributes import Attribute
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.five_tuple import Transport
from turn.message import Message
from turn.probe import probe
from turn.relay import Relay


class Caller:
    """A client over TCP or TLS that reads only when it is told to."""

    def __init__(self, relay: Relay, context: ssl.SSLContext | None = None) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        transport = Transport.TCP if context is None else Transport.TLS
        self.sock.connect(("127.0.0.1", port_of(relay, transport)))
        self.sock.setblocking(False)
        self.client = TurnClient(*credentials(), os.urandom)
        self.relayed = Address("", 0)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = None
        if context is not None:
            self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def receive(self) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.sock, 65535), 5)

    async def shake_hands(self) -> None:
        assert self.tls is not None
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                self._incoming.write(await self.receive())
            else:
                await self.flush()
                return

    async def flush(self) -> None:
        if data := self._outgoing.read():
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send(self, data: bytes) -> None:
        if self.tls is None:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)
        else:
            self.tls.write(data)
            await self.flush()

    async def ask(self, request: bytes) -> Message:
        await self.send(request)
        data = b""
        while True:
            if self.tls is None:
                data += await self.receive()
            else:
                try:
                    data += self.tls.read(65535)
                except ssl.SSLWantReadError:
                    self._incoming.write(await self.receive())
            if (answer := parse_answer(data)) is not None:
                return answer

    async def allocate(self) -> None:
        if self.tls is not None:
            await self.shake_hands()
        self.client.learn(await self.ask(self.client.allocate()))
        answer = await self.ask(self.client.allocate())
        relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.relayed = relayed

    async def is_flooded(self, relay: Relay, peer: Peer) -> None:
        """Media comes that is not read, until as much waits as may."""
        await self.ask(self.client.channel_bind(0x4000, peer.address))
        async with asyncio.timeout(20):
            while relay.stats().dropped.get("slow_client", 0) < 10:
                for _ in range(40):
                    peer.sock.sendto(bytes(1200), self.relayed)
                await asyncio.sleep(0.001)

    async def bid_farewell(self) -> None:
        """close_notify, and nothing is read any more."""
        assert self.tls is not None
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            await self.flush()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_after_a_farewell_packets_are_dropped_and_disturb_nobody(tmp_path: Path) -> None:
    met: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: met.append(context))
    async with running(tmp_path) as relay:
        with (
            Caller(relay, trusting(tmp_path)) as caller,
            Talker(relay, opaque="other") as talker,
            Peer() as peer,
        ):
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            await caller.allocate()
            await caller.is_flooded(relay, peer)
            await caller.bid_farewell()
            ending = relay._running._acceptor.connections  # type: ignore[union-attr]
            await until(lambda: all(connection.ended for connection in ending.values()))
            before = relay.stats().dropped["slow_client"]
            for number in range(50):
                peer.sock.sendto(bytes(1200), caller.relayed)
                peer.sock.sendto(bytes((number,)), talker.relayed)
                assert await talker.receive() == bytes((0x40, 0, 0, 1, number))
            await until(lambda: relay.stats().dropped["slow_client"] == before + 50)
            assert "fault" not in relay.stats().dropped
            # What the core still says, as of an ICMP error, is dropped as well.
            for connection in ending.values():
                connection.send_message(bytes(20))
    assert met == []


@pytest.mark.parametrize("half_closed", [False, True])
@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_a_connection_ends_though_its_client_does_not_read(
    tmp_path: Path, transport: Transport, half_closed: bool
) -> None:
    limits = many(idle_seconds=1.0, handshake_seconds=1.0)
    async with running(tmp_path, limits=limits) as relay:
        context = trusting(tmp_path) if transport is Transport.TLS else None
        with Caller(relay, context) as caller, Peer() as peer:
            await caller.allocate()
            await caller.is_flooded(relay, peer)
            if half_closed:
                caller.sock.shutdown(socket.SHUT_WR)
            else:
                await caller.send(caller.client.refresh(0))
            await until(lambda: relay.stats().connections == 0)
            assert relay.allocations == 0
            idle = relay.stats().dropped.get("idle_connection", 0)
            assert idle == (0 if half_closed else 1)


async def test_what_waits_for_a_client_that_reads_comes_before_the_end(tmp_path: Path) -> None:
    limits = many(idle_seconds=1.0)
    async with running(tmp_path, limits=limits) as relay:
        with Caller(relay) as caller, Peer() as peer:
            await caller.allocate()
            await caller.is_flooded(relay, peer)
            await caller.send(caller.client.refresh(0))
            await until(lambda: relay.stats().dropped.get("idle_connection", 0) == 1)
            data = b""
            while more := await caller.receive():
                data += more
            # The answer to the last request, behind all the media there was room for.
            assert len(data) > 200_000
            await until(lambda: relay.stats().connections == 0)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
@pytest.mark.parametrize("processes", [1, 2])
async def test_a_draining_relay_answers_on_new_connections(
    tmp_path: Path, transport: Transport, processes: int
) -> None:
    limits = many(idle_seconds=1.0)
    async with running(tmp_path, limits=limits, processes=processes) as relay:
        await relay.drain(0)
        context = trusting(tmp_path) if transport is Transport.TLS else None
        with Caller(relay, context) as caller:
            if context is not None:
                await caller.shake_hands()
            caller.client.learn(await caller.ask(caller.client.allocate()))
            if processes == 1:  # others hear of it when they hear of it
                assert error_code(await caller.ask(caller.client.allocate())) == 508
                while await caller.receive():
                    pass
                await until(lambda: relay.stats().connections == 0)


async def test_tls_connections_of_an_address_have_a_rate(tmp_path: Path) -> None:
    limits = many(handshakes_per_address=0.001, handshake_burst=3)
    async with running(tmp_path, limits=limits) as relay:
        port = port_of(relay, Transport.TLS)

        async def served(host: str) -> bool:
            try:
                _, writer = await asyncio.open_connection(
                    "localhost", port, ssl=trusting(tmp_path), local_addr=(host, 0)
                )
            except ConnectionError:
                return False
            writer.close()
            await writer.wait_closed()
            return True

        assert [await served("127.0.0.1") for _ in range(6)] == [True] * 3 + [False] * 3
        assert relay.stats().dropped["handshake_rate"] == 3
        # Others are served, and over TCP the same one.
        assert await served("127.0.0.7")
        for _ in range(6):
            await probe(Transport.TCP, "127.0.0.1", port_of(relay, Transport.TCP), *credentials())
        await until(lambda: relay.stats().connections == 0)
