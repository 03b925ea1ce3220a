"""Hostile clients on real sockets: the relay stays small, and others stay served."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import ssl
import struct
from pathlib import Path

import psutil
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
from turn.attributes import Attribute, MessageClass, Method
from turn.client import error_code, parse_answer
from turn.five_tuple import Transport
from turn.message import Message, encode_message
from turn.probe import probe

BINDING = encode_message(Method.BINDING, MessageClass.REQUEST, b"t" * 12, ())


def connect_from(host: str, port: int) -> socket.socket:
    """A connection from a loopback address of choice, begun and not waited for."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    sock.bind((host, 0))
    sock.connect_ex(("127.0.0.1", port))
    return sock


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_ten_thousand_half_open_connections(tmp_path: Path, transport: Transport) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10_000, hard - 3000)
    limits = many(connections=1500, connections_per_address=1000, handshake_burst=1e9)
    process = psutil.Process()
    sockets: list[socket.socket] = []
    try:
        async with running(tmp_path, limits=limits) as relay:
            port = port_of(relay, transport)
            before = process.memory_info().rss
            for number in range(count):
                sockets.append(connect_from("127.0.0.9", port))
                if number % 50 == 49:
                    await asyncio.sleep(0)
            # Places free up as handshakes time out, so not all of the rest are refused.
            async with asyncio.timeout(30):
                while relay.stats().dropped.get("connection_quota", 0) < count // 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert relay.stats().connections <= 1000
            # Others connect, from other addresses, over every transport.
            for other in Transport:
                await probe(
                    other,
                    "127.0.0.1",
                    port_of(relay, other),
                    *credentials(),
                    context=trusting(tmp_path) if other is Transport.TLS else None,
                )
            per_connection = (process.memory_info().rss - before) / 1000
            # The sockets of this test included. asyncio's own TLS would take 300 kB.
            assert per_connection < 60_000
    finally:
        for sock in sockets:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_connections_without_allocation_and_slow_frames_are_ended(tmp_path: Path) -> None:
    limits = many(handshake_seconds=0.5, idle_seconds=2.5)
    async with running(tmp_path, limits=limits) as relay:
        port = port_of(relay, Transport.TCP)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        slow_reader, slow_writer = await asyncio.open_connection("127.0.0.1", port)
        tls = port_of(relay, Transport.TLS)
        silent_reader, silent_writer = await asyncio.open_connection("127.0.0.1", tls)

        async def drip() -> None:
            """A Binding request at ten bytes a second, so that no second is without a byte."""
            try:
                for byte in BINDING:
                    slow_writer.write(bytes((byte,)))
                    await slow_writer.drain()
                    await asyncio.sleep(0.15)
            except ConnectionError:
                pass

        dripping = asyncio.create_task(drip())
        # Ended before all of it had come, else there were an answer.
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(slow_reader.readexactly(1), 10)
        assert await asyncio.wait_for(silent_reader.read(), 10) == b""
        idle_writer.write(BINDING)
        answer = await idle_reader.readexactly(32)
        assert parse_answer(answer) is not None
        assert await asyncio.wait_for(idle_reader.read(), 30) == b""
        await dripping
        for writer in (idle_writer, slow_writer, silent_writer):
            writer.close()
        dropped = relay.stats().dropped
        assert dropped["slow_frame"] == 1
        assert dropped["idle_connection"] == 1
        assert dropped["handshake_failed"] == 1
        assert relay.stats().connections == 0


async def test_an_allocation_keeps_its_connection_and_its_end_ends_it(tmp_path: Path) -> None:
    limits = many(idle_seconds=0.5)
    async with running(tmp_path, limits=limits) as relay:
        from turn.client import TurnClient

        client = TurnClient(*credentials(), os.urandom)
        port = port_of(relay, Transport.TCP)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(request: bytes) -> None:
            writer.write(request)
            head = await reader.readexactly(20)
            body = await reader.readexactly(int.from_bytes(head[2:4], "big"))
            answer = parse_answer(head + body)
            assert answer is not None
            client.learn(answer)

        await ask(client.allocate())
        await ask(client.allocate())
        await asyncio.sleep(2.5)
        assert relay.allocations == 1
        await ask(client.refresh(0))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 100, b"\x16\x03\x01\x02\x00\x01\x00", b"\0\1\0\1", b"\0\1\0\0\x21\x12\xa4\x43"],
)
async def test_a_stream_that_is_not_ours_is_closed(tmp_path: Path, data: bytes) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.TCP)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        assert relay.stats().dropped == {"broken_stream": 1}


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_a_client_that_does_not_read_loses_media_and_nothing_else_grows(
    tmp_path: Path, transport: Transport
) -> None:
    async with running(tmp_path) as relay:
        from turn.client import TurnClient, address_in

        client = TurnClient(*credentials(), os.urandom)
        reader, writer = await asyncio.open_connection(
            "localhost",
            port_of(relay, transport),
            family=socket.AF_INET,
            ssl=trusting(tmp_path) if transport is Transport.TLS else None,
            limit=1024,
        )
        try:
            with Peer() as peer:
                relayed = None
                for request in (
                    client.allocate(),
                    None,
                    client.channel_bind,
                ):
                    if request is None:
                        data = client.allocate()
                    elif callable(request):
                        data = request(0x4000, peer.address)
                    else:
                        data = request
                    writer.write(data)
                    head = await reader.readexactly(20)
                    body = await reader.readexactly(int.from_bytes(head[2:4], "big"))
                    answer = parse_answer(head + body)
                    assert answer is not None
                    client.learn(answer)
                    relayed = relayed or address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
                assert relayed is not None
                rss = psutil.Process().memory_info().rss
                for _ in range(300):
                    for _ in range(40):
                        peer.sock.sendto(bytes(1200), relayed)
                    await asyncio.sleep(0.001)
                assert relay.stats().dropped["slow_client"] > 100
                assert psutil.Process().memory_info().rss - rss < 12_000_000
                await probe(
                    Transport.UDP, "127.0.0.1", port_of(relay, Transport.UDP), *credentials()
                )
        finally:
            writer.transport.abort()


