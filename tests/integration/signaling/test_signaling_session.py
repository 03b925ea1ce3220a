"""Join, wait, be admitted, talk, leave: over real sockets and a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from signaling.upkeep import WARN_BEFORE_MS
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.page import Page
from waiting_room.tokens import TokenType

HOST, CLIENT, GUEST = TokenType.HOST, TokenType.CLIENT, TokenType.GUEST


async def admitted(node: Node, page: NewPage) -> tuple[Page, Page]:
    """A host and an admitted client on `node`."""
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    return host, client


async def test_a_client_waits_is_admitted_and_exchanges_signals(node: Node, page: NewPage) -> None:
    host, client = page(HOST, name="Dr. O"), page(CLIENT, name="Ada")
    welcome = await host.open(node)
    assert (welcome["participant"], welcome["role"]) == (host.id, "host")
    assert (welcome["provider"], welcome["resumed"]) == ("Dr. Okonkwo", False)
    assert welcome["closes_at"] == host.consultation.invitation.closes_at * 1000

    welcome = await client.open(node)
    assert welcome["room"]["you"] == "waiting"
    assert welcome["room"]["place"] == 1
    assert welcome["room"]["participants"] == []

    view = await host.view(lambda v: len(v["participants"]) == 1)
    assert view["participants"][0]["name"] == "Ada"
    assert view["participants"][0]["status"] == "waiting"

    await host.do("admit", participant=client.id)
    await client.status("admitted")
    number = await client.signal(host, "offer")
    await host.got("offer")
    delivered = await client.next(lambda m: m["type"] == "delivered")
    assert (delivered["to"], delivered["id"]) == (host.id, number)
    await host.signal(client, "answer")
    await client.got("answer")
    await client.do("connected")
    await host.view(lambda v: v["participants"][0]["status"] == "in_call")


async def test_ending_deletes_everything_at_once(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host, client = await admitted(node, page)
    await host.do("end")
    for one in (host, client):
        assert await one.closed() == 4410
        assert one.messages[-1] == {"type": "bye", "reason": "ended"}
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0
    await until(lambda: len(node.server.hub.rooms) == 0)

    answer, code = await client.refused(node)
    assert (answer["code"], code) == ("room_ended", 4410)
    answer, code = await host.refused(node)
    assert (answer["code"], code) == ("room_ended", 4410)
    assert (await host.open(node, reopen=True))["role"] == "host"
    assert (await client.reloaded().open(node))["room"]["you"] == "waiting"


@pytest.mark.parametrize(
    ("command", "reason", "code"), [("decline", "declined", 4403), ("remove", "removed", 4403)]
)
async def test_one_who_is_sent_away_does_not_come_back(
    node: Node, page: NewPage, command: str, reason: str, code: int
) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do(command, participant=client.id)
    assert await client.closed() == code
    assert client.messages[-1] == {"type": "bye", "reason": reason}
    for again in (client, client.reloaded()):
        answer, code = await again.refused(node)
        assert (answer["code"], code) == ("not_allowed", 4403)
        await again.drop()


async def test_back_to_waiting_is_the_end_of_the_line(node: Node, page: NewPage) -> None:
    host, first = await admitted(node, page)
    second = page(CLIENT, name="Ben")
    assert (await second.open(node))["room"]["place"] == 1
    await host.do("back_to_waiting", participant=first.id)
    view = await first.view(lambda v: v["you"] == "waiting")
    assert (view["place"], view["participants"]) == (2, [])
    refused = await first.command("signal", to=host.id, data="still here?")
    assert refused["code"] == "not_allowed"


async def test_a_locked_room_takes_nobody_new(node: Node, page: NewPage) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do("lock", locked=True)
    answer, code = await page(CLIENT).refused(node)
    assert (answer["code"], code) == ("room_locked", 4423)
    await client.drop()
    assert (await client.open(node))["room"]["you"] == "waiting"  # who was there stays
    await host.do("lock", locked=False)
    await page(GUEST, name="Zoë").open(node)


async def test_one_who_left_may_wait_again(node: Node, page: NewPage) -> None:
    host, client = await admitted(node, page)
    await client.do("leave")
    assert await client.closed() == 1000
    assert client.messages[-1] == {"type": "bye", "reason": "left"}
    await host.view(lambda v: v["participants"][0]["status"] == "left")
    assert (await client.open(node))["room"]["you"] == "waiting"


async def test_after_the_last_has_left_nothing_stays_for_more_than_a_minute(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host, client = await admitted(node, page)
    await client.do("leave")
    await host.do("leave")
    await until(lambda: len(node.server.hub.rooms) == 0)
    with redis_server.admin() as redis:
        assert redis.keys()
        assert all(0 < redis.pttl(key) <= 60_000 for key in redis.scan_iter())


async def test_every_key_has_a_lifetime(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    _, client = await admitted(node, page)
    await client.drop()
    with redis_server.admin() as redis:
        await until(lambda: redis.dbsize() == 2)  # the session, and the mailbox of the one away
        assert all(0 < redis.pttl(key) <= 3_600_000 for key in redis.scan_iter())


async def test_the_host_sees_who_is_connected(node: Node, page: NewPage) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await client.drop()
    await host.view(lambda v: v["participants"] and not v["participants"][0]["connected"])
    assert (await client.open(node))["resumed"]
    await host.view(lambda v: v["participants"][0]["connected"])


async def test_two_hosts_admit_at_once(node: Node, page: NewPage) -> None:
    one, other, client = page(HOST), page(HOST), page(CLIENT)
    for each in (one, other, client):
        await each.open(node)
    await asyncio.gather(
        one.do("admit", participant=client.id), other.do("admit", participant=client.id)
    )
    await client.status("admitted")


async def test_admit_and_decline_at_once_agree(node: Node, page: NewPage) -> None:
    one, other, client = page(HOST), page(HOST), page(CLIENT)
    for each in (one, other, client):
        await each.open(node)
    answers = await asyncio.gather(
        one.command("admit", participant=client.id),
        other.command("decline", participant=client.id),
    )
    assert sorted(answer["type"] for answer in answers) == ["error", "ok"]
    decided = "admitted" if answers[0]["type"] == "ok" else "declined"

    def seen_by(host: Page) -> str:
        people = (host.newest_view() or {}).get("participants", [])
        return next((p["status"] for p in people if p["id"] == client.id), "")

    await until(lambda: seen_by(one) == seen_by(other) == decided)


async def test_end_during_admit(node: Node, page: NewPage, redis_server: RedisServer) -> None:
    one, other, client = page(HOST), page(HOST), page(CLIENT)
    for each in (one, other, client):
        await each.open(node)
    admit = asyncio.create_task(one.command("admit", participant=client.id))
    await other.do("end")
    for each in (one, other, client):
        assert await each.closed() == 4410
    admit.cancel()
    await asyncio.wait({admit})
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0


async def test_a_second_tab_takes_over(node: Node, page: NewPage) -> None:
    host, client = await admitted(node, page)
    other_tab = page(CLIENT, secret=client.secret)
    welcome = await other_tab.open(node)
    assert welcome["room"]["you"] == "admitted"
    assert not welcome["resumed"]
    assert await client.closed() == 4409
    assert client.messages[-1] == {"type": "bye", "reason": "taken_over"}
    await host.signal(other_tab, "for the new one")
    await other_tab.got("for the new one")


async def test_the_same_page_on_a_new_socket_replaces_the_old_one(
    node: Node, page: NewPage
) -> None:
    host, client = await admitted(node, page)
    same = page(CLIENT, secret=client.secret)
    same.instance, same.last_seq = client.instance, client.last_seq
    assert (await same.open(node))["resumed"]
    assert await client.closed() == 4409
    await host.signal(same, "once")
    await same.got("once")


async def test_only_those_of_the_same_room_and_admitted_are_reached(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host, client = await admitted(node, page)
    waiting = page(CLIENT, name="Ben")
    await waiting.open(node)
    elsewhere = page(HOST, consultation=deployment.consultation())
    await elsewhere.open(node)

    async def refusal(sender: Page, to: str) -> str:
        answer = await sender.command("signal", to=to, data="x")
        return str(answer["code"])

    assert await refusal(waiting, host.id) == "not_allowed"
    assert await refusal(client, waiting.id) == "not_allowed"
    assert await refusal(client, client.id) == "not_allowed"
    assert await refusal(client, elsewhere.id) == "unknown_participant"
    assert await refusal(elsewhere, client.id) == "unknown_participant"
    await client.do("leave")
    assert await refusal(host, client.id) == "not_allowed"
    assert waiting.signals() == client.signals() == host.signals() == elsewhere.signals() == []


async def test_a_client_is_no_host(node: Node, page: NewPage) -> None:
    host, client = await admitted(node, page)
    other = page(CLIENT, name="Ben")
    await other.open(node)
    commands = [
        ("admit", {"participant": other.id}),
        ("decline", {"participant": other.id}),
        ("remove", {"participant": host.id}),
        ("back_to_waiting", {"participant": client.id}),
        ("lock", {"locked": True}),
        ("end", {}),
    ]
    for kind, fields in commands:
        answer = await client.command(kind, **fields)
        assert answer["code"] == "not_allowed", kind
        answer = await other.command(kind, **fields)
        assert answer["code"] == "not_allowed", kind
    assert (await host.view())["locked"] is False


async def test_an_unknown_participant_is_named(node: Node, page: NewPage) -> None:
    host = page(HOST)
    await host.open(node)
    answer = await host.command("admit", participant="A" * 22)
    assert answer["code"] == "unknown_participant"


async def test_fifty_are_enough(start: StartNode, page: NewPage) -> None:
    node = await start()
    clients = [page(CLIENT, name=f"Client {number}") for number in range(50)]
    for client in clients:
        await client.open(node)
    answer, code = await page(CLIENT).refused(node)
    assert (answer["code"], code) == ("room_full", 4429)
    assert (await page(HOST).open(node))["role"] == "host"
    await clients[0].drop()
    assert (await clients[0].open(node))["room"]["place"] == 1


async def test_a_client_needs_a_name_and_may_try_again(node: Node, page: NewPage) -> None:
    client = page(CLIENT, name="")
    await client.connect(node)
    await client.send(
        {
            "type": "hello",
            "token": client.token,
            "secret": client.secret,
            "instance": client.instance,
        }
    )
    answer = await client.next(lambda m: m["type"] == "error")
    assert (answer["code"], answer["field"]) == ("bad_name", "name")
    await client.hello(name="Ada")
    await client.next(lambda m: m["type"] == "welcome")


async def test_everybody_is_warned_five_minutes_ahead(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host, client = await admitted(node, page)
    closes_at = host.consultation.invitation.closes_at
    deployment.clock.jump = closes_at - WARN_BEFORE_MS / 1000 - deployment.clock.wall() - 5
    deployment.clock.advance(5)
    node.tick()
    deployment.clock.advance(5)
    node.tick()
    for one in (host, client):
        warning = await one.next(lambda m: m["type"] == "closing")
        assert warning["closes_at"] == closes_at * 1000
    deployment.clock.advance(60)
    node.tick()
    assert sum(m["type"] == "closing" for m in host.messages) == 1


async def test_a_call_under_way_runs_on_past_the_end_for_an_hour(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host, client = await admitted(node, page)
    waiting = page(CLIENT, name="Ben")
    await waiting.open(node)
    closes_at = host.consultation.invitation.closes_at
    deployment.clock.jump = closes_at + 1 - deployment.clock.wall()
    await host.signal(client, "still talking")
    await client.got("still talking")
    reloaded = client.reloaded()
    assert (await reloaded.open(node))["room"]["you"] == "admitted"
    await reloaded.drop()
    for nobody in (waiting.reloaded(), page(CLIENT, token=client.token)):
        answer, code = await nobody.refused(node)
        assert (answer["code"], code) == ("token_closed", 4401)
        await nobody.drop()
    deployment.clock.jump += 3600
    late = client.reloaded()
    answer, code = await late.refused(node)
    assert (answer["code"], code) == ("token_closed", 4401)
    await late.drop()


async def test_wall_time_that_jumps_hurts_no_timer(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host, client = await admitted(node, page)
    for jump in (3600, -3600):
        deployment.clock.jump = jump
        node.tick()
        await host.signal(client, "x")
        assert (await host.command("lock", locked=jump > 0))["type"] == "ok"
    await client.got("x", "x")
