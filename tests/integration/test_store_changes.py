"""Sessions in a real Redis: what is stored, for how long, and who wins when many are at it."""

import asyncio
import json

import pytest
from redis.asyncio import Redis

from tests.integration.conftest import RedisServer, StartNode, StoreNode, until
from waiting_room.codec import decode
from waiting_room.errors import StoreUnavailable
from waiting_room.events import (
    Admit,
    BackToWaiting,
    Change,
    Decline,
    Disconnect,
    End,
    EnterCall,
    Join,
    Leave,
    Lock,
)
from waiting_room.inventory import inventory
from waiting_room.participant import (
    Participant,
    Role,
    Status,
)
from waiting_room.session import (
    Refusal,
    Session,
    SessionStatus,
)
from waiting_room.store import Changed, Posted

NOW = 1_800_000_000_000
ROOM = "r" * 22
HOST, OTHER, ANNA, BERT = (letter * 22 for letter in "hoab")


def create() -> Session:
    return Session.new(ROOM, "provider-id1", NOW + 3_600_000, NOW)


def join(who: str, node: str, role: Role = Role.CLIENT, instance: str = "page-1") -> Join:
    return Join(who, role, "" if role is Role.HOST else who[0].title(), instance, node)


async def do(node: StoreNode, *events: Change, cached: Session | None = None) -> Session:
    for event in events:
        changed = await node.store.change(ROOM, event, NOW, cached, create)
        assert isinstance(changed, Changed), changed
        cached = changed.session
    assert cached is not None
    return cached


async def stored(node: StoreNode) -> Session:
    session = await node.store.load(ROOM)
    assert session is not None
    return session


def get(session: Session, who: str) -> Participant:
    found = session.find(who)
    assert found is not None
    return found


