"""Hostile datagrams on the real socket, while a call of pages that are not ours goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from sfu.control import Code, Offer, Refused, Source, Track
from sfu.node import SfuNode
from tests.integration.sfu.peers import Peer, peers
from tests.integration.sfu.wires import UdpWire, answering, join
from tests.unit.sfu_page import Page, receiver

BOTH = (Source.MICROPHONE, Source.CAMERA)


@pytest.fixture
async def call(node: SfuNode) -> AsyncIterator[tuple[Peer, Peer]]:
    async with peers(node.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await asyncio.gather(alice.sees("bob", *BOTH), bob.sees("alice", *BOTH))
        yield alice, bob
        await asyncio.gather(alice.sees("bob", *BOTH, more=10), bob.sees("alice", *BOTH, more=10))
        assert alice.pc.connectionState == bob.pc.connectionState == "connected"


@pytest.fixture
def stranger(node: SfuNode) -> Iterator[UdpWire]:
    wire = UdpWire(node.port, "127.0.0.66")
    yield wire
    wire.close()


async def settled(node: SfuNode, reason: str, count: int) -> None:
    """Waits until so many were dropped for a reason."""
    async with asyncio.timeout(10):
        while node.stats().dropped.get(reason, 0) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_datagrams_of_every_size(
    node: SfuNode, call: tuple[Peer, Peer], stranger: UdpWire
) -> None:
    sizes = (0, 1, 2, 20, 1500, 9000, 65_507)
    for size in sizes:
        await stranger.send(os.urandom(size))
    async with asyncio.timeout(5):
        while sum(node.stats().dropped.values()) < len(sizes):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert node.stats().dropped["too_short"] == 2


async def test_a_flood_of_noise(node: SfuNode, call: tuple[Peer, Peer], stranger: UdpWire) -> None:
    before = node.stats().participants
    for _ in range(60):
        for first in (b"\x00\x01", b"\x16\xfe", b"\x80\x6f", b"\x80\xc8", b"\xff\xff"):
            for _ in range(10):
                await stranger.send(first + os.urandom(120))
        await asyncio.sleep(0.01)
    await settled(node, "stun_malformed", 300)
    assert node.stats().participants == before


async def test_a_flood_of_hellos_and_spoofed_ufrags(
    node: SfuNode, call: tuple[Peer, Peer], stranger: UdpWire
) -> None:
    page = Page("mallory", room="elsewhere")
    result = node.handle(page.offer())
    page.take(result.sdp)  # type: ignore[union-attr]
    hello = page.shake()[0]
    for _ in range(50):
        for _ in range(10):
            await stranger.send(hello)
            await stranger.send(page.check(password="q" * 24))
        await asyncio.sleep(0.01)
    await settled(node, "stranger", 500)
    dropped = node.stats().dropped
    assert dropped["stun_too_often"] > 200
    assert dropped["stun_wrong_password"] < 250
    assert node.stats().connections["connected"] == 2


async def test_replays_and_bad_tags_of_a_participant(
    node: SfuNode, call: tuple[Peer, Peer], stranger: UdpWire
) -> None:
    page = Page("carol")
    await join(page, node, stranger)
    packet = page.rtp(1111, 111, mid="0")
    for _ in range(200):
        await stranger.send(packet)
        await stranger.send(page.rtp(1111, 111)[:-1] + b"\0")
    await settled(node, "srtp_replayed", 199)
    await settled(node, "srtp_bad_tag", 190)


async def test_a_participant_cannot_aim_their_media_at_somebody_else(
    node: SfuNode, call: tuple[Peer, Peer], stranger: UdpWire
) -> None:
    """Carol sends from the victim's address, as who forges it does, and cannot see what it gets."""
    carol = Page("carol", [receiver("0", "alice", Source.MICROPHONE)])
    home = UdpWire(node.port)
    await join(carol, node, home)
    spent = 0
    for _ in range(30):
        for forged in (carol.check(), carol.rtcp(1)):
            await stranger.send(forged)
            spent += len(forged)
        assert (await answering(carol, home))[0] & 0xC0 == 0x80, "media comes to her, meanwhile"
    home.close()
    got: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while True:
            got.append(stranger.sock.recv(65_536))
    assert {datagram[0] for datagram in got} <= {0, 1}, "answers and questions, and no media"
    assert sum(map(len, got)) < 3 * spent


@pytest.mark.parametrize(
    ("sdp", "field"),
    [
        ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "line 4"),
        (Page("x").sdp().replace("opus", "iLBC"), "line 7 m"),
        (Page("x").sdp().replace("a=mid:1", "a=mid:0"), "line 30 a=mid"),
        ("v=0\r\n" + "a=x\r\n" * (1 << 18), "line 12001"),
    ],
    ids=["no media", "no codec", "mid twice", "a mebibyte"],
)
async def test_bad_descriptions(
    node: SfuNode, call: tuple[Peer, Peer], sdp: str, field: str
) -> None:
    result = node.handle(Offer("room", "mallory", 1, sdp, [Track("0", send=Source.MICROPHONE)]))
    assert isinstance(result, Refused)
    assert result.code is Code.BAD_DESCRIPTION
    assert result.field == field
    assert node.stats().participants == 2
