"""Between the nodes: mailboxes, doorbells, messages, and what happens when the ear is deaf."""

import asyncio

import pytest

from tests.integration.conftest import RedisServer, StartNode, until
from waiting_room import bus
from waiting_room.events import (
    Disconnect,
    End,
    Join,
    Leave,
    Lock,
)
from waiting_room.participant import Role
from waiting_room.session import Session
from waiting_room.store import MAILBOX_BYTES, MAILBOX_MAX, Changed, Posted, SessionStore

NOW = 1_800_000_000_000
ROOM = "r" * 22
HOST, ANNA = "h" * 22, "a" * 22


async def open_room(store: SessionStore, node: str = "n2") -> Session:
    """The host on n1, Anna on `node`."""
    session = None
    for event in (
        Join(HOST, Role.HOST, "", "page-1", "n1"),
        Join(ANNA, Role.CLIENT, "Anna", "page-1", node),
    ):
        changed = await store.change(
            ROOM, event, NOW, session, lambda: Session.new(ROOM, "provider-id1", NOW, NOW)
        )
        assert isinstance(changed, Changed)
        session = changed.session
    assert session is not None
    return session


async def test_mail_is_taken_once_and_in_order(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    await open_room(one.store)
    entries = [f"entry {i}".encode() for i in range(20)] + [b"", b"\x00\xff", b"x" * 60_000]
    for start in range(0, len(entries), 5):
        assert await one.store.post(ROOM, ANNA, entries[start : start + 5]) is Posted.STORED
    await until(lambda: ("mail", ROOM, ANNA.encode()) in other.heard)
    assert "mail" not in one.kinds()
    with redis_server.admin() as admin:
        assert 0 < admin.pttl(f"konsil:{{{ROOM}}}:mail:{ANNA}") <= 60_000
    assert await other.store.take(ROOM, ANNA) == entries
    assert await other.store.take(ROOM, ANNA) == []
    assert await one.store.post(ROOM, ANNA, []) is Posted.STORED
    assert await other.store.take(ROOM, ANNA) == []


async def test_two_who_take_at_once_share_nothing(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    await open_room(one.store)
    for round_ in range(20):
        await one.store.post(ROOM, ANNA, [b"%d" % round_])
        taken = await asyncio.gather(one.store.take(ROOM, ANNA), other.store.take(ROOM, ANNA))
        assert sorted(taken) == [[], [b"%d" % round_]]


async def test_a_full_mailbox_takes_nothing_more(start_node: StartNode) -> None:
    node = await start_node("n1", bus=False)
    await open_room(node.store)
    assert await node.store.post(ROOM, ANNA, [b"x"] * (MAILBOX_MAX + 1)) is Posted.FULL
    assert await node.store.post(ROOM, ANNA, [b"x"] * (MAILBOX_MAX - 1)) is Posted.STORED
    assert await node.store.post(ROOM, ANNA, [b"y", b"z"]) is Posted.FULL
    assert await node.store.post(ROOM, ANNA, [b"y"]) is Posted.STORED
    assert await node.store.take(ROOM, ANNA) == [b"x"] * (MAILBOX_MAX - 1) + [b"y"]
    half = b"x" * (MAILBOX_BYTES // 2)
    assert await node.store.post(ROOM, ANNA, [half]) is Posted.STORED
    assert await node.store.post(ROOM, ANNA, [half, b"y"]) is Posted.FULL
    assert await node.store.post(ROOM, ANNA, [half]) is Posted.STORED
    assert await node.store.post(ROOM, ANNA, [b"y"]) is Posted.FULL


async def test_the_bell_rings_where_the_recipient_is_now(start_node: StartNode) -> None:
    one, other, third = [await start_node(name) for name in ("n1", "n2", "n3")]
    session = await open_room(one.store)
    moved = Join(ANNA, Role.CLIENT, "Anna", "page-2", "n3")
    assert isinstance(await third.store.change(ROOM, moved, NOW, session), Changed)
    # The sender need not have heard of the move.
    await one.store.post(ROOM, ANNA, [b"x"])
    await until(lambda: "mail" in third.kinds())
    assert "mail" not in other.kinds()


async def test_mail_waits_for_one_who_is_away(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await open_room(one.store)
    gone = await other.store.change(ROOM, Disconnect(ANNA, "page-1", "n2"), NOW, session)
    assert isinstance(gone, Changed)
    assert await one.store.post(ROOM, ANNA, [b"x"]) is Posted.STORED
    assert "mail" not in other.kinds() + one.kinds()
    assert await one.store.take(ROOM, ANNA) == [b"x"]
    left = await one.store.change(ROOM, Leave(ANNA), NOW, gone.session)
    assert isinstance(left, Changed)
    assert await one.store.post(ROOM, ANNA, [b"x"]) is Posted.GONE
    assert await one.store.post(ROOM, "nobody" * 3 + "nobo", [b"x"]) is Posted.GONE
    assert await one.store.post("o" * 22, ANNA, [b"x"]) is Posted.GONE


async def test_messages_arrive_in_order(start_node: StartNode) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    for number in range(200):
        await one.store.publish("n2", "handover", ROOM, b"%d and more" % number)
    await until(lambda: len(other.heard) == 200)
    assert other.heard == [("handover", ROOM, b"%d and more" % n) for n in range(200)]
    assert one.heard == []
    await one.store.publish("n9", "handover", ROOM, b"to nobody")


async def test_a_handler_that_fails_costs_one_message(
    redis_server: RedisServer, start_node: StartNode, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = await start_node("n1"), await start_node("n2", bus=False)
    heard: list[bytes] = []

    def handler(kind: str, room: str, payload: bytes) -> None:
        if payload == b"canary":
            raise ZeroDivisionError
        heard.append(payload)

    task = asyncio.create_task(other.store.run_bus(handler))

    async def listens() -> bool:
        return not await one.store.absent_nodes(["n2"])

    await until(listens)
    for payload in (b"canary", b"fine"):
        await one.store.publish("n2", "handover", ROOM, payload)
    with redis_server.admin() as admin:
        admin.publish("konsil:node:n2", b"\xff no message of ours")
        admin.publish("konsil:node:n2", b"nonsense")
    await one.store.publish("n2", "handover", ROOM, b"still here")
    await until(lambda: heard == [b"fine", b"still here"])
    assert "ZeroDivisionError" in caplog.text
    assert "canary" not in caplog.messages[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nodes_that_nobody_listens_for(start_node: StartNode) -> None:
    one, _ = await start_node("n1"), await start_node("n2")
    assert await one.store.absent_nodes(["n1", "n2", "n3"]) == {"n3"}
    assert await one.store.absent_nodes([]) == frozenset()


async def test_a_node_that_was_deaf_is_told(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    with redis_server.admin() as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: "reset" in one.kinds() and "reset" in other.kinds())
    await one.store.publish("n2", "handover", ROOM, b"again")
    await until(lambda: other.heard[-1] == ("handover", ROOM, b"again"))


async def test_a_quiet_bus_is_asked_whether_it_still_hears(
    redis_server: RedisServer, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "_SILENCE", 0.05)
    one = await start_node("n1")
    session = await open_room(one.store)
    with redis_server.admin() as admin:

        def pings() -> int:
            return int(admin.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"])

        await until(lambda: pings() > 5)
    assert one.heard == []
    redis_server.stop()
    try:
        await until(lambda: not one.store._bus._listening.is_set())
    finally:
        redis_server.cont()
    await until(lambda: one.kinds() == ["reset"])
    assert await one.store.renew([session], NOW) == [session]


async def test_what_ended_while_a_node_was_deaf_does_not_come_back(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    session = await open_room(one.store)
    with redis_server.admin() as admin, admin.pipeline() as pipeline:
        # In one step, as if n1 had ended it in the very moment in which nobody was listening.
        pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        pipeline.delete(f"konsil:{{{ROOM}}}:session")
        pipeline.execute()
    await until(lambda: "reset" in other.kinds())
    assert await other.store.renew([session], NOW) == [None]
    assert other.store.has_ended(ROOM)
    with redis_server.admin() as admin:
        assert admin.dbsize() == 0


async def test_ended_elsewhere_in_this_moment_is_ended(start_node: StartNode) -> None:
    """The answer "no such session" may come before the message that says why."""
    one, other = await start_node("n1"), await start_node("n2")
    for round_ in range(40):
        room = f"{round_:022}"
        create = Session.new(room, "provider-id1", NOW, NOW)
        made = await one.store.change(
            room, Join(HOST, Role.HOST, "", "page-1", "n1"), NOW, None, lambda made=create: made
        )
        assert isinstance(made, Changed)
        ended, locked = await asyncio.gather(
            one.store.end(room, End(HOST), NOW, made.session),
            other.store.change(room, Lock(HOST), NOW, made.session),
        )
        assert isinstance(ended, Changed)
        assert await one.store.load(room) is None, locked
