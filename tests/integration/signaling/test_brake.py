"""An address that keeps offending is answered late; what is open, and everybody else, at once."""

from __future__ import annotations

import asyncio

import pytest

from signaling import door, turnstile
from signaling.brake import FREE, MOST
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage
from tests.integration.signaling.house import Node
from tests.integration.signaling.raw import BINARY, Raw
from waiting_room.tokens import TokenType

BRAKED = "konsil_braked_upgrades_total"


async def offend(node: Node) -> None:
    """As long as nothing comes of it, and then until the wait is longest, without having waited."""
    for _ in range(FREE + 1):
        async with await Raw.websocket(node) as raw:
            raw.frame(BINARY, b"no page does that")
            assert (await raw.close_code())[0] == 1003
    hub = node.server.hub
    assert hub.wait_of("127.0.0.1") > 0
    for _ in range(MOST - FREE - 1):
        hub._brake.offended(hub._brake.place_of("127.0.0.1"), hub.monotonic())


def held(node: Node) -> int:
    keeper = node.server._keeper
    assert keeper is not None
    return keeper.held


async def test_offenders_wait_and_nobody_else_does(node: Node, page: NewPage) -> None:
    inside = page(TokenType.CLIENT)
    await inside.open(node)
    await offend(node)
    async with await Raw.connect(node) as late, await Raw.connect(node, source="127.0.0.2") as raw:
        waiting = asyncio.create_task(late.upgrade())
        await until(lambda: held(node) == 1)
        assert (await raw.upgrade()).status == 101
        await inside.send({"type": "ping"})
        await inside.next(lambda message: message["type"] == "pong")
        assert held(node) == 1
        assert (await waiting).status == 101
    assert node.metric(BRAKED) == 1
    assert held(node) == 0


async def test_who_leaves_while_waiting_leaves_nothing_behind(node: Node) -> None:
    await offend(node)
    async with await Raw.connect(node) as late:
        waiting = asyncio.create_task(late.upgrade())
        await until(lambda: held(node) == 1)
    await asyncio.gather(waiting, return_exceptions=True)
    await until(lambda: held(node) == 0)
    assert not node.server.hub.sockets


async def test_beyond_the_bound_offenders_are_cut(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offend(node)
    monkeypatch.setattr(door, "MAX_HELD_UPGRADES", 1)
    async with await Raw.connect(node) as first, await Raw.connect(node) as second:
        waiting = asyncio.create_task(first.upgrade())
        await until(lambda: held(node) == 1)
        refused = asyncio.create_task(second.upgrade())
        assert isinstance((await asyncio.gather(refused, return_exceptions=True))[0], Exception)
        assert (await waiting).status == 101


async def test_those_whose_waits_are_over_at_once_go_on_one_after_the_other(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offend(node)
    monkeypatch.setattr(turnstile, "AT_ONCE", 1)
    async with (
        await Raw.connect(node) as first,
        await Raw.connect(node) as second,
        await Raw.connect(node) as third,
    ):
        waiting = [asyncio.create_task(each.upgrade()) for each in (first, second, third)]
        await until(lambda: held(node) == 3)
        assert [each.status for each in await asyncio.gather(*waiting)] == [101] * 3
    assert held(node) == 0
