"""How often one may arrive, and what those who are there see of it. Time stands still."""

from __future__ import annotations

import time

import pytest

from signaling import arrivals
from signaling.arrivals import HELLO_BURST, HELLO_RATE
from signaling.room import VIEW_BURST, VIEW_EVERY_S
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.page import Message, Page
from waiting_room.tokens import TokenType

HOST = TokenType.HOST


class Still:
    """A clock that is put forward by hand alone."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def still(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Still:
    clock = Still()
    monkeypatch.setattr(deployment.clock, "monotonic", clock)
    return clock


@pytest.fixture
async def node(still: Still, start: StartNode) -> Node:
    return await start()


async def come(page: Page, node: Node, times: int) -> None:
    """The same person loads the page again and again."""
    for _ in range(times):
        again = page.reloaded()
        await again.open(node)
        await again.drop()


async def test_who_arrives_too_often_is_told_to_come_back(
    node: Node, page: NewPage, still: Still
) -> None:
    person = page()
    await come(person, node, HELLO_BURST)
    error, close = await person.reloaded().refused(node)
    assert (error["code"], close) == ("slow_down", 4429)
    assert 0 < error["retry_after"] <= 1 / HELLO_RATE
    async with page() as other:
        await other.open(node)
    still.now += error["retry_after"]
    await come(person, node, 1)
    assert (await person.reloaded().refused(node))[0]["code"] == "slow_down"
    still.now += HELLO_BURST / HELLO_RATE
    await come(person, node, HELLO_BURST)


async def test_a_page_that_loses_its_socket_is_not_counted(node: Node, page: NewPage) -> None:
    person = page()
    await person.open(node)
    for _ in range(2 * HELLO_BURST):
        assert (await person.open(node))["resumed"]


async def test_newcomers_of_a_room_are_counted_and_hold_up_nobody_else(
    still: Still, start: StartNode, page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "NEWCOMER_BURST", 3)
    node = await start()
    people = [page() for _ in range(3)]
    for one in people:
        await one.open(node)
    error, close = await page().refused(node)
    assert (error["code"], close) == ("slow_down", 4429)
    await people[0].reloaded().open(node)
    await page(HOST).open(node)
    await page(consultation=page().consultation.deployment.consultation()).open(node)
    still.now += error["retry_after"]
    await page().open(node)


async def views(host: Page) -> list[Message]:
    """All that were sent to the host so far."""
    mark = len(host.messages)
    await host.send({"type": "ping"})
    await host.next(lambda message: message["type"] == "pong", since=mark)
    return [message for message in host.messages if message["type"] == "room"]


async def test_views_come_at_once_and_then_together(
    node: Node, page: NewPage, still: Still
) -> None:
    host = page(HOST, name="Host")
    await host.open(node)
    waiting = [page(name=f"Client {number}") for number in range(VIEW_BURST + 6)]
    for one in waiting:
        await one.open(node)
    seen = await views(host)
    assert [len(view["participants"]) for view in seen] == list(range(1, VIEW_BURST + 1))

    still.now += VIEW_EVERY_S
    await host.view(lambda view: len(view["participants"]) == len(waiting))
    assert len(await views(host)) == VIEW_BURST + 1, "six changes in one"
    assert not node.server.hub.rooms.late

    # Who is inside is told at once, with all that had to wait.
    late = page(name="Late")
    await late.open(node)
    await until(lambda: bool(node.server.hub.rooms.late))
    assert len(await views(host)) == VIEW_BURST + 1
    await host.do("admit", participant=waiting[0].id)
    newest = (await views(host))[-1]
    assert [one["status"] for one in newest["participants"]].count("admitted") == 1
    assert late.id in {one["id"] for one in newest["participants"]}
    assert not node.server.hub.rooms.late


async def test_a_change_that_is_taken_back_is_not_shown(
    node: Node, page: NewPage, still: Still
) -> None:
    host = page(HOST, name="Host")
    await host.open(node)
    for number in range(VIEW_BURST):
        await host.do("lock", locked=number % 2 == 0)
    before = await views(host)
    assert len(before) == VIEW_BURST
    await host.do("lock", locked=True)
    assert node.server.hub.rooms.late
    await host.do("lock", locked=False)
    assert not node.server.hub.rooms.late
    still.now += VIEW_EVERY_S
    assert await views(host) == before
