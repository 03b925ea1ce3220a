"""What happens while something else is under way."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from signaling.courier import MAX_QUEUED
from signaling.room import Hold
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.test_signaling_resume import meet, sees, spilled
from waiting_room.errors import StoreUnavailable
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def test_a_room_that_was_ended_unheard_does_not_come_back_with_one_who_was_away(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host = page(HOST)
    await host.open(node)
    await host.drop()
    await until(lambda: spilled(redis_server))
    with redis_server.admin() as redis, redis.pipeline() as pipeline:
        # As if another node had ended it in the very moment in which this one did not listen.
        pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        pipeline.flushall()
        pipeline.execute()
    await until(lambda: node.store.has_ended(host.consultation.room))
    error, _ = await host.refused(node)
    assert error["code"] == "room_ended"


async def test_what_is_to_be_compared_with_redis_during_a_comparison_is_compared_again(
    node: Node, page: NewPage, redis_server: RedisServer, deployment: Deployment
) -> None:
    await page(HOST).open(node)

    with redis_server.admin() as redis:

        def comparisons() -> int:
            return int(redis.info("commandstats")["cmdstat_evalsha"]["calls"])

        before = comparisons()
        deployment.clock.advance(601)
        redis_server.stop()
        node.tick()
        await asyncio.sleep(0.1)  # the question is on its way
        node.server.hub.upkeep.renew_soon(fetch=True)
        redis_server.cont()
        await until(lambda: comparisons() >= before + 2, within=5)


async def test_one_who_comes_back_while_redis_is_told_of_the_absence_is_not_gone(
    node: Node, page: NewPage, redis_server: RedisServer, deployment: Deployment
) -> None:
    host, client = await meet(node, node, page)
    room = node.server.hub.rooms.get(client.consultation.room)
    assert room is not None
    member = room.members[client.id]
    await client.drop()
    redis_server.stop()
    try:
        deployment.clock.advance(1.1)
        node.tick()
        await until(lambda: member.hold is Hold.SPILLED)
        await client.connect(node)
        await client.hello()
        await until(lambda: member.hold is Hold.BEHIND)
    finally:
        redis_server.cont()
    await client.next(lambda m: m["type"] == "welcome" and m["resumed"])
    await host.do("lock", locked=True)  # behind whatever else has its turn
    assert sees(host, client, connected=True)


async def test_who_comes_to_another_node_before_a_lost_session_is_put_back_locks_nobody_out(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, a, page)
    with redis_server.admin() as redis:
        redis.flushall()
    await page(CLIENT, name="Bea").open(b)
    a.server.hub.upkeep.renew_soon()
    a.tick()
    for one in (host, client):
        await one.next(lambda m: m["type"] == "bye" and m["reason"] == "going_away")
        await one.open(a)
    await host.view(lambda v: len(v["participants"]) == 2)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    await host.signal(client, "back")
    await client.got("back")


async def test_a_hello_that_fails_behind_another_one_of_the_same_page_stops_no_signals(
    node: Node, page: NewPage, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, client = await meet(node, node, page)
    rooms = node.server.hub.rooms
    room = rooms.get(client.consultation.room)
    assert room is not None
    member = room.members[client.id]
    await client.drop()
    deployment.clock.advance(1.1)
    node.tick()
    await host.view(lambda _: sees(host, client, connected=False))

    async def fail_after(event: asyncio.Event) -> NoReturn:
        await event.wait()
        raise StoreUnavailable("as if Redis did not answer")

    first, second = asyncio.Event(), asyncio.Event()
    with monkeypatch.context() as patch:
        patch.setattr(node.store, "take", lambda *_: fail_after(first))
        await client.connect(node)
        await client.hello()
        await until(lambda: member.fetching > 0)
        await until(lambda: sees(host, client, connected=True))
        patch.setattr(node.store, "change", lambda *_, **__: fail_after(second))
        await client.connect(node)
        await client.hello()
        await until(room.lock.locked)
        first.set()
        await until(lambda: member.mail_due or member in rooms.stale)
        second.set()
        await client.next(lambda m: m["type"] == "welcome", since=len(client.messages))
    await until(lambda: not rooms.stale)
    await host.signal(client, "heard")
    await client.got("heard")


@pytest.mark.parametrize("operation", ["post", "take"])
async def test_signals_that_wait_for_redis_are_bounded_in_size(
    start: StartNode, page: NewPage, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, b, page)
    other = page(CLIENT)
    await other.open(b)
    await host.do("admit", participant=other.id)
    await other.status("admitted")
    never = asyncio.Event()
    monkeypatch.setattr(b.store, operation, lambda *_: never.wait())
    # Either it waits for what the host sends to be fetched, or to be sent to the host.
    recipient = client if operation == "take" else host
    await host.signal(client, "first")
    room = b.server.hub.rooms.get(host.consultation.room)
    assert room is not None
    if operation == "take":
        await until(lambda: room.members[client.id].fetching > 0)
    fit = MAX_QUEUED // 60_000
    for number in range(1, fit + 10):
        await other.signal(recipient, "x" * 60_000, number=number)
    refused = await other.next(lambda m: m["type"] == "error")
    assert refused["code"] == "slow_down"
    assert fit < refused["id"] < fit + 10  # a few are on their way already


async def test_what_is_sent_while_the_mailbox_moves_is_not_lost_when_mail_is_announced(
    start: StartNode, page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, b, page)
    await host.signal(client, "1")
    await client.got("1")
    await client.drop()
    take, go_on = a.store.take, asyncio.Event()

    async def take_later(room: str, participant: str) -> list[bytes]:
        await go_on.wait()
        return await take(room, participant)

    monkeypatch.setattr(a.store, "take", take_later)
    await client.connect(a)
    await client.hello()
    room = a.server.hub.rooms.get(client.consultation.room)
    assert room is not None
    await until(lambda: client.id in room.members)
    await host.signal(client, "2")
    await until(lambda: bool(room.members[client.id].backlog))
    a.server.hub.heard("mail", room.id, client.id.encode())
    go_on.set()
    await client.got("1", "2")


async def test_what_was_sent_to_one_whose_hello_fails_goes_where_they_are(
    start: StartNode, page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await start("a"), await start("b")
    host, client = await meet(a, b, page)
    never = asyncio.Event()

    async def fail(*_: object, **__: object) -> NoReturn:
        await never.wait()
        raise StoreUnavailable("as if Redis did not answer")

    second = client.reloaded()
    with monkeypatch.context() as patch:
        patch.setattr(a.store, "change", fail)
        async with second:
            await second.connect(a)
            await second.hello()
            room = a.server.hub.rooms.get(client.consultation.room)
            assert room is not None
            await until(lambda: client.id in room.members)
            await host.signal(client, "1")
            await until(lambda: bool(room.members[client.id].backlog))
            never.set()
            assert (await second.next(lambda m: m["type"] == "error"))["code"] == (
                "store_unavailable"
            )
    await host.signal(client, "2")
    await client.got("1", "2")


async def test_what_comes_again_is_not_overtaken_by_what_its_sender_left_on_another_node(
    start: StartNode, page: NewPage
) -> None:
    a, b, c = [await start(name) for name in ("a", "b", "c")]
    host, client = await meet(a, c, page)
    await client.drop()
    await host.signal(client, "1", number=1)
    await until(lambda: c.metric("konsil_mailbox_entries") == 1)
    await c.stop()  # without a word, and with the mailbox
    await client.connect(a)
    await client.hello()
    room = a.server.hub.rooms.get(client.consultation.room)
    assert room is not None
    await until(lambda: client.id in room.members)
    await host.signal(client, "2", number=2)
    await until(lambda: bool(room.members[client.id].backlog))
    for where in (b, None):
        if where is None:  # it is asked to come again
            await host.next(lambda m: m["type"] == "bye" and m["reason"] == "going_away")
        await host.open(b)
        await host.signal(client, "1", number=1)
        await host.signal(client, "2", number=2)
    await client.got("1", "2")
