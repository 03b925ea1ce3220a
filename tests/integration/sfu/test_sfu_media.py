"""Sound and pictures of pages that are not ours, through a node, decoded on the other side."""

from __future__ import annotations

import asyncio

from sfu.control import Answer, Gone, Source, SourceRef, Sources
from sfu.node import SfuNode
from tests.integration.sfu.conftest import Told
from tests.integration.sfu.peers import Peer, peers

BOTH = (Source.MICROPHONE, Source.CAMERA)


async def test_two_hear_and_see_each_other(node: SfuNode, told: Told) -> None:
    async with peers(node.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await asyncio.gather(alice.sees("bob", *BOTH), bob.sees("alice", *BOTH))
        # The pictures are the right ones, not just any.
        assert abs(bob.shades[SourceRef("alice", Source.CAMERA)] - alice.shade) < 12
        assert abs(alice.shades[SourceRef("bob", Source.CAMERA)] - bob.shade) < 12
        stats = node.stats()
        assert (stats.rooms, stats.participants) == (1, 2)
        assert stats.connections["connected"] == 2
        sources = [e for e in told if isinstance(e, Sources)][-1].sources
        assert len(sources) == 4


async def test_three_and_one_of_them_leaves_and_comes_back(node: SfuNode, told: Told) -> None:
    async with peers(node.handle, "alice", "bob", "carol") as (alice, bob, carol):
        for peer in (alice, bob, carol):
            await peer.join()
        await asyncio.gather(
            *(
                peer.sees(other.name, *BOTH)
                for peer in (alice, bob, carol)
                for other in (alice, bob, carol)
                if peer is not other
            )
        )
        await carol.leave()
        await asyncio.gather(alice.sees("bob", *BOTH), bob.sees("alice", *BOTH))
        assert node.stats().participants == 2

        again = Peer("carol", node.handle, shade=200)
        again.publish(*BOTH)
        again.subscribe("alice", *BOTH)
        try:
            await again.join()
            await asyncio.gather(
                again.sees("alice", *BOTH), alice.sees("carol", *BOTH), bob.sees("carol", *BOTH)
            )
        finally:
            await again.close()
        gone = await told.of(Gone)
        assert gone == Gone("room", 1, "carol", "closed")
        await asyncio.gather(alice.sees("bob", *BOTH), bob.sees("alice", *BOTH))


async def test_a_page_that_adds_receivers_goes_on_meanwhile(node: SfuNode) -> None:
    async with peers(node.handle, "alice", "bob") as (alice, bob):
        for peer in (alice, bob):
            await peer.join()
        await bob.sees("alice", *BOTH)
        for number in range(2):
            bob.subscribe(f"nobody{number}", *BOTH)
            answer = await bob.negotiate()
            assert isinstance(answer, Answer)
            await bob.sees("alice", *BOTH, more=20)
        assert bob.pc.connectionState == "connected"


async def test_two_rooms_are_apart(node: SfuNode) -> None:
    async with (
        peers(node.handle, "alice", "bob", room="one") as first,
        peers(node.handle, "alice", "bob", room="other") as second,
    ):
        second[0].shade, second[1].shade = 200, 240
        for peer in (*first, *second):
            await peer.join()
        await asyncio.gather(*(pair[1].sees("alice", *BOTH) for pair in (first, second)))
        assert node.stats().rooms == 2
        assert abs(first[1].shades[SourceRef("alice", Source.CAMERA)] - 40) < 12