async def test_a_session_is_made_changed_and_loaded(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    assert await one.store.load(ROOM) is None
    changed = await one.store.change(ROOM, join(HOST, "n1", Role.HOST), NOW, None, create)
    assert isinstance(changed, Changed)
    assert changed.previous is None
    session = await do(one, join(ANNA, "n1"), Admit(HOST, ANNA), cached=changed.session)
    assert await other.store.load(ROOM) == session
    assert get(session, ANNA).status is Status.ADMITTED


async def test_no_session_and_nothing_to_make_one(start_node: StartNode) -> None:
    node = await start_node("n1", bus=False)
    refused = await node.store.change(ROOM, Admit(HOST, ANNA), NOW)
    assert refused == Refusal("room_ended")
    assert await node.store.end(ROOM, End(), NOW) == Refusal("room_ended")


async def test_a_change_costs_one_round_trip_and_so_does_the_first_join(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    node, _ = await start_node("n1"), await start_node("n2")
    session = await do(node, join(HOST, "n1", Role.HOST), join(ANNA, "n1"), join(BERT, "n2"))
    async with Redis(unix_socket_path=str(redis_server.socket)) as client, client.monitor() as log:

        async def seen() -> list[str]:
            """What was sent to Redis since the last look."""
            await client.echo("until here")
            commands = []
            async for command in log.listen():
                name = command["command"].split()[0]
                if name == "ECHO":
                    break
                if command["client_type"] != "lua":
                    commands.append(name)
            return commands

        async def sent(*events: Change, cached: Session | None) -> list[str]:
            nonlocal session
            await seen()
            session = await do(node, *events, cached=cached)
            return await seen()

        assert await sent(Admit(HOST, ANNA), cached=session) == ["EVALSHA"]
        assert await sent(EnterCall(ANNA), cached=session) == ["EVALSHA"]
        assert await sent(join(OTHER, "n1"), cached=session) == ["EVALSHA"]
        assert await sent(Leave(OTHER), cached=None) == ["GET", "EVALSHA"]
        assert await sent(EnterCall(ANNA), cached=session) == []  # already so
        with redis_server.admin() as admin:
            admin.flushall()
        assert await sent(join(HOST, "n1", Role.HOST), cached=None) == ["EVALSHA"]


async def test_every_key_runs_out_within_the_hour(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    node = await start_node("n1")

    def ttls() -> dict[str, int]:
        with redis_server.admin() as admin:
            return {key.decode(): admin.pttl(key) for key in admin.scan_iter()}

    session = await do(node, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    await node.store.post(ROOM, ANNA, [b"x"])
    assert set(ttls()) == {f"konsil:{{{ROOM}}}:session", f"konsil:{{{ROOM}}}:mail:{ANNA}"}
    assert all(0 < ttl <= 3_600_000 for ttl in ttls().values())
    held = {entry.key: entry for entry in await inventory(node.store.shared)}
    assert [(e.kind, e.type) for e in held.values()] == [("mail", "stream"), ("session", "string")]
    assert all(0 < entry.ttl_ms <= 3_600_000 for entry in held.values())

    session = await do(node, Disconnect(ANNA, "page-1", "n1"), cached=session)
    assert ttls()[f"konsil:{{{ROOM}}}:session"] > 3_500_000
    session = await do(node, Disconnect(HOST, "page-1", "n1"), cached=session)
    assert 110_000 < ttls()[f"konsil:{{{ROOM}}}:session"] <= 120_000
    session = await do(node, Leave(ANNA), Leave(HOST), cached=session)
    # Who has left needs no mailbox any more.
    assert set(ttls()) == {f"konsil:{{{ROOM}}}:session"}
    assert 50_000 < ttls()[f"konsil:{{{ROOM}}}:session"] <= 60_000


async def test_renewing_keeps_a_session_alive_and_up_to_date(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1", bus=False), await start_node("n2", bus=False)
    session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n2"))
    key = f"konsil:{{{ROOM}}}:session"
    with redis_server.admin() as admin:
        admin.pexpire(key, 5000)
        assert await one.store.renew([session], NOW) == [session]
        assert admin.pttl(key) > 3_500_000
        newer = await do(other, Admit(HOST, ANNA), cached=session)
        admin.pexpire(key, 5000)
        assert await one.store.renew([session], NOW) == [newer]
        assert admin.pttl(key) > 3_500_000
    assert await one.store.renew([], NOW) == []


async def test_only_who_holds_a_socket_prolongs_a_session_and_nobody_shortens_it(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1", bus=False), await start_node("n2", bus=False)
    alone = await do(one, join(HOST, "n1", Role.HOST))
    away = await do(one, Disconnect(HOST, alone.participants[0].instance, "n1"), cached=alone)
    key = f"konsil:{{{ROOM}}}:session"
    with redis_server.admin() as admin:
        admin.pexpire(key, 5000)
        assert await one.store.renew([away], NOW) == [away]
        assert admin.pttl(key) <= 5000
        back = await do(other, join(HOST, "n2", Role.HOST), cached=away)
        assert admin.pttl(key) > 3_500_000
        assert await one.store.renew([away], NOW) == [back]
        assert admin.pttl(key) > 3_500_000
        admin.pexpire(key, 5000)
        assert await one.store.renew([back], NOW) == [back]
        assert admin.pttl(key) <= 5000


async def test_ending_deletes_everything_at_once(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    with redis_server.admin() as admin:
        admin.mset({"somebody:else": "1", "konsilx:{a}:session": "2", f"{{{ROOM}}}": "3"})
        session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n2"), Admit(HOST, ANNA))
        assert await one.store.post(ROOM, ANNA, [b"one", b"two"]) is Posted.STORED
        assert await other.store.post(ROOM, HOST, [b"three"]) is Posted.STORED
        assert admin.dbsize() == 6
        ended = await one.store.end(ROOM, End(HOST), NOW, session)
        assert isinstance(ended, Changed)
        assert ended.session.status is SessionStatus.ENDED
        assert ended.previous == session
        assert sorted(admin.keys()) == sorted(
            [b"somebody:else", b"konsilx:{a}:session", f"{{{ROOM}}}".encode()]
        )
    await until(lambda: "ended" in other.kinds(ROOM))
    assert other.store.has_ended(ROOM)
    assert "ended" not in one.kinds()
    # Nothing can be put there afterwards.
    assert await other.store.post(ROOM, ANNA, [b"late"]) is Posted.GONE
    late = await other.store.change(ROOM, EnterCall(ANNA), NOW, session)
    assert late == Refusal("room_ended")
    assert await one.store.renew([session], NOW) == [None]
    assert await other.store.load(ROOM) is None


async def test_ending_with_an_old_view_still_finds_every_mailbox(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1", bus=False), await start_node("n2", bus=False)
    old = await do(one, join(HOST, "n1", Role.HOST))
    await do(other, join(ANNA, "n2"), join(BERT, "n2"))
    for who in (ANNA, BERT):
        await one.store.post(ROOM, who, [b"x"])
    assert isinstance(await one.store.end(ROOM, End(HOST), NOW, old), Changed)
    with redis_server.admin() as admin:
        assert admin.dbsize() == 0


async def test_only_a_host_ends(start_node: StartNode) -> None:
    node = await start_node("n1", bus=False)
    session = await do(node, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    refused = await node.store.end(ROOM, End(ANNA), NOW, session)
    assert isinstance(refused, Refusal)
    assert refused.code == "not_allowed"
    # A host this node has not heard of yet is a host all the same.
    session_before = session
    await do(await start_node("n2", bus=False), join(OTHER, "n2", Role.HOST))
    assert isinstance(await node.store.end(ROOM, End(OTHER), NOW, session_before), Changed)


async def test_a_room_that_has_ended_is_opened_again_by_will_only(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await do(one, join(HOST, "n1", Role.HOST))
    await one.store.end(ROOM, End(HOST), NOW, session)
    await until(lambda: other.store.has_ended(ROOM))
    for node in (one, other):
        refused = await node.store.change(ROOM, join(ANNA, "n2"), NOW, None, create)
        assert refused == Refusal("room_ended")
    back = await one.store.change(
        ROOM,
        join(HOST, "n1", Role.HOST),
        NOW + 5,
        None,
        lambda: Session.new(ROOM, "provider-id1", NOW, NOW + 5),
        reopen=True,
    )
    assert isinstance(back, Changed)
    assert not one.store.has_ended(ROOM)
    assert await do(other, join(ANNA, "n2"))
    # Who still holds what had ended before cannot bring it back.
    renewed = await other.store.renew([session], NOW + 6)
    assert renewed[0] is not None
    assert renewed[0].created_at == NOW + 5


async def test_admit_decline_and_end_at_once(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    for round_ in range(30):
        session = await do(
            one, join(HOST, "n1", Role.HOST), join(OTHER, "n2", Role.HOST), join(ANNA, "n1")
        )
        ending = round_ % 3 == 0
        outcomes = await asyncio.gather(
            one.store.change(ROOM, Admit(HOST, ANNA), NOW, session),
            other.store.change(ROOM, Decline(OTHER, ANNA), NOW, session),
            *([other.store.end(ROOM, End(OTHER), NOW, session)] if ending else []),
        )
        admitted, declined = (isinstance(outcome, Changed) for outcome in outcomes[:2])
        if ending:
            assert isinstance(outcomes[2], Changed)
            assert await one.store.load(ROOM) is None
            for outcome in outcomes[:2]:
                if isinstance(outcome, Refusal):
                    assert outcome.code in ("room_ended", "not_allowed")
            await until(lambda: one.store.has_ended(ROOM))
            one.store._ended.clear()
            other.store._ended.clear()
        else:
            assert admitted is not declined, outcomes
            status = get(await stored(one), ANNA).status
            assert status is (Status.ADMITTED if admitted else Status.DECLINED)
            await one.store.end(ROOM, End(), NOW)
            await until(lambda: other.store.has_ended(ROOM))
            one.store._ended.clear()
            other.store._ended.clear()


async def test_two_hosts_admit_at_once(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await do(
        one, join(HOST, "n1", Role.HOST), join(OTHER, "n2", Role.HOST), join(ANNA, "n1")
    )
    outcomes = await asyncio.gather(
        one.store.change(ROOM, Admit(HOST, ANNA), NOW, session),
        other.store.change(ROOM, Admit(OTHER, ANNA), NOW, session),
    )
    assert all(isinstance(outcome, Changed) for outcome in outcomes)
    now = await stored(one)
    assert get(now, ANNA).status is Status.ADMITTED
    assert now.version == session.version + 1


async def test_many_changes_from_two_nodes_lose_none(start_node: StartNode) -> None:
    nodes = [await start_node("n1"), await start_node("n2")]
    await do(nodes[0], join(HOST, "n1", Role.HOST))
    people = [f"{i:02}{'p' * 20}" for i in range(12)]
    versions: list[int] = []

    async def come(index: int, who: str) -> None:
        node = nodes[index % 2]
        session = await do(node, join(who, node.store.node))
        versions.append(session.version)

    await asyncio.gather(*(come(index, who) for index, who in enumerate(people)))
    session = await stored(nodes[0])
    assert {p.id for p in session.participants} == {HOST, *people}
    assert session.version == 13
    assert len(set(versions)) == 12  # every change is a version of its own


async def test_a_refusal_from_memory_is_looked_up_before_it_is_given(
    start_node: StartNode,
) -> None:
    one, other = await start_node("n1", bus=False), await start_node("n2", bus=False)
    old = await do(one, join(HOST, "n1", Role.HOST), Lock(HOST))
    assert isinstance(await one.store.change(ROOM, Admit(HOST, ANNA), NOW, old), Refusal)
    await do(other, join(OTHER, "n2", Role.HOST))
    changed = await one.store.change(ROOM, Lock(OTHER), NOW, old)
    assert isinstance(changed, Changed)


async def test_a_client_on_two_tabs(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await do(one, join(HOST, "n2", Role.HOST), join(ANNA, "n1"), join(BERT, "n2"))
    taken = await other.store.change(ROOM, join(ANNA, "n2", instance="page-2"), NOW, None)
    assert isinstance(taken, Changed)
    # The node of the first tab is told, and sees that it is no longer the one.
    await until(lambda: "room" in one.kinds(ROOM))
    told = decode(next(payload for kind, _, payload in one.heard if kind == "room"))
    assert (get(told, ANNA).node, get(told, ANNA).instance) == ("n2", "page-2")
    # Its socket closing afterwards does not disconnect the second tab.
    session = await do(one, Disconnect(ANNA, "page-1", "n1"), cached=session)
    assert get(session, ANNA).node == "n2"
    assert [p.id for p in session.participants] == [HOST, ANNA, BERT]


async def test_reloads_keep_status_and_place(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n1"), join(BERT, "n2"))
    session = await do(
        one, Disconnect(HOST, "page-1", "n1"), Disconnect(ANNA, "page-1", "n1"), cached=session
    )
    assert not session.host_present
    session = await do(
        other, join(HOST, "n2", Role.HOST, "page-2"), join(ANNA, "n2", Role.CLIENT, "page-2")
    )
    assert [(p.id, p.status) for p in session.participants] == [
        (HOST, Status.ADMITTED),
        (ANNA, Status.WAITING),
        (BERT, Status.WAITING),
    ]
    session = await do(other, Admit(HOST, ANNA), EnterCall(ANNA), cached=session)
    session = await do(one, join(ANNA, "n1", Role.CLIENT, "page-3"))
    assert get(session, ANNA).status is Status.IN_CALL
    session = await do(one, BackToWaiting(HOST, ANNA), cached=session)
    assert [p.id for p in session.participants] == [HOST, BERT, ANNA]


async def test_a_value_of_another_version_is_not_guessed_at(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    node = await start_node("n1", bus=False)
    await do(node, join(HOST, "n1", Role.HOST))
    key = f"konsil:{{{ROOM}}}:session"
    with redis_server.admin() as admin:
        value = admin.get(key)
        body = json.loads(value[16:])
        body["format"] = 2
        admin.set(key, value[:16] + json.dumps(body).encode(), px=60_000)
    with pytest.raises(StoreUnavailable, match="version"):
        await node.store.load(ROOM)
