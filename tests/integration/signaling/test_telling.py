"""What a host tells those who wait, on whichever node they are."""

from __future__ import annotations

import pytest

from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Node
from tests.integration.signaling.page import Message, Page
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def told(page: Page, text: str) -> Message:
    return await page.next(lambda m: m["type"] == "told" and m["text"] == text)


async def test_all_who_wait_are_told_on_every_node(start: StartNode, page: NewPage) -> None:
    one, other = await start("a"), await start("b")
    host, near, far, inside = page(HOST), page(CLIENT), page(CLIENT), page(CLIENT)
    await host.open(one)
    for client, node in ((near, one), (far, other), (inside, one)):
        await client.open(node)
    await host.view(lambda view: len(view["participants"]) == 3)
    await host.do("admit", participant=inside.id)
    await host.do("tell", text="It takes a little longer.", minutes=15)
    for client in (near, far):
        message = await told(client, "It takes a little longer.")
        assert message["minutes"] == 15
        assert message["at"] > 1_700_000_000_000
    await host.do("tell", text="You are next.", participant=far.id)
    assert "minutes" not in await told(far, "You are next.")
    await host.do("tell", text="", minutes=5)
    await told(near, "")
    assert [m["text"] for m in near.messages if m["type"] == "told"] == [
        "It takes a little longer.",
        "",
    ]
    assert not [m for m in inside.messages if m["type"] == "told"], "does not wait any more"


async def test_only_a_host_tells(node: Node, page: NewPage) -> None:
    host, client, other = page(HOST), page(CLIENT), page(CLIENT)
    for one in (host, client, other):
        await one.open(node)
    for fields in ({"participant": other.id}, {}):
        answer = await client.command("tell", text="I am the host", **fields)
        assert answer["code"] == "not_allowed"
    assert not [m for m in other.messages if m["type"] == "told"]


async def test_only_those_who_wait_are_told(node: Node, page: NewPage) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do("admit", participant=client.id)
    for participant in (client.id, host.id, "A" * 22):
        answer = await host.command("tell", text="x", participant=participant)
        assert answer["code"] == "unknown_participant"
    await host.do("tell", text="nobody there")


async def test_a_flood_of_words_is_slowed(node: Node, page: NewPage) -> None:
    host = page(HOST)
    await host.open(node)
    codes = []
    for _ in range(70):
        answer = await host.command("tell", text="x")
        codes.append(answer.get("code"))
    assert codes[:60] == [None] * 60
    assert "slow_down" in codes[60:]


async def test_words_reach_no_log(
    start: StartNode, page: NewPage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    one, other = await start("a"), await start("b")
    host, client = page(HOST), page(CLIENT)
    await host.open(one)
    await client.open(other)
    await host.view(lambda view: len(view["participants"]) == 1)
    await host.do("tell", text="canary-words-0815")
    await told(client, "canary-words-0815")
    await host.send({"type": "tell", "id": 9, "text": "canary-words-0815", "minutes": -1})
    await host.next(lambda m: m["type"] == "error" and m["field"] == "minutes")
    ours = [record for record in caplog.records if not record.name.startswith("websockets")]
    assert not [record for record in ours if "canary" in f"{record.getMessage()}{record.__dict__}"]


async def test_the_place_in_line_need_not_be_told(start: StartNode, page: NewPage) -> None:
    node = await start(tells_place=False)
    first, second = page(CLIENT), page(CLIENT)
    welcome = await first.open(node)
    assert welcome["room"]["place"] is None
    assert welcome["room"]["you"] == "waiting"
    assert (await second.open(node))["room"]["place"] is None
