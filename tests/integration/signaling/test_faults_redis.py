"""Redis late, away, empty, full: calls go on, and nobody hangs."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from signaling.room import REMEMBER_S, Hold
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node, start_node
from tests.integration.signaling.page import Message, Page
from waiting_room.errors import StoreUnavailable
from waiting_room.session import TTL_CONNECTED_MS
from waiting_room.store import Posted
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def call(node: Node, page: NewPage) -> tuple[Page, Page]:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    await client.do("connected")
    return host, client


async def eventually_ok(page: Page, kind: str, **fields: object) -> None:
    """As a page does: what was told to come later comes later."""
    async with asyncio.timeout(20):
        while True:
            answer = await page.command(kind, **fields)
            if answer["type"] == "ok":
                return
            assert answer["code"] == "store_unavailable", answer
            await asyncio.sleep(min(answer["retry_after"], 0.3))


async def test_a_stopped_redis_stops_no_call(
    node: Node, page: NewPage, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, client = await call(node, page)
    redis_server.stop()
    try:
        with monkeypatch.context() as for_ever:
            # What waited for Redis would never come.
            for_ever.setattr("waiting_room.connection.OPERATION_TIMEOUT", 3600.0)
            await host.signal(client, "still here")
            await client.got("still here")

        newcomers = [page(CLIENT, name=f"Client {number}") for number in range(10)]
        answers = await asyncio.gather(*(one.refused(node) for one in newcomers))
        for answer, code in answers:
            assert (answer["code"], code) == ("store_unavailable", 4503)
            assert answer["retry_after"] > 0
        commands = await asyncio.gather(
            *(host.command("lock", locked=True) for _ in range(5)),
            client.command("leave"),
        )
        # One operation waited for its time, all others were told at once: in a row they would have
        # taken half a minute, and no page here is that patient.
        assert {answer["code"] for answer in commands} == {"store_unavailable"}

        # Who loses the connection now comes back from memory.
        await client.drop()
        await host.signal(client, "missed")
        assert (await client.open(node))["resumed"]
        await client.got("still here", "missed")
    finally:
        redis_server.cont()
    await eventually_ok(host, "lock", locked=True)
    await eventually_ok(host, "lock", locked=False)
    assert (await page(CLIENT, name="Late").open(node))["room"]["you"] == "waiting"
    await until(lambda: len(node.server.hub._tasks) <= 4)


async def test_a_redis_that_comes_back_empty_is_filled_from_the_sockets(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host, client = await call(node, page)
    waiting = page(CLIENT, name="Ben")
    await waiting.open(node)
    redis_server.restart_empty()

    def rebuilt() -> bool:
        with redis_server.admin() as redis:
            keys = redis.keys()
            return bool(keys) and all(0 < redis.pttl(key) <= TTL_CONNECTED_MS for key in keys)

    await until(rebuilt)
    await host.signal(client, "on we go")
    await client.got("on we go")
    assert (await host.view())["participants"][0]["status"] == "in_call"
    await eventually_ok(host, "admit", participant=waiting.id)
    await waiting.status("admitted")
    for one in (host, client, waiting):
        assert one.socket is not None
        assert one.socket.close_code is None
    await eventually_ok(host, "end")
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0


async def test_an_empty_redis_is_filled_by_all_nodes_together(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    a, b = await start("a"), await start("b")
    host, client = page(HOST), page(CLIENT)
    await host.open(a)
    await client.open(b)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    redis_server.restart_empty()
    await eventually_ok(client, "connected")
    await host.view(lambda v: v["participants"][0]["status"] == "in_call")
    sent = [f"{number}" for number in range(5)]
    for data in sent:
        await _signal_until_taken(host, client, data)
    await client.got(*sent)


async def _signal_until_taken(sender: Page, to: Page, data: str) -> None:
    """As a page does: sends again, with the same id, what was refused for now."""
    sender._next_id += 1
    await _again(sender, to, data, sender._next_id)


async def test_signals_to_another_node_are_refused_in_order_while_redis_is_away(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    a, b = await start("a"), await start("b")
    host, client = page(HOST), page(CLIENT)
    await host.open(a)
    await client.open(b)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    redis_server.stop()
    try:
        numbers = [await host.signal(client, data) for data in ("1", "2", "3")]
        for number in numbers:
            error = await host.next(functools.partial(_is_refusal_of, number))
            assert error["code"] in ("store_unavailable", "slow_down")
    finally:
        redis_server.cont()
    await until(lambda: _answers(redis_server))
    late = await host.signal(client, "4")
    error = await host.next(lambda m: m["type"] == "error" and m.get("id") == late)
    assert error["code"] == "slow_down"
    assert client.signals() == []
    for number, data in zip((*numbers, late), ("1", "2", "3", "4"), strict=True):
        await _again(host, client, data, number)
    await client.got("1", "2", "3", "4")


def _is_refusal_of(number: int, message: Message) -> bool:
    return message["type"] == "error" and message.get("id") == number


def _answers(redis_server: RedisServer) -> bool:
    with redis_server.admin() as redis:
        return bool(redis.ping())


async def _again(sender: Page, to: Page, data: str, number: int) -> None:
    async with asyncio.timeout(20):
        while True:
            mark = len(sender.messages)
            await sender.signal(to, data, number=number)
            answer = await sender.next(
                lambda m: m.get("id") == number and m["type"] in ("delivered", "error"),
                since=mark,
                within=20,
            )
            if answer["type"] == "delivered":
                return
            assert answer["code"] == "store_unavailable", answer
            await asyncio.sleep(0.2)


async def test_who_leaves_while_redis_is_away_is_seen_to_be_gone_later(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host, client = await call(node, page)
    redis_server.stop()
    try:
        await client.drop()
        await asyncio.sleep(2.5)  # the node tries, and fails
        assert len(node.server.hub.rooms.away) == 1
    finally:
        redis_server.cont()
    await host.view(lambda v: not v["participants"][0]["connected"])


async def test_redis_failing_for_one_of_many_leaves_nobody_behind_as_connected(
    start: StartNode, deployment: Deployment, redis_server: RedisServer
) -> None:
    """Four people drop while Redis is away, each from a host on another node."""
    here, there = await start("a"), await start("b")
    hosts, clients = [], []
    for _ in range(4):
        consultation = deployment.consultation()
        host, client = Page(consultation, HOST), Page(consultation)
        await host.open(there)
        await client.open(here)
        await host.view(lambda v: any(p["status"] == "waiting" for p in v["participants"]))
        await host.do("admit", participant=client.id)
        await client.status("admitted")
        hosts.append(host)
        clients.append(client)
    # One fails while the others are under way, as a lost connection does it.
    post, change = here.store.post, here.store.change
    changing: list[str] = []
    failed = asyncio.Event()

    async def failing(room: str, who: str, entries: Sequence[bytes]) -> Posted:
        if who == clients[0].id and not failed.is_set():
            await until(lambda: len(changing) == len(clients) - 1)
            failed.set()
            raise StoreUnavailable("once")
        return await post(room, who, entries)

    async def late(room: str, *args: Any, **more: Any) -> Any:
        changing.append(room)
        await failed.wait()
        await asyncio.sleep(0)  # the others hear of the failure first
        return await change(room, *args, **more)

    here.store.post, here.store.change = failing, late  # type: ignore[method-assign]
    for client in clients:
        await client.drop()
    for host in hosts:
        await host.view(lambda v: not v["participants"][0]["connected"])
        await host.drop()
    with redis_server.admin() as redis:
        await until(lambda: all(redis.pttl(key) <= 120_000 for key in redis.keys("*:session")))


async def test_who_takes_no_messages_and_drops_is_gone_for_the_others(
    start: StartNode, deployment: Deployment, redis_server: RedisServer
) -> None:
    here, there = await start("a"), await start("b")
    consultation = deployment.consultation()
    host, client = Page(consultation, HOST), Page(consultation)
    await host.open(there)
    await client.open(here)
    await host.view(lambda v: any(p["status"] == "waiting" for p in v["participants"]))
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    await host.view(lambda v: any(p["status"] == "admitted" for p in v["participants"]))
    client.acknowledges = False
    for _ in range(60):
        await host.signal(client, "sealed." + "A" * 55_000)

    def behind() -> bool:
        [member] = [m for room in here.server.hub.rooms for m in room.members.values()]
        return member.hold is Hold.BEHIND and not member.fetching

    await until(behind)
    await client.drop()
    await host.view(lambda v: not v["participants"][0]["connected"])
    deployment.clock.advance(REMEMBER_S + 1)
    here.tick()
    await until(lambda: not list(here.server.hub.rooms))


async def test_a_full_redis_refuses_joins_only(
    deployment: Deployment, page: NewPage, start_redis: Callable[..., RedisServer]
) -> None:
    redis_server = start_redis("--maxmemory-policy", "noeviction")
    node = await start_node(deployment, redis_server.url, "a")
    try:
        host, client = await call(node, page)
        with redis_server.admin() as redis:
            redis.config_set("maxmemory", "1")
        answer, code = await page(CLIENT, name="Late").refused(node)
        assert (answer["code"], code) == ("store_unavailable", 4503)
        assert "memory" in answer["detail"]
        await host.signal(client, "we talk on")
        await client.got("we talk on")
        with redis_server.admin() as redis:
            redis.config_set("maxmemory", "0")
        await eventually_ok(host, "lock", locked=True)
        await host.drop()
        await client.drop()
    finally:
        await node.stop()


async def test_keys_of_others_are_left_alone(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    with redis_server.admin() as redis:
        redis.set("theirs", "1")
        redis.set("konsilium:theirs", "2")
    host, _ = await call(node, page)
    await host.do("end")
    with redis_server.admin() as redis:
        assert sorted(redis.keys()) == [b"konsilium:theirs", b"theirs"]


async def test_sessions_are_renewed_while_somebody_is_connected(
    node: Node, page: NewPage, redis_server: RedisServer, deployment: Deployment
) -> None:
    host = page(HOST)
    await host.open(node)
    with redis_server.admin() as redis:
        [key] = redis.keys()
        redis.pexpire(key, 5000)
        deployment.clock.advance(601)
        host_ping = asyncio.create_task(host.send({"type": "ping"}))
        await host_ping
        node.tick()
        await until(lambda: redis.pttl(key) > 3_500_000)
        await host.drop()
        await until(lambda: redis.pttl(key) <= 120_000)
        deployment.clock.advance(601)
        node.tick()
        await asyncio.sleep(0.2)
        assert redis.pttl(key) <= 120_000


async def test_nothing_of_a_session_is_logged_or_counted(
    node: Node, page: NewPage, redis_server: RedisServer, caplog: object
) -> None:
    from prometheus_client import generate_latest

    name, data = "Canary-Name", "canary-signal"
    host, client = page(HOST), page(CLIENT, name=name)
    await host.open(node)
    await client.open(node)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    await host.signal(client, data)
    await client.got(data)
    redis_server.stop()
    try:
        await host.command("lock", locked=True)
    finally:
        redis_server.cont()
    metrics = generate_latest(node.registry).decode()
    logged = getattr(caplog, "text", "")
    for secret in (name, data, host.id, client.token, client.secret, client.consultation.room):
        assert secret not in metrics
        assert secret not in logged
    assert "konsil_connections 2.0" in metrics
