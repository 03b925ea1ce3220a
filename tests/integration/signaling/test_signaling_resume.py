"""Nothing is lost: dropped sockets, other nodes, stopped and killed ones."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.page import Page
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def meet(host_node: Node, client_node: Node, page: NewPage) -> tuple[Page, Page]:
    """A host on one node and an admitted client on another (or the same)."""
    host, client = page(HOST), page(CLIENT)
    await host.open(host_node)
    await client.open(client_node)
    await host.view(lambda v: any(p["id"] == client.id for p in v["participants"]))
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    return host, client


def sees(page: Page, other: Page, connected: bool) -> bool:
    view = page.newest_view() or {"participants": []}
    return any(p["id"] == other.id and p["connected"] is connected for p in view["participants"])


def spilled(redis: RedisServer) -> bool:
    with redis.admin() as client:
        return any(b":mail:" in key for key in client.scan_iter())


async def test_what_was_missed_comes_once_and_in_order(node: Node, page: NewPage) -> None:
    host, client = await meet(node, node, page)
    await host.signal(client, "1")
    await client.got("1")
    await client.drop()
    for data in ("2", "3", "4"):
        await host.signal(client, data)
    welcome = await client.open(node)
    assert welcome["resumed"]
    await host.signal(client, "5")
    await client.got("1", "2", "3", "4", "5")
    await host.next(lambda m: m["type"] == "delivered" and m["id"] == 6)
    assert node.metric("konsil_resumes_total", outcome="memory") == 1


async def test_what_was_not_acknowledged_comes_again(node: Node, page: NewPage) -> None:
    host, client = await meet(node, node, page)
    client.acknowledges = False
    await host.signal(client, "1")
    await client.got("1")
    assert not any(m["type"] == "delivered" for m in host.messages)
    await client.drop()
    client.messages.clear()
    client.last_seq -= 1  # as if the page had never got it
    client.acknowledges = True
    assert (await client.open(node))["resumed"]
    await client.got("1")
    await host.next(lambda m: m["type"] == "delivered")


async def test_back_after_29_seconds(
    node: Node, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    host, client = await meet(node, node, page)
    await client.drop()
    await host.signal(client, "1")
    await until(lambda: len(node.server.hub.rooms.away) == 1)
    deployment.clock.advance(29)
    node.tick()
    await until(lambda: spilled(redis_server))
    await host.view(lambda v: not v["participants"][0]["connected"])
    await host.signal(client, "2")
    assert (await client.open(node))["resumed"]
    await host.signal(client, "3")
    await client.got("1", "2", "3")


async def test_back_after_61_seconds_while_waiting(
    node: Node, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    host, first, second = page(HOST), page(CLIENT), page(CLIENT)
    for one in (host, first, second):
        await one.open(node)
    await first.drop()
    await let_a_minute_pass(node, deployment, redis_server)
    welcome = await first.open(node)
    assert (welcome["resumed"], welcome["room"]["place"]) == (False, 1)
    assert (await second.view())["place"] == 2


async def test_back_after_61_seconds_in_a_call(
    node: Node, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    """Its messages are gone, so those who sent some are asked for them again."""
    host, client = await meet(node, node, page)
    await client.drop()
    number = await host.signal(client, "kept by the host")
    await let_a_minute_pass(node, deployment, redis_server)
    welcome = await client.open(node)
    assert (welcome["resumed"], welcome["room"]["you"]) == (False, "admitted")
    assert client.signals() == []
    assert await host.closed() == 1001
    assert (await host.open(node))["resumed"]
    await host.signal(client, "kept by the host", number=number)
    await client.got("kept by the host")
    assert node.metric("konsil_resumes_total", outcome="lost") == 1


async def let_a_minute_pass(node: Node, deployment: Deployment, redis: RedisServer) -> None:
    """The clock of the nodes goes forward; what Redis would have dropped by then is dropped."""
    hub = node.server.hub
    await until(lambda: len(hub.rooms.away) == 1)
    deployment.clock.advance(2)
    node.tick()
    await until(lambda: spilled(redis))
    await until(lambda: all(member.hold.value == "spilled" for member in hub.rooms.away))
    deployment.clock.advance(59)
    with redis.admin() as client:
        client.delete(*(key for key in client.scan_iter() if b":mail:" in key))

    def forgotten() -> bool:
        node.tick()
        return not hub.rooms.away

    await until(forgotten)


async def test_a_page_that_was_reloaded_gets_nothing_old(node: Node, page: NewPage) -> None:
    host, client = await meet(node, node, page)
    await client.drop()
    await host.signal(client, "for the page before")
    reloaded = client.reloaded()
    welcome = await reloaded.open(node)
    assert (welcome["resumed"], welcome["room"]["you"]) == (False, "admitted")
    await host.signal(reloaded, "for this page")
    await reloaded.got("for this page")
    await reloaded.drop()


async def test_signals_between_two_nodes(start: StartNode, page: NewPage) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, b, page)
    last = 0
    for number in range(20):
        last = await host.signal(client, f"h{number}")
        await client.signal(host, f"c{number}")
    await client.got(*(f"h{number}" for number in range(20)))
    await host.got(*(f"c{number}" for number in range(20)))
    await host.next(lambda m: m["type"] == "delivered" and m["id"] == last)
    assert a.metric("konsil_signals_total", path="remote") == 20
    await host.do("remove", participant=client.id)
    assert await client.closed() == 4403


async def test_moving_to_another_node_after_a_while(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    await host.signal(client, "1")
    await client.got("1")
    await client.drop()
    await host.signal(client, "2")
    await host.view(lambda v: not v["participants"][0]["connected"])
    await host.signal(client, "3")  # by way of Redis now
    assert (await client.open(b))["resumed"]
    await host.view(lambda v: v["participants"][0]["connected"])
    await host.signal(client, "4")
    await client.got("1", "2", "3", "4")
    assert b.metric("konsil_resumes_total", outcome="spilled") == 1


async def test_moving_to_another_node_at_once(start: StartNode, page: NewPage) -> None:
    """The old node has not yet noticed: it hands over what it has."""
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    client.acknowledges = False
    for data in ("1", "2"):
        await host.signal(client, data)
    await client.got("1", "2")
    moved = page(CLIENT, secret=client.secret, token=client.token)
    moved.instance, moved.last_seq = client.instance, client.last_seq - 1
    assert (await moved.open(b))["resumed"]
    assert await client.closed() == 4409
    await host.signal(moved, "3")
    await moved.got("2", "3")
    assert b.metric("konsil_resumes_total", outcome="handover") == 1
    assert len(a.server.hub.rooms.away) == 0


async def test_moving_about_while_messages_flow(start: StartNode, page: NewPage) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    sent: list[str] = []

    async def talk() -> None:
        for number in range(120):
            sent.append(str(number))
            await host.signal(client, str(number))
            await asyncio.sleep(0.01)

    talking = asyncio.create_task(talk())
    for node in (b, a, b, a, b):
        await asyncio.sleep(0.15)
        assert (await client.open(node))["resumed"]
    await talking
    await client.got(*sent)


async def test_a_stopping_node_sends_everybody_away_with_all_their_messages(
    start: StartNode, page: NewPage
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    client.acknowledges = False
    await host.signal(client, "1")
    await client.got("1")
    client.last_seq -= 1
    client.messages.clear()
    await a.server.drain(5)
    for one in (host, client):
        assert await one.closed() == 1001
        assert one.messages[-1] == {"type": "bye", "reason": "going_away"}
    client.messages.clear()
    client.acknowledges = True
    assert (await client.open(b))["resumed"]
    assert (await host.open(b))["resumed"]
    await client.got("1")
    await host.signal(client, "2")
    await client.got("1", "2")


async def test_a_stopping_node_takes_nobody(start: StartNode, page: NewPage) -> None:
    a = await start("a")
    client = page(CLIENT)
    await client.connect(a)
    a.server.hub.arrivals.draining = True
    await client.hello()
    assert (await client.next(lambda m: m["type"] == "error"))["code"] == "going_away"
    assert await client.closed() == 1001


async def test_a_node_that_dies_without_a_word(
    start: StartNode, page: NewPage, deployment: Deployment
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(b, a, page)
    number = await host.signal(client, "1")
    await client.got("1")
    client.acknowledges = False
    lost = await host.signal(client, "taken by the dead node, never seen")
    await client.got("1", "taken by the dead node, never seen")
    client.last_seq -= 1
    await a.stop()  # its tasks end where they are, as at SIGKILL; nothing is handed on
    client.messages.clear()
    client.acknowledges = True

    welcome = await client.open(b)
    assert (welcome["resumed"], welcome["room"]["you"]) == (False, "admitted")
    assert await host.closed() == 1001
    assert (await host.open(b))["resumed"]
    await host.signal(client, "taken by the dead node, never seen", number=lost)
    await client.got("taken by the dead node, never seen")
    assert number < lost


async def test_those_of_a_dead_node_are_seen_to_be_gone(
    start: StartNode, page: NewPage, deployment: Deployment
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(b, a, page)
    await a.stop()
    for _ in range(3):
        deployment.clock.advance(15)
        b.tick()
        await asyncio.sleep(0.1)
    await host.view(lambda v: not v["participants"][0]["connected"])
    await client.open(b)
    await host.view(lambda v: v["participants"][0]["connected"])


async def test_an_end_on_one_node_is_an_end_on_all(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, b, page)
    await host.do("end")
    assert await client.closed() == 4410
    assert client.messages[-1] == {"type": "bye", "reason": "ended"}
    answer, code = await client.refused(b)
    assert (answer["code"], code) == ("room_ended", 4410)
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0


@pytest.mark.parametrize("moves", [False, True])
async def test_a_second_tab_on_any_node_takes_over(
    start: StartNode, page: NewPage, moves: bool
) -> None:
    a, b = await start("a"), await start("b")
    _, client = await meet(a, a, page)
    tab = page(CLIENT, secret=client.secret)
    welcome = await tab.open(b if moves else a)
    assert (welcome["resumed"], welcome["room"]["you"]) == (False, "admitted")
    assert await client.closed() == 4409
    assert sum(m["type"] == "bye" for m in client.messages) == 1


async def test_a_full_mailbox_refuses_and_later_takes(node: Node, page: NewPage) -> None:
    host, client = await meet(node, node, page)
    client.acknowledges = False
    for number in range(1, 191):  # below the limit on the rate
        await host.signal(client, str(number), number=number)
    other = page(HOST)
    await other.open(node)
    for number in range(1, 100):
        await other.signal(client, f"b{number}", number=number)
    refused = await other.next(lambda m: m["type"] == "error")
    first = refused["id"]
    assert (refused["code"], first) == ("slow_down", 256 - 190 + 1)
    await other.next(lambda m: m["type"] == "error" and m["id"] == 99)
    client.acknowledges = True
    await client.send({"type": "ack", "seq": client.last_seq})
    await other.signal(client, "overtakes", number=100)
    late = await other.next(lambda m: m["type"] == "error" and m["id"] == 100)
    assert late["code"] == "slow_down"  # until the first that was refused has come again
    for number in range(first, 100):
        await other.signal(client, f"b{number}", number=number)
    await client.got(
        *(str(number) for number in range(1, 191)), *(f"b{number}" for number in range(1, 100))
    )


async def test_what_redis_kept_for_the_page_before_a_reload_is_not_delivered(
    node: Node, page: NewPage
) -> None:
    host, client = await meet(node, node, page)
    await client.drop()
    await host.view(lambda v: not v["participants"][0]["connected"])
    await host.signal(client, "for the page before, by way of Redis")
    reloaded = client.reloaded()
    await reloaded.open(node)
    await host.view(lambda v: v["participants"][0]["connected"])
    await host.signal(reloaded, "for this page")
    await reloaded.got("for this page")
    await reloaded.drop()


async def test_what_was_lost_is_not_overtaken(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    """A client comes back to a mailbox that is lost while hosts on two nodes talk on."""
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    other = page(HOST)
    await other.open(b)
    await client.drop()
    lost = [await host.signal(client, "h1"), await other.signal(client, "o1")]
    await host.view(lambda v: any(not p["connected"] for p in v["participants"]))
    await until(lambda: spilled(redis_server))
    with redis_server.admin() as redis:
        redis.delete(*(key for key in redis.scan_iter() if b":mail:" in key))
    a.server.hub.rooms.forget(next(iter(a.server.hub.rooms.away)))

    talking = True

    async def talk(sender: Page, name: str) -> None:
        number = 1
        while talking:
            number += 1
            if sender.socket is not None and sender.socket.close_code is None:
                await sender.signal(client, f"{name}{number}")
            await asyncio.sleep(0.002)

    talkers = [asyncio.create_task(talk(host, "h")), asyncio.create_task(talk(other, "o"))]
    assert not (await client.open(a))["resumed"]
    assert await host.closed() == 1001
    assert await other.closed() == 1001
    talking = False
    await asyncio.gather(*talkers, return_exceptions=True)
    assert client.signals() == []
    for sender, node, number, data in ((host, a, lost[0], "h1"), (other, b, lost[1], "o1")):
        assert (await sender.open(node))["resumed"]
        await sender.signal(client, data, number=number)
    await until(lambda: sorted(client.signals()) == ["h1", "o1"])