async def test_noise_on_every_listener_disturbs_nobody(tmp_path: Path) -> None:
    """Fuzz through the sockets: whatever comes, a relayed call goes on."""
    noise = random.Random(7)
    async with running(tmp_path) as relay:
        with Talker(relay) as talker, Talker(relay, opaque="n") as vandal, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            await vandal.allocate()
            await vandal.ask(vandal.client.channel_bind(0x4000, peer.address))
            good = [
                vandal.client.refresh(600),
                vandal.client.send(peer.address, b"x" * 40),
                BINDING,
            ]
            for number in range(300):
                data = bytearray(noise.choice([*good, noise.randbytes(noise.randrange(1500))]))
                for _ in range(noise.randrange(4)):
                    if data:
                        data[noise.randrange(len(data))] = noise.randrange(256)
                vandal.sock.send(bytes(data[: noise.randrange(len(data) + 1)]))
                peer.sock.sendto(noise.randbytes(noise.randrange(100)), vandal.relayed)
                if number % 10 == 0:
                    payload = struct.pack("!I", number)
                    talker.sock.send(struct.pack("!HH", 0x4000, 4) + payload)
                    while True:
                        data_in, source = await peer.receive()
                        if source == talker.relayed:
                            assert data_in == payload
                            break
            for transport in (Transport.TCP, Transport.TLS):
                for _ in range(20):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port_of(relay, transport)
                    )
                    writer.write(noise.randbytes(noise.randrange(1, 400)))
                    await asyncio.sleep(0)
                    writer.close()
                    del reader
            await asyncio.sleep(0.1)
            assert await talker.code(talker.client.refresh(600)) is None


async def test_tls_speaks_stun_turn_and_no_old_version(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.TLS)
        for offered, chosen in (
            (["stun.turn"], "stun.turn"),
            (["h2", "stun.nat-discovery"], "stun.nat-discovery"),
            ([], None),
            (["http/1.1"], None),
        ):
            context = trusting(tmp_path)
            if offered:
                context.set_alpn_protocols(offered)
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == chosen
            assert tls.version() == "TLSv1.3"
            writer.write(BINDING)
            assert parse_answer(await reader.readexactly(32)) is not None
            writer.close()
            await writer.wait_closed()
        old = trusting(tmp_path)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        _, writer = await asyncio.open_connection("localhost", port, ssl=old)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
async def test_too_many_datagrams_of_an_address_close_neither_its_calls_nor_its_streams(
    tmp_path: Path, transport: Transport
) -> None:
    # One request a hundred seconds: what has been used up stays so while the test lasts.
    limits = many(requests_per_address=0.01, request_burst=20)
    async with running(tmp_path, limits=limits) as relay:
        with Talker(relay) as talker, Talker(relay) as forger, Peer() as peer:
            await talker.allocate()
            for _ in range(60):
                forger.sock.send(BINDING)
            async with asyncio.timeout(5):
                while not relay.stats().dropped.get("request_rate"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await talker.code(talker.client.channel_bind(0x4000, peer.address)) is None
            context = trusting(tmp_path) if transport is Transport.TLS else None
            port = port_of(relay, transport)
            await probe(transport, "127.0.0.1", port, *credentials(), context=context)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
            )
            writer.write(BINDING * 40)
            answers = await asyncio.wait_for(_messages(reader, 40), 5)
            codes = [error_code(answer) for answer in answers]
            # The probe has had some of the twenty.
            assert codes.count(500) >= 20
            assert codes == [None] * (40 - codes.count(500)) + [500] * codes.count(500)
            writer.close()


async def _messages(reader: asyncio.StreamReader, count: int) -> list[Message]:
    messages = []
    for _ in range(count):
        header = await reader.readexactly(20)
        body = await reader.readexactly(int.from_bytes(header[2:4], "big"))
        message = parse_answer(header + body)
        assert message is not None
        messages.append(message)
    return messages


async def test_an_allowed_network_does_not_open_this_machine(tmp_path: Path) -> None:
    async with running(
        tmp_path, allow_loopback_peers=False, allowed_peers=("127.0.0.0/8", "0.0.0.0/32")
    ) as relay:
        with Talker(relay) as talker, Talker(relay, opaque="b") as other:
            await talker.allocate()
            await other.allocate()
            create = talker.client.create_permission
            for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0"):
                assert await talker.code(create(Address(host, 53))) == 403
            assert await talker.code(create(other.relayed)) is None
            talker.sock.send(talker.client.send(Address("127.0.0.1", 53), b"knock"))
            async with asyncio.timeout(5):
                while not relay.stats().dropped.get("peer_own_host", 0) > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
