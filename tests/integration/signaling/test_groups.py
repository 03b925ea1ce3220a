"""Groups on the wire: offers, sources, moves and what becomes of them when something fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from konsil.sfu_access import SfuAccess
from sfu import control
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.forwarder import StandIn, access, knows
from tests.integration.signaling.house import Consultation, Deployment, Node
from tests.integration.signaling.page import Message, Page
from waiting_room.media import BACK_AFTER_MS
from waiting_room.tokens import TokenType

HOST, CLIENT, GUEST = TokenType.HOST, TokenType.CLIENT, TokenType.GUEST
SDP = "v=0\r\n"

StartForwarder = Callable[..., Awaitable[StandIn]]
StartGroupNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def forwarder(redis_server: RedisServer) -> AsyncIterator[StartForwarder]:
    """`await forwarder("f")`: one more forwarder, of the first id `f1`."""
    running: list[StandIn] = []

    async def start(name: str = "f", **fields: Any) -> StandIn:
        one = StandIn(redis_server.url, name, **fields)
        await one.start()
        running.append(one)
        return one

    yield start
    for one in running:
        await one.stop()


@pytest.fixture
async def group_node(start: StartNode, redis_server: RedisServer) -> AsyncIterator[StartGroupNode]:
    """`await group_node("a", forwarders=1)`: a node that knows so many forwarders."""
    made: list[SfuAccess] = []

    async def begin(name: str = "a", *, forwarders: int = 1, **overrides: Any) -> Node:
        made.append(await access(redis_server.url, name))
        node = await start(name, forwarders=made[-1], **overrides)
        await knows(made[-1], forwarders)
        return node

    yield begin
    for one in made:
        await one._redis.aclose()


async def group(
    node: Node, page: NewPage, *others: Node, number: int = 2, admit: bool = True
) -> list[Page]:
    """A host and `number` clients inside, spread over the nodes."""
    nodes = [node, *others]
    host = page(HOST)
    await host.open(node)
    clients = [page(CLIENT, name=f"Client {index}") for index in range(number)]
    for index, client in enumerate(clients):
        await client.open(nodes[(index + 1) % len(nodes)])
    if admit:
        for client in clients:
            await host.view(lambda view, one=client: one.id in _ids(view))  # type: ignore[misc]
            await host.do("admit", participant=client.id)
    return [host, *clients]


def _ids(view: Message) -> set[str]:
    return {one["id"] for one in view["participants"]}


async def in_mode(mode: str, generation: int, *pages: Page) -> None:
    for page in pages:
        await page.view(lambda view: view["media"] == {"mode": mode, "generation": generation})


async def offer(page: Page, generation: int = 1, **fields: Any) -> Message:
    tracks = [{"mid": "0", "send": "camera"}]
    return await page.command(
        "group_offer", generation=generation, sdp=SDP, tracks=tracks, **fields
    )


async def answered(page: Page, generation: int = 1) -> Message:
    """The answer to an offer that is made again as long as it is to be made again."""
    async with asyncio.timeout(10):
        while True:
            answer = await offer(page, generation)
            if answer["type"] == "group_answer":
                return answer
            assert answer["code"] in ("sfu_unavailable", "slow_down", "store_unavailable"), answer
            await asyncio.sleep(min(answer["retry_after"], 0.3))


def of(page: Page, kind: str) -> list[Message]:
    return [message for message in page.messages if message["type"] == kind]


async def sources(page: Page, *present: Page, generation: int = 1) -> None:
    """Wait until the newest list has exactly these."""
    wanted = {one.id for one in present}

    def newest() -> bool:
        told = [m for m in of(page, "group_sources") if m["generation"] == generation]
        return bool(told) and {one["participant"] for one in told[-1]["sources"]} == wanted

    await until(newest)


# --- the ordinary way ---


async def test_a_third_one_makes_a_group(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, bert = pages = await group(node, page)
    await in_mode("sfu", 1, *pages)
    for one in pages:
        answer = await offer(one)
        assert answer["type"] == "group_answer"
        assert answer["sdp"] == f"answer f {one.id[:4]}"
    for one in pages:
        await sources(one, host, anna, bert)
    kinds = [m["type"] for m in host.messages]
    assert kinds.index("group_answer") < kinds.index("group_sources")
    told = of(bert, "group_sources")[-1]["sources"][0]
    assert (told["source"], told["kind"], told["layers"]) == ("camera", "video", 3)

    room = sfu.asked[0].room  # type: ignore[union-attr]
    tiles = [{"participant": anna.id, "source": "camera", "width": 640, "height": 360}]
    await host.do("group_want", generation=1, tiles=tiles)
    (wanted,) = sfu.requests(control.Want)
    assert wanted == control.Want(
        room, host.id, 1, [control.Tile(anna.id, control.Source.CAMERA, 640, 360)]
    )
    sfu.speak(room, anna.id, host.id)
    for one in pages:
        heard = await one.next(lambda m: m["type"] == "group_speakers")
        assert heard["speaking"] == [anna.id, host.id]
    assert node.metric("konsil_groups") == 1


async def test_who_waits_or_was_sent_away_hears_nothing(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, bert = await group(node, page)
    waiting = page(CLIENT, name="Waiting")
    await waiting.open(node)
    for one in (host, anna, bert):
        await offer(one)
    for kind, fields in (
        ("group_offer", {"generation": 1, "sdp": SDP, "tracks": []}),
        ("group_want", {"generation": 1, "tiles": []}),
        ("group_failed", {"generation": 1}),
        ("ask_mute", {"participant": anna.id}),
        ("invite_guest", {}),
        ("p2p_failed", {"participant": anna.id}),
    ):
        assert (await waiting.command(kind, **fields))["code"] == "not_allowed", kind
    assert waiting.id not in str(sfu.asked)

    room = sfu.asked[0].room  # type: ignore[union-attr]
    await host.do("back_to_waiting", participant=bert.id)
    await bert.status("waiting")
    # Dropped at once, and told nothing more.
    await until(lambda: control.Leave(room, bert.id) in sfu.asked)
    mark = len(bert.messages)
    await sources(host, host, anna)
    sfu.speak(room, bert.id, anna.id)
    heard = await anna.next(lambda m: m["type"] == "group_speakers")
    assert heard["speaking"] == [anna.id]
    assert (await offer(bert))["code"] == "not_allowed"
    group_kinds = {m["type"] for m in bert.messages[mark:] + waiting.messages}
    assert group_kinds <= {"room", "welcome", "error", "ok"}

    await host.do("remove", participant=anna.id)
    await until(lambda: control.Leave(room, anna.id) in sfu.asked)
    await host.do("end")
    await until(lambda: control.Close(room) in sfu.asked)


async def test_back_to_peer_to_peer(
    forwarder: StartForwarder,
    group_node: StartGroupNode,
    page: NewPage,
    deployment: Deployment,
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, bert = await group(node, page)
    for one in (host, anna, bert):
        await offer(one)
    await bert.do("leave")
    await sources(anna, host, anna)
    assert anna.newest_view()["media"] == {"mode": "sfu", "generation": 1}  # type: ignore[index]
    deployment.clock.advance(BACK_AFTER_MS / 1000)
    await in_mode("p2p", 2, host, anna)
    # What was there goes on until the other way is there, too.
    assert not sfu.requests(control.Close)
    assert (await offer(anna))["code"] == "stale_generation"
    assert (await offer(anna, 2))["code"] == "stale_generation"
    # Somebody who goes now is dropped there nevertheless.
    await anna.do("leave")
    room = sfu.asked[0].room  # type: ignore[union-attr]
    await until(lambda: control.Leave(room, anna.id) in sfu.asked)


async def test_two_who_cannot_reach_one_another(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    await forwarder()
    node = await group_node()
    host, anna = await group(node, page, number=1)
    assert anna.newest_view()["media"] == {"mode": "p2p", "generation": 0}  # type: ignore[index]
    assert (await offer(anna, 0))["code"] == "stale_generation"
    await anna.do("p2p_failed", participant=host.id)
    await in_mode("sfu", 1, host, anna)
    assert (await offer(anna))["type"] == "group_answer"


# --- hosts ---


async def test_a_host_asks_to_mute(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    await forwarder()
    a, b = await group_node("a"), await group_node("b")
    host, anna, bert = await group(a, page, b)
    assert {anna.id, bert.id} == _ids(host.newest_view() or {})
    for client in (anna, bert):  # one on each node
        await host.do("ask_mute", participant=client.id)
        asked = await client.next(lambda m: m["type"] == "mute_asked")
        assert asked["from"] == host.id
    assert (await anna.command("ask_mute", participant=bert.id))["code"] == "not_allowed"
    stranger = await host.command("ask_mute", participant="x" * 22)
    assert stranger["code"] == "unknown_participant"


async def test_a_guest_comes_by_a_link_for_the_rest_of_the_window(
    group_node: StartGroupNode, page: NewPage, consultation: Consultation, deployment: Deployment
) -> None:
    node = await group_node(forwarders=0)
    host, anna = await group(node, page, number=1)
    assert (await anna.command("invite_guest"))["code"] == "not_allowed"
    link = await host.command("invite_guest")
    assert link["type"] == "guest_link"
    assert link["closes_at"] == consultation.invitation.closes_at * 1000
    guest = page(GUEST, token=link["token"], name="An interpreter")
    welcome = await guest.open(node)
    assert (welcome["role"], welcome["room"]["you"]) == ("guest", "waiting")
    await host.do("admit", participant=guest.id)
    await in_mode("sfu", 1, host, anna, guest)
    deployment.clock.jump = consultation.invitation.closes_at - deployment.clock.wall() + 1
    assert (await host.command("invite_guest"))["code"] == "token_closed"
    late = page(GUEST, token=link["token"], name="Too late")
    answer, _ = await late.refused(node)
    assert answer["code"] == "token_closed"


async def test_both_are_told_whose_browser_cannot(
    group_node: StartGroupNode, page: NewPage
) -> None:
    a, b = await group_node("a", forwarders=0), await group_node("b", forwarders=0)
    host, _ = await group(a, page, b, number=1)
    old = page(CLIENT, name="Old browser")
    await old.open(b, groups=False)
    await host.view(lambda view: old.id in _ids(view))
    shown = {one["id"]: one["groups"] for one in (host.newest_view() or {})["participants"]}
    assert shown[old.id] is False
    refused = await host.command("admit", participant=old.id)
    assert refused["code"] == "group_unsupported"
    told = await old.next(lambda m: m["type"] == "error")
    assert told["code"] == "group_unsupported"
    assert "id" not in told
    assert (old.newest_view() or {})["you"] == "waiting"


# --- forwarders ---


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


def _load(node: Node, name: str) -> int:
    alive = node.server.deps.forwarders.directory.alive(time.monotonic())  # type: ignore[attr-defined]
    return next((one.participants for one in alive if one.node == name), -1)


def _is_draining(node: Node, name: str) -> bool:
    alive = node.server.deps.forwarders.directory.alive(time.monotonic())  # type: ignore[attr-defined]
    return any(one.node == name and one.draining for one in alive)


async def test_a_forwarder_that_is_full_is_not_waited_for(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    full = await forwarder("full")
    node = await group_node()
    host, anna, _ = await group(node, page)
    full.refusal = control.Refused(control.Code.SFU_UNAVAILABLE, detail="full", retry_after=1)
    assert (await offer(anna))["code"] == "sfu_unavailable", "there is no other"
    await forwarder("idle", participants=9)
    await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
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
    await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
    first.refusal = control.Refused(control.Code.SFU_UNAVAILABLE, detail="full", retry_after=1)
    assert (await offer(bert))["code"] == "sfu_unavailable"
    assert host.newest_view()["media"]["generation"] == 1  # type: ignore[index]


async def test_a_session_begun_anew_leaves_nobody_in_the_former_room(
    forwarder: StartForwarder,
    group_node: StartGroupNode,
    page: NewPage,
    redis_server: RedisServer,
    consultation: Consultation,
) -> None:
    sfu = await forwarder()
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
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
    for room in range(5):
        pages = await group(a, page, b)
        await in_mode("sfu", 1, *pages)
        answers = await asyncio.gather(*(offer(page) for page in pages))
        assert len({answer["sdp"].split()[1] for answer in answers}) == 1, room
        await pages[0].do("end")
        break
    assert bool(one.requests(control.Offer)) != bool(two.requests(control.Offer))


async def test_an_event_reaches_the_pages_of_all_nodes(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    a, b = await group_node("a"), await group_node("b")
    pages = await group(a, page, b)
    await in_mode("sfu", 1, *pages)
    for one in pages:
        await offer(one)
    for one in pages:
        await sources(one, *pages)
    # Whoever comes back on another node is told of everything again.
    host = pages[0]
    mark = len(host.messages)
    await host.open(b)
    again = await host.next(lambda m: m["type"] == "group_sources", since=mark)
    assert len(again["sources"]) == 3
    sfu.speak(sfu.asked[0].room, host.id)  # type: ignore[union-attr]
    await host.next(lambda m: m["type"] == "group_speakers", since=mark)


async def test_a_connection_that_is_gone_is_told_to_its_page_alone(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, bert = await group(node, page)
    for one in (host, anna, bert):
        await offer(one)
    room = sfu.asked[0].room  # type: ignore[union-attr]
    for reason in ("closed", "wrong_certificate", "silent"):
        sfu.lose(room, anna.id, reason)
    gone = await anna.next(lambda m: m["type"] == "group_gone")
    assert gone == {"type": "group_gone", "generation": 1, "reason": "wrong_certificate"}
    sfu.speak(room, bert.id)
    await bert.next(lambda m: m["type"] == "group_speakers")
    assert not of(host, "group_gone")
    assert not of(bert, "group_gone")


async def test_a_bad_offer_is_named_by_its_line(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    _, anna, _ = await group(node, page)
    sfu.refusal = control.Refused(control.Code.BAD_DESCRIPTION, "line 12: a=mid", "given twice")
    answer = await offer(anna)
    assert (answer["code"], answer["field"]) == ("bad_description", "line 12: a=mid")
    assert answer["detail"] == "given twice"
    await anna.do("group_want", generation=1, tiles=[])


# --- rates ---


async def test_offers_and_wishes_are_bounded(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    _, anna, bert = await group(node, page)
    answers = await asyncio.gather(*(offer(anna) for _ in range(16)))
    refused = [one for one in answers if one["type"] == "error"]
    assert refused
    assert {one["code"] for one in refused} == {"slow_down"}
    assert all(0 < one["retry_after"] <= 0.5 for one in refused)
    assert (await answered(anna))["type"] == "group_answer"
    assert (await offer(bert))["type"] == "group_answer", "a bound is one page's own"
    wish = {"generation": 1, "tiles": list[object]()}
    wishes = await asyncio.gather(*(anna.command("group_want", **wish) for _ in range(16)))
    assert {one.get("code", "ok") for one in wishes} == {"ok", "slow_down"}
    assert len(sfu.requests(control.Want)) < 16


# --- what fails ---


async def test_a_forwarder_that_dies_is_left(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    a, b = await group_node("a"), await group_node("b")
    pages = await group(a, page, b)
    await in_mode("sfu", 1, *pages)
    for one in pages:
        await offer(one)
    await forwarder("second")
    for node in (a, b):
        await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
    begun = time.monotonic()
    await first.die()
    await in_mode("sfu", 2, *pages)
    answers = await asyncio.gather(*(answered(one, 2) for one in pages))
    assert {one["sdp"].split()[1] for one in answers} == {"second"}
    for one in pages:
        await sources(one, *pages, generation=2)
    assert time.monotonic() - begun < 5
    assert (await offer(pages[1], 1))["code"] == "stale_generation"


async def test_a_page_that_says_its_connection_is_dead_is_believed_if_the_forwarder_is_gone(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    await forwarder("second")
    await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
    # It is only this page's network: nobody else is moved.
    await pages[1].do("group_failed", generation=1)
    assert pages[0].newest_view()["media"]["generation"] == 1  # type: ignore[index]
    begun = time.monotonic()
    await first.die()
    await pages[1].do("group_failed", generation=1)
    await in_mode("sfu", 2, *pages)
    assert time.monotonic() - begun < 1.5, "at once, not when it is found silent"
    assert (await pages[1].command("group_failed", generation=1))["code"] == "stale_generation"


async def test_a_forwarder_that_is_started_again_is_used_again(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    begun = time.monotonic()
    sfu.restart()
    await in_mode("sfu", 2, *pages)
    await asyncio.gather(*(answered(one, 2) for one in pages))
    for one in pages:
        await sources(one, *pages, generation=2)
    assert time.monotonic() - begun < 5


async def test_a_forwarder_that_hangs_is_left(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    await forwarder("second")
    await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
    begun = time.monotonic()
    first.hangs = True
    late = asyncio.create_task(offer(pages[0]))
    await in_mode("sfu", 2, *pages)
    assert time.monotonic() - begun < 5
    assert (await late)["code"] == "stale_generation"
    assert (await answered(pages[0], 2))["sdp"].startswith("answer second")


async def test_without_any_forwarder_the_page_is_told_when_to_come_again(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    node = await group_node(forwarders=0)
    _, anna, _ = await group(node, page)
    begun = time.monotonic()
    answer = await offer(anna)
    assert answer["code"] == "sfu_unavailable"
    assert answer["retry_after"] > 0
    assert time.monotonic() - begun < 3
    waiting = asyncio.create_task(offer(anna))
    await forwarder()
    assert (await waiting)["type"] == "group_answer", "one that comes up is waited for"


async def test_the_only_forwarder_is_not_left_for_nothing(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    """It may hear nothing of us and forward all the same."""
    sfu = await forwarder()
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    sfu.hangs = True
    answer = await offer(pages[0])
    assert (answer["code"], answer["retry_after"] > 0) == ("sfu_unavailable", True)
    await asyncio.sleep(3)
    assert pages[1].newest_view()["media"]["generation"] == 1  # type: ignore[index]
    sfu.hangs = False
    assert (await offer(pages[0]))["type"] == "group_answer"


async def test_a_stopped_redis_stops_no_group(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage, redis_server: RedisServer
) -> None:
    sfu = await forwarder()
    await forwarder("other")
    node = await group_node(forwarders=2)
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    asked = [one for one in (sfu,) if one.requests(control.Offer)]
    redis_server.stop()
    try:
        begun = time.monotonic()
        answers = await asyncio.gather(*(offer(one) for one in pages))
        assert {one["code"] for one in answers} == {"store_unavailable"}
        assert all(one["retry_after"] > 0 for one in answers)
        assert time.monotonic() - begun < 5
        await asyncio.sleep(3)
    finally:
        redis_server.cont()

    async def answered() -> bool:
        return (await offer(pages[0]))["type"] == "group_answer"

    await until(answered)
    # Nobody was moved: it was Redis that was silent, not the forwarder.
    assert pages[1].newest_view()["media"] == {"mode": "sfu", "generation": 1}  # type: ignore[index]
    assert [one for one in (sfu,) if one.requests(control.Offer)] == asked
    await host_speaks(sfu, pages)


async def host_speaks(sfu: StandIn, pages: list[Page]) -> None:
    if not sfu.requests(control.Offer):
        return
    sfu.speak(sfu.asked[0].room, pages[0].id)  # type: ignore[union-attr]
    await pages[1].next(lambda m: m["type"] == "group_speakers")


async def test_a_redis_that_has_lost_everything_moves_nobody(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage, redis_server: RedisServer
) -> None:
    sfu = await forwarder()
    await forwarder("other")
    a, b = await group_node("a", forwarders=2), await group_node("b", forwarders=2)
    pages = await group(a, page, b)
    await in_mode("sfu", 1, *pages)
    first = {(await answered(one))["sdp"].split()[1] for one in pages}
    redis_server.restart_empty()
    await asyncio.sleep(0.5)
    again = {(await answered(one))["sdp"].split()[1] for one in pages}
    assert again == first
    await asyncio.sleep(3.5)
    for one in pages:
        assert one.newest_view()["media"] == {"mode": "sfu", "generation": 1}  # type: ignore[index]
    if first == {"f"}:
        sfu.speak(sfu.asked[0].room, pages[0].id)  # type: ignore[union-attr]
        for one in pages:
            await one.next(lambda m: m["type"] == "group_speakers")


async def test_who_is_removed_while_offering_is_dropped_behind_the_offer(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, bert = await group(node, page)
    for one in (host, bert):
        await offer(one)
    room = sfu.asked[0].room  # type: ignore[union-attr]
    sfu.hangs = True
    offering = asyncio.create_task(offer(anna))
    await asyncio.sleep(0.2)
    await host.do("back_to_waiting", participant=anna.id)
    sfu.hangs = False
    assert (await offering)["code"] == "not_allowed"

    def last_is_leave() -> bool:
        about = [one for one in sfu.asked if getattr(one, "participant", "") == anna.id]
        return bool(about) and about[-1] == control.Leave(room, anna.id)

    await until(last_is_leave)
    await until(lambda: anna.id not in sfu.publishing[room])


async def test_a_drain_hands_over_before_it_ends(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    first = await forwarder("first")
    node = await group_node()
    pages = await group(node, page)
    for one in pages:
        await offer(one)
    await forwarder("second")
    await knows(node.server.deps.forwarders, 2)  # type: ignore[arg-type]
    draining = asyncio.create_task(first.control.drain(4))
    await until(lambda: _is_draining(node, "first1"))
    assert (await offer(pages[0]))["sdp"].startswith("answer first"), "rooms that are there go on"
    await in_mode("sfu", 2, *pages)
    assert not draining.done(), "the old connections are still there"
    assert (await offer(pages[0], 2))["sdp"].startswith("answer second")
    await draining
