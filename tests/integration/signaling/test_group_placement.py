"""On which forwarder a group is, and what becomes of it when one fails."""

from __future__ import annotations

import asyncio
import time

import pytest

from konsil.sfu_access import SfuAccess
from konsil.sfu_wire import DEAD_AFTER_S
from sfu import control
from tests.integration.conftest import RedisServer, until
from tests.integration.pulse import Pulse
from tests.integration.signaling.conftest import NewPage, StartForwarder, StartGroupNode
from tests.integration.signaling.forwarder import (
    ARE_YOU_WELL,
    heard_for,
    hears_nothing,
    knows,
)
from tests.integration.signaling.groups import answered, group, in_mode, offer, offering, sources
from tests.integration.signaling.house import Consultation, Node

FULL = control.Refused(control.Code.SFU_UNAVAILABLE, detail="full", retry_after=1, full=True)

# --- on which ---


async def test_rooms_go_to_the_least_loaded_that_is_not_draining(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    busy = await forwarder("busy", participants=50)
    idle = await forwarder("idle")
    leaving = await forwarder("leaving", draining=True)
    node = await group_node(forwarders=3)
    await until(lambda: _load(node, "busy1") == 50)
    await until(lambda: _is_draining(node, "leaving1"))
    _, anna, _ = await group(node, page)
    assert (await offer(anna))["sdp"].startswith("answer idle")
    assert not busy.asked
    assert not leaving.asked
    assert idle.asked


def forwarders_of(node: Node) -> SfuAccess:
    """What a node knows of the forwarders."""
    known = node.server.deps.forwarders
    assert isinstance(known, SfuAccess)
    return known


def _load(node: Node, name: str) -> int:
    alive = forwarders_of(node).directory.alive(time.monotonic())
    return next((one.participants for one in alive if one.node == name), -1)


def _is_draining(node: Node, name: str) -> bool:
    alive = forwarders_of(node).directory.alive(time.monotonic())
    return any(one.node == name and one.draining for one in alive)


async def test_a_forwarder_that_is_full_is_not_waited_for(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    full = await forwarder("full")
    node = await group_node()
    host, anna, _ = await group(node, page)
    full.refusal = FULL
    assert (await offer(anna))["code"] == "sfu_unavailable", "there is no other"
    await forwarder("idle", participants=9)
    await knows(forwarders_of(node), 2)
    assert (await offer(anna))["code"] == "stale_generation"
    await in_mode("sfu", 2, host, anna)
    # Although it has less to do.
    answer = await answered(anna, 2)
    assert answer["sdp"].startswith("answer idle")


async def test_a_full_forwarder_with_the_room_on_it_keeps_the_room(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    host, anna, bert = await group(node, page)
    for one in (host, anna):
        await offer(one)
    await forwarder("other")
    await knows(forwarders_of(node), 2)
    first.refusal = FULL
    assert (await offer(bert))["code"] == "sfu_unavailable"
    assert host.newest_view()["media"]["generation"] == 1  # type: ignore[index]


async def test_a_room_that_is_full_by_itself_neither_moves_nor_keeps_others_from_its_forwarder(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    host, anna, _ = await group(node, page)
    first.refusal = control.Refused(control.Code.SFU_UNAVAILABLE, "", "a full room", 1)
    assert (await offer(anna))["code"] == "sfu_unavailable"
    await forwarder("other", participants=9)
    await knows(forwarders_of(node), 2)
    assert (await offer(anna))["code"] == "sfu_unavailable"
    assert host.newest_view()["media"]["generation"] == 1  # type: ignore[index]
    assert forwarders_of(node).choose() == "first1"


async def test_a_session_begun_anew_leaves_nobody_in_the_former_room(
    forwarder: StartForwarder,
    group_node: StartGroupNode,
    page: NewPage,
    redis_server: RedisServer,
    consultation: Consultation,
) -> None:
    sfu = await forwarder()
    node = await group_node()
    await offering(node, page)
    await node.stop()
    redis_server.restart_empty()
    again = await group_node("b")
    others = await group(again, page)
    await in_mode("sfu", 1, *others)
    await answered(others[0])
    rooms = [request.room for request in sfu.requests(control.Offer)]  # type: ignore[union-attr]
    assert rooms[0] != rooms[-1]
    await until(lambda: control.Close(rooms[0]) in sfu.asked)


async def test_two_nodes_agree_on_one_forwarder(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    one, two = await forwarder("one"), await forwarder("two")
    a, b = await group_node("a", forwarders=2), await group_node("b", forwarders=2)
    pages = await group(a, page, b)
    await in_mode("sfu", 1, *pages)
    answers = await asyncio.gather(*(offer(page) for page in pages))
    assert len({answer["sdp"].split()[1] for answer in answers}) == 1
    assert bool(one.requests(control.Offer)) != bool(two.requests(control.Offer))


# --- what fails ---


async def test_a_forwarder_that_dies_is_left(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    a, b = await group_node("a"), await group_node("b")
    pages = await offering(a, page, b)
    await forwarder("second")
    for node in (a, b):
        await knows(forwarders_of(node), 2)
    async with Pulse() as pulse:
        await first.die()
        await in_mode("sfu", 2, *pages)
        answers = await asyncio.gather(*(answered(one, 2) for one in pages))
        assert {one["sdp"].split()[1] for one in answers} == {"second"}
        for one in pages:
            await sources(one, *pages, generation=2)
    assert pulse.seconds < 5
    assert (await offer(pages[1], 1))["code"] == "stale_generation"


async def test_a_page_that_says_its_connection_is_dead_is_believed_if_the_forwarder_is_gone(
    forwarder: StartForwarder,
    group_node: StartGroupNode,
    page: NewPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await offering(node, page)
    await forwarder("second")
    await knows(forwarders_of(node), 2)
    # It is only this page's network: nobody else is moved.
    await pages[1].do("group_failed", generation=1)
    assert pages[0].newest_view()["media"]["generation"] == 1  # type: ignore[index]
    # At once, not when it is found silent: it never is.
    monkeypatch.setattr("konsil.sfu_nodes.DEAD_AFTER_S", 3600.0)
    await first.die()
    await pages[1].do("group_failed", generation=1)
    await in_mode("sfu", 2, *pages)
    assert (await pages[1].command("group_failed", generation=1))["code"] == "stale_generation"


async def test_a_forwarder_that_is_started_again_is_used_again(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    pages = await offering(node, page)
    async with Pulse() as pulse:
        sfu.restart()
        await in_mode("sfu", 2, *pages)
        await asyncio.gather(*(answered(one, 2) for one in pages))
        for one in pages:
            await sources(one, *pages, generation=2)
    assert pulse.seconds < 5


async def test_a_forwarder_that_hangs_is_left(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await offering(node, page)
    await forwarder("second")
    await knows(forwarders_of(node), 2)
    async with Pulse() as pulse:
        first.hangs = True
        late = asyncio.create_task(offer(pages[0]))
        await in_mode("sfu", 2, *pages)
    assert pulse.seconds < 5
    assert (await late)["code"] == "stale_generation"
    assert (await answered(pages[0], 2))["sdp"].startswith("answer second")


async def test_without_any_forwarder_the_page_is_told_when_to_come_again(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    node = await group_node(forwarders=0)
    _, anna, _ = await group(node, page)
    async with Pulse() as pulse:
        answer = await offer(anna)
        assert answer["code"] == "sfu_unavailable"
        assert answer["retry_after"] > 0
    assert pulse.seconds < 3
    waiting = asyncio.create_task(offer(anna))
    await forwarder()
    assert (await waiting)["type"] == "group_answer", "one that comes up is waited for"


async def test_the_only_forwarder_is_not_left_for_nothing(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    """It may hear nothing of us and forward all the same."""
    sfu = await forwarder()
    node = await group_node()
    pages = await offering(node, page)
    sfu.hangs = True
    answer = await offer(pages[0])
    assert (answer["code"], answer["retry_after"] > 0) == ("sfu_unavailable", True)
    # It is found silent, is asked whether it is well, says nothing, and is asked again.
    knowing = forwarders_of(node)
    await until(lambda: knowing.is_gone("f1"))
    asked = sfu.arrived.count(ARE_YOU_WELL)
    await until(lambda: sfu.arrived.count(ARE_YOU_WELL) >= asked + 2)
    assert pages[1].newest_view()["media"]["generation"] == 1  # type: ignore[index]
    sfu.hangs = False
    assert (await offer(pages[0]))["type"] == "group_answer"


async def test_a_stopped_redis_stops_no_group(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage, redis_server: RedisServer
) -> None:
    forwarders = [await forwarder(), await forwarder("other")]
    node = await group_node(forwarders=2)
    pages = await offering(node, page)
    [used] = [one for one in forwarders if one.requests(control.Offer)]
    redis_server.stop()
    try:
        async with Pulse() as pulse:
            answers = await asyncio.gather(*(offer(one) for one in pages))
        assert {one["code"] for one in answers} == {"store_unavailable"}
        assert all(one["retry_after"] > 0 for one in answers)
        assert pulse.seconds < 5
        await until(lambda: hears_nothing(forwarders_of(node)))
    finally:
        redis_server.cont()

    async def answered() -> bool:
        return (await offer(pages[0]))["type"] == "group_answer"

    await until(answered)
    # Nobody was moved: it was Redis that was silent, not the forwarder.
    assert pages[1].newest_view()["media"] == {"mode": "sfu", "generation": 1}  # type: ignore[index]
    assert [one for one in forwarders if one.requests(control.Offer)] == [used]
    used.speak(used.asked[0].room, pages[0].id)  # type: ignore[union-attr]
    await pages[1].next(lambda m: m["type"] == "group_speakers")


async def test_a_redis_that_has_lost_everything_moves_nobody(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage, redis_server: RedisServer
) -> None:
    forwarders = [await forwarder(), await forwarder("other")]
    a, b = await group_node("a", forwarders=2), await group_node("b", forwarders=2)
    pages = await group(a, page, b)
    await in_mode("sfu", 1, *pages)
    first = {(await answered(one))["sdp"].split()[1] for one in pages}
    redis_server.restart_empty()
    lost_at = time.monotonic()
    again = {(await answered(one))["sdp"].split()[1] for one in pages}
    assert again == first
    nodes = [forwarders_of(a), forwarders_of(b)]
    # Longer than who is dead is believed to be alive.
    await until(lambda: all(heard_for(one, lost_at, DEAD_AFTER_S) for one in nodes))
    for one in pages:
        assert one.newest_view()["media"] == {"mode": "sfu", "generation": 1}  # type: ignore[index]
    [used] = [one for one in forwarders if one.requests(control.Offer)]
    used.speak(used.asked[0].room, pages[0].id)  # type: ignore[union-attr]
    for one in pages:
        await one.next(lambda m: m["type"] == "group_speakers")


async def test_a_drain_hands_over_before_it_ends(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await offering(node, page)
    await forwarder("second")
    await knows(forwarders_of(node), 2)
    draining = asyncio.create_task(first.control.drain(4))
    await until(lambda: _is_draining(node, "first1"))
    assert (await offer(pages[0]))["sdp"].startswith("answer first"), "rooms that are there go on"
    await in_mode("sfu", 2, *pages)
    assert not draining.done(), "the old connections are still there"
    assert (await offer(pages[0], 2))["sdp"].startswith("answer second")
    await draining
