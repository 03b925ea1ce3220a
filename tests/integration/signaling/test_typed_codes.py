"""Codes read over the telephone: made by a host, typed once, and not to be guessed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from signaling.guesses import FREE
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.page import Page
from tests.integration.signaling.raw import Answer, Raw
from tests.integration.signaling.test_http_api import ask
from waiting_room.scripts import FORGET
from waiting_room.tokens import TokenType
from waiting_room.typed_codes import Leads, TypedCodes

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def make(node: Node, host: Page) -> Answer:
    return await ask(node, "/api/v1/codes", host.token, method="POST", body={})


async def redeem(node: Node, code: Any, raw: Raw | None = None, **headers: str) -> Answer:
    async def over(connection: Raw) -> Answer:
        return await connection.request(
            "/api/v1/codes/redeem",
            method="POST",
            body=json.dumps({"code": code}).encode(),
            Content_Type="application/json",
            **headers,
        )

    if raw is not None:
        return await over(raw)
    async with await Raw.connect(node) as connection:
        return await over(connection)


async def test_a_code_leads_into_the_waiting_room_once(
    start: StartNode, page: NewPage, redis_server: Any
) -> None:
    node, other = await start("a"), await start("b")
    host = page(HOST)
    assert (await make(node, host)).json["code"] == "room_ended", "the room is not open yet"
    await host.open(node)
    made = await make(node, host)
    assert made.status == 201
    code = made.json["code"]
    assert len(code) == 9
    assert made.json["used"] is False
    with redis_server.admin() as redis:
        for key in redis.keys("*code*"):
            assert 0 < redis.pttl(key) <= 3_600_000

    # Typed at another node than the host's.
    typed = await redeem(other, code)
    assert typed.status == 200
    client = page(CLIENT, name="Dora", token=typed.json["token"])
    welcome = await client.open(other)
    assert welcome["role"] == "client"
    await host.view(lambda view: [p["name"] for p in view["participants"]] == ["Dora"])

    again = await redeem(node, code)
    assert (again.status, again.json["code"]) == (409, "already_used")
    assert (await ask(node, "/api/v1/codes", host.token)).json["used"] is True
    # Another person, another code.
    second = (await make(node, host)).json["code"]
    assert second != code
    assert (await redeem(node, second)).status == 200


async def test_of_two_who_type_it_at_once_one_gets_in(node: Node, page: NewPage) -> None:
    host = page(HOST)
    await host.open(node)
    code = (await make(node, host)).json["code"]
    answers = await asyncio.gather(*(redeem(node, code) for _ in range(3)))
    assert sorted(a.status for a in answers) == [200, 409, 409]


async def test_a_new_code_and_the_end_of_the_room_void_a_code(
    node: Node, page: NewPage, redis_server: Any
) -> None:
    host = page(HOST)
    await host.open(node)
    first = (await make(node, host)).json["code"]
    second = (await make(node, host)).json["code"]
    assert (await redeem(node, first)).json["code"] == "code_unknown"
    await host.do("end")
    assert (await redeem(node, second)).json["code"] == "code_unknown"
    with redis_server.admin() as redis:
        assert redis.keys("*") == [], "nothing is left of the room, its code included"


async def test_only_a_host_makes_codes(node: Node, page: NewPage) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    for method, body in (("POST", {}), ("GET", None)):
        answer = await ask(node, "/api/v1/codes", client.token, method=method, body=body)
        assert (answer.status, answer.json["code"]) == (403, "token_wrong_role")


async def test_what_is_no_code_is_a_bad_request(node: Node) -> None:
    for code in (
        "12345678",
        "1234567890",
        "12345678x",
        "123 456 789",
        "١٢٣٤٥٦٧٨٩",
        123456789,
        None,
    ):
        answer = await redeem(node, code)
        assert (answer.status, answer.json["field"]) == (400, "code"), code


async def test_a_locked_room_stays_locked(node: Node, page: NewPage) -> None:
    host = page(HOST)
    await host.open(node)
    code = (await make(node, host)).json["code"]
    await host.do("lock", locked=True)
    typed = await redeem(node, code)
    client = page(CLIENT, token=typed.json["token"])
    answer, _ = await client.refused(node)
    assert answer["code"] == "room_locked"


async def test_ten_thousand_guesses_find_nothing_and_slow_nobody(
    start: StartNode, deployment: Deployment, page: NewPage
) -> None:
    node = await start(trusted_proxies=(ip_network("127.0.0.1"),))
    host, client = page(HOST), page(CLIENT, name="Ada")
    await host.open(node)
    await client.open(node)
    code = (await make(node, host)).json["code"]
    looked_at = {"one": 0, "many": 0}
    under_way = False

    async def guess(count: int, who: str, first: int) -> None:
        async with await Raw.connect(node) as raw:
            for number in range(count):
                wrong = f"{(int(code) + 1 + first + number) % 10**9:09}"
                address = "198.51.100.1" if who == "one" else f"10.{first % 250}.{number % 250}.9"
                answer = await redeem(node, wrong, raw, X_Forwarded_For=address)
                assert answer.json["code"] in ("code_unknown", "slow_down"), answer.json
                if answer.json["code"] == "slow_down":
                    assert answer.json["retry_after"] > 0
                    assert int(answer.headers["retry-after"]) >= 1
                else:
                    looked_at[who] += 1

    async def others() -> None:
        for _ in range(100):
            assert (await ask(node, "/api/v1/link", client.token)).status == 200
        nonlocal under_way
        under_way = not all(task.done() for task in guessing)

    tasks = [guess(1250, "one", start * 1250) for start in range(6)]
    tasks += [guess(1250, "many", 100 + start) for start in range(2)]
    guessing = [asyncio.ensure_future(task) for task in tasks]
    await asyncio.gather(*guessing, others())
    assert looked_at["one"] <= FREE + 4, "of 7,500 from one address"
    assert looked_at["many"] <= 250 * 2 * FREE
    assert under_way, "others had to wait until the guessing was over"
    # Somebody who has the code is let in at once, from an address that has not guessed.
    typed = await redeem(node, code, X_Forwarded_For="203.0.113.5")
    assert typed.status == 200


async def test_an_end_that_fails_half_way_leaves_no_code(
    node: Node, page: NewPage, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = page(HOST)
    await host.open(node)
    await make(node, host)
    client = node.store.shared.redis
    execute, failed = client.execute_command, 0

    async def failing(*command: Any, **options: Any) -> Any:
        nonlocal failed
        if FORGET.sha in command:
            failed += 1
            if failed <= 2:  # what is repeated once, and fails again
                raise ConnectionError("gone")
        return await execute(*command, **options)

    monkeypatch.setattr(client, "execute_command", failing)
    assert (await host.command("end"))["code"] == "store_unavailable"

    async def ended() -> bool:
        return bool((await host.command("end"))["type"] == "ok")

    await until(ended)
    with redis_server.admin() as redis:
        assert redis.keys("*") == []


async def test_a_code_made_while_the_room_ends_is_none(
    node: Node, page: NewPage, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = page(HOST)
    await host.open(node)
    real = TypedCodes.make

    async def late(self: TypedCodes, *args: Any) -> Any:
        await host.do("end")
        return await real(self, *args)

    monkeypatch.setattr(TypedCodes, "make", late)
    assert (await make(node, host)).json["code"] == "room_ended"
    with redis_server.admin() as redis:
        assert redis.keys("*") == []


class Commands:
    """What a node asks Redis about codes, one after another: each may be cut off, or be held up."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self._execute = node.store.shared.redis.execute_command
        self._at = -1
        self._what: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None
        self.seen = 0
        monkeypatch.setattr(node.store.shared.redis, "execute_command", self._count)

    def at(
        self, number: int, what: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
    ) -> None:
        """From now on `what` is done in place of command `number`, given what would do it."""
        self.seen, self._at, self._what = 0, number, what

    def undo(self) -> None:
        self._what = None

    async def _count(self, *command: Any, **options: Any) -> Any:
        async def execute() -> Any:
            return await self._execute(*command, **options)

        if self._what is None or not any("code" in str(part) for part in command):
            return await execute()
        self.seen += 1
        return await (self._what(execute) if self.seen > self._at else execute())


