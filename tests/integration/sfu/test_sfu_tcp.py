"""ICE over TCP: media where no UDP gets through, and streams that are up to no good."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sfu.clock import SystemClock
from sfu.config import NodeBounds
from sfu.control import Source
from sfu.node import SfuNode
from tests.integration.sfu.conftest import LOOPBACK
from tests.integration.sfu.wires import TcpWire, UdpWire, join
from tests.unit.sfu_page import Page, camera, microphone, receiver


def alice() -> Page:
    return Page("alice", [microphone("0"), camera("1")])


def bob() -> Page:
    return Page("bob", [receiver("0", "alice", Source.MICROPHONE)])


@pytest.fixture
async def small() -> AsyncIterator[SfuNode]:
    """A node that takes two streams of one address."""
    bounds = NodeBounds(streams=3, streams_per_address=2)
    made = SfuNode(replace(LOOPBACK, bounds=bounds), SystemClock(), os.urandom, lambda event: None)
    await made.start()
    yield made
    await made.stop()


async def media(page: Page, wire: TcpWire | UdpWire, count: int) -> None:
    while len(page.received) < count:
        datagram = await wire.receive()
        if datagram[0] & 0xC0 == 0x80:
            page.take_media(datagram)


@pytest.mark.parametrize("publisher", ["udp", "tcp"])
@pytest.mark.parametrize("subscriber", ["udp", "tcp"])
async def test_media_by_every_combination(node: SfuNode, publisher: str, subscriber: str) -> None:
    wires = [
        await TcpWire.open(node.port) if kind == "tcp" else UdpWire(node.port)
        for kind in (publisher, subscriber)
    ]
    one, other = alice(), bob()
    await join(one, node, wires[0])
    await join(other, node, wires[1])
    for _ in range(20):
        await wires[0].send(one.rtp(1111, 111, mid="0"))
    await media(other, wires[1], 20)
    assert {int.from_bytes(packet[8:12]) for packet in other.received} == {other.downstream("0")}
    assert "tcptype passive" in one.answer
    for wire in wires:
        closing = wire.close()
        if closing is not None:
            await closing


async def test_frames_split_and_joined_anyhow(node: SfuNode) -> None:
    wire = await TcpWire.open(node.port)
    listener = UdpWire(node.port)
    one, other = alice(), bob()
    await join(other, node, listener)
    await join(one, node, wire)
    packets = [one.rtp(1111, 111, mid="0") for _ in range(10)]
    stream = b"".join(len(packet).to_bytes(2) + packet for packet in packets)
    for at in range(0, len(stream), 7):
        wire.writer.write(stream[at : at + 7])
        await asyncio.sleep(0)
    await media(other, listener, 10)
    await wire.close()
    listener.close()


@pytest.mark.parametrize(
    "begin",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(600),
        b"\xff\xff" + bytes(100),
        b"\x00\x00",
        b"\x00\x14\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
        b"\x00\x20\x80\x6f" + bytes(30),
    ],
    ids=["http", "tls", "long", "empty", "bare", "media"],
)
async def test_who_does_not_begin_with_a_check_is_cut(node: SfuNode, begin: bytes) -> None:
    wire = await TcpWire.open(node.port)
    wire.writer.write(begin)
    assert await wire.ended()
    await wire.close()
    assert node.stats().streams == 0


async def test_a_wrong_password_is_cut(node: SfuNode) -> None:
    wire = await TcpWire.open(node.port)
    page = alice()
    result = node.handle(page.offer())
    page.take(result.sdp)  # type: ignore[union-attr]
    await wire.send(page.check(password="z" * 24))
    assert await wire.ended()
    await wire.close()
    assert node.stats().dropped["stun_wrong_password"] == 1


async def test_a_frame_that_is_too_long_ends_a_proven_stream(node: SfuNode) -> None:
    wire = await TcpWire.open(node.port)
    await join(alice(), node, wire)
    wire.writer.write(b"\xff\xf0" + bytes(100))
    assert await wire.ended()
    await wire.close()
    assert node.stats().dropped["tcp_broken"] == 1


async def test_streams_have_bounds_and_places_are_given_back(small: SfuNode) -> None:
    first = await TcpWire.open(small.port)
    second = await TcpWire.open(small.port)
    third = await TcpWire.open(small.port)
    assert await third.ended()
    assert small.stats().dropped["tcp_too_many"] == 1
    assert small.stats().streams == 2
    await second.close()
    async with asyncio.timeout(5):
        while small.stats().streams == 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    fourth = await TcpWire.open(small.port)
    await join(alice(), small, fourth)
    for wire in (first, third, fourth):
        await wire.close()


async def test_a_stream_that_says_nothing_ends(small: SfuNode) -> None:
    wire = await TcpWire.open(small.port)
    assert await wire.ended()
    await wire.close()
    assert small.stats().dropped["tcp_overdue"] == 1


async def test_who_does_not_read_loses_media_and_costs_no_memory(node: SfuNode) -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", node.port))
    lazy = TcpWire(*await asyncio.open_connection(sock=sock, limit=1024))
    publisher, reader = UdpWire(node.port), UdpWire(node.port)
    one, other = alice(), Page("carol", [receiver("0", "alice", Source.MICROPHONE)])
    await join(one, node, publisher)
    await join(bob(), node, lazy)
    await join(other, node, reader)
    for _ in range(60):
        for _ in range(10):
            await publisher.send(one.rtp(1111, 111, bytes(1000), mid="0"))
        await media(other, reader, len(other.received) + 10)
        await asyncio.sleep(0.02)  # what a participant may send in a second has a bound
    assert node.stats().dropped["tcp_slow"] > 100
    assert len(other.received) == 600, "others miss nothing"
    await lazy.close()
    publisher.close()
    reader.close()
