"""Groups on the wire: offers, sources, hosts and guests, and who is told what."""

from __future__ import annotations

import asyncio

import pytest

from konsil.sfu_access import TRIES
from sfu import control
from signaling.forwarders import Heard, Way
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage, StartForwarder, StartGroupNode
from tests.integration.signaling.groups import (
    CLIENT,
    GUEST,
    SDP,
    answered,
    group,
    ids_of,
    in_mode,
    of,
    offer,
    offering,
    sources,
)
from tests.integration.signaling.house import Consultation, Deployment
from waiting_room.media import BACK_AFTER_MS

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


async def test_who_comes_back_is_told_what_came_while_the_forwarder_was_asked(
    forwarder: StartForwarder,
    group_node: StartGroupNode,
    page: NewPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, _ = await group(node, page)
    await offer(host)
    await sources(anna, host)
    knowing = node.server.deps.forwarders
    asked = knowing.watch
    overtaken = asyncio.Event()

    async def slow(name: str, way: Way) -> tuple[Heard, ...]:
        known = await asked(name, way)
        await offer(anna)
        await sources(host, host, anna)
        overtaken.set()
        return known

    monkeypatch.setattr(knowing, "watch", slow)
    await host.drop()
    await host.open(node)
    async with asyncio.timeout(10):
        await overtaken.wait()
    # What is told after the greeting, so that the greeting is over.
    mark = len(host.messages)
    sfu.speak(sfu.asked[0].room, anna.id)  # type: ignore[union-attr]
    await host.next(lambda m: m["type"] == "group_speakers", since=mark)
    await sources(host, host, anna)


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
    assert {anna.id, bert.id} == ids_of(host.newest_view() or {})
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
    await host.view(lambda view: old.id in ids_of(view))
    shown = {one["id"]: one["groups"] for one in (host.newest_view() or {})["participants"]}
    assert shown[old.id] is False
    refused = await host.command("admit", participant=old.id)
    assert refused["code"] == "group_unsupported"
    told = await old.next(lambda m: m["type"] == "error")
    assert told["code"] == "group_unsupported"
    assert "id" not in told
    assert (old.newest_view() or {})["you"] == "waiting"


# --- what is told ---


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
    await until(lambda: any(getattr(one, "participant", "") == anna.id for one in sfu.arrived))
    await host.do("back_to_waiting", participant=anna.id)
    sfu.hangs = False
    assert (await offering)["code"] == "not_allowed"

    def last_is_leave() -> bool:
        about = [one for one in sfu.asked if getattr(one, "participant", "") == anna.id]
        return bool(about) and about[-1] == control.Leave(room, anna.id)

    await until(last_is_leave)
    await until(lambda: anna.id not in sfu.publishing[room])


async def test_a_farewell_that_comes_late_takes_nobody_out_who_is_back(
    forwarder: StartForwarder, group_node: StartGroupNode, page: NewPage
) -> None:
    sfu = await forwarder()
    node = await group_node()
    host, anna, _ = await offering(node, page)
    room = sfu.asked[0].room  # type: ignore[union-attr]
    farewell = control.Leave(room, anna.id)
    sfu.hangs = True
    await host.do("back_to_waiting", participant=anna.id)
    await until(lambda: farewell in sfu.arrived)
    await host.do("admit", participant=anna.id)
    await anna.status("admitted")
    # It answers too late, and would be told again and again.
    await until(lambda: node.server.hub.watch._drops == 0, 30)
    assert sfu.arrived.count(farewell) <= TRIES, "of one attempt"
    sfu.hangs = False
    await until(lambda: farewell in sfu.asked)
    await answered(anna)
    assert anna.id in sfu.publishing[room]


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