async def lost_before(_: Callable[[], Awaitable[Any]]) -> Any:
    raise ConnectionError("gone")


async def lost_after(execute: Callable[[], Awaitable[Any]]) -> Any:
    await execute()
    raise ConnectionError("gone")


@pytest.mark.parametrize("lost", [lost_before, lost_after])
@pytest.mark.parametrize("codes", [0, 1])
async def test_wherever_the_making_breaks_off_the_end_of_the_room_finds_all_of_it(
    node: Node,
    deployment: Deployment,
    *,
    page: NewPage,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    lost: Any,
    codes: int,
) -> None:
    commands = Commands(node, monkeypatch)
    for number in range(20):
        host = page(HOST, consultation=deployment.consultation())
        await host.open(node)
        for _ in range(codes):
            assert (await make(node, host)).status == 201
        commands.at(number, lost)
        answer = await make(node, host)
        commands.undo()
        await host.do("end")
        assert (await ask(node, "/api/v1/receipts/deletion", host.token)).status == 200
        with redis_server.admin() as redis:
            assert redis.keys("*") == [], f"after command {number}"
        if answer.status == 201:
            break
        assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    assert number > 3, "it was cut off at several places"
    assert answer.status == 201, "and at the end not at all"


async def test_a_room_may_end_at_any_moment_of_the_making(
    node: Node,
    deployment: Deployment,
    page: NewPage,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands = Commands(node, monkeypatch)
    ended = []
    for number in range(20):
        host = page(HOST, consultation=deployment.consultation())
        await host.open(node)

        async def ends(execute: Callable[[], Awaitable[Any]], host: Page = host) -> Any:
            commands.undo()
            await host.do("end")
            return await execute()

        commands.at(number, ends)
        answer = await make(node, host)
        with redis_server.admin() as redis:
            if commands.seen <= number:
                break
            assert redis.keys("*") == [], f"before command {number}"
        ended.append(answer.json["code"])
    assert len(ended) > 2
    assert set(ended) <= {"room_ended", "store_unavailable"}


async def test_codes_made_at_once_leave_one_and_the_end_leaves_none(
    start: StartNode, page: NewPage, redis_server: RedisServer
) -> None:
    nodes = [await start("a"), await start("b")]
    host = page(HOST)
    await host.open(nodes[0])
    for _ in range(5):
        answers = await asyncio.gather(*(make(node, host) for node in nodes for _ in range(3)))
        assert {answer.status for answer in answers} <= {201, 503}
        present = (await ask(nodes[1], "/api/v1/codes", host.token)).json["code"]
        with redis_server.admin() as redis:
            typed = {key for key in redis.keys("*:typed") if redis.get(key)}
            assert typed <= {f"konsil:{{code-{present}}}:typed".encode()}
    await host.do("end")
    with redis_server.admin() as redis:
        assert redis.keys("*") == []


async def test_a_code_that_another_room_has_stays_with_it(
    node: Node, deployment: Deployment, page: NewPage, redis_server: RedisServer
) -> None:
    hosts = [page(HOST, consultation=deployment.consultation()) for _ in range(2)]
    leads = []
    for host in hosts:
        await host.open(node)
        claims = host.consultation.claims(HOST)
        leads.append(Leads(claims.room, claims.sub, claims.epoch, claims.closes_at))
    drawn = [bytes(4), bytes(4), b"\0\0\0\1"]
    codes = TypedCodes(node.store.shared, lambda _: drawn.pop(0))
    now = deployment.clock.wall()
    first, second = [(await codes.make(one, now)).digits for one in leads]
    assert (first, second) == ("000000000", "000000001")
    # Even if it had broken off when the digits were those of both.
    with redis_server.admin() as redis:
        redis.set(node.store.shared.keyspace.code_key(leads[1].room), first)
    assert await codes.of(leads[1].room, now) is None
    await hosts[1].do("end")
    assert (await ask(node, "/api/v1/codes", hosts[0].token)).json["code"] == first
    assert (await redeem(node, first)).status == 200


async def test_past_the_planned_end_a_code_opens_nothing_and_is_not_used_up(
    node: Node, deployment: Deployment, page: NewPage
) -> None:
    host = page(HOST, consultation=deployment.consultation(minutes=20))
    await host.open(node)
    code = (await make(node, host)).json["code"]
    deployment.clock.jump = 3600
    for _ in range(2):
        answer = await redeem(node, code)
        assert (answer.status, answer.json["code"]) == (401, "token_closed")
    deployment.clock.jump = 0
    assert (await redeem(node, code)).status == 200
