"""One room that cannot be read or changed costs no other room what is done by time."""

from __future__ import annotations

from signaling.upkeep import UNPLUG_AFTER_S
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Consultation, Deployment, Node
from tests.integration.signaling.page import Page
from waiting_room import codec
from waiting_room.keyspace import Keyspace
from waiting_room.session import AWAY_MAX_MS
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT
UNREADABLE = 10  # more than are done at once


def become_unreadable(redis_server: RedisServer, rooms: list[Consultation]) -> None:
    """Have them stored as another version of konsil would."""
    with redis_server.admin() as redis:
        for one in rooms:
            key = Keyspace().session_key(one.room)
            stored = redis.get(key)
            ours = b'"format":%d' % codec.FORMAT
            assert ours in stored
            body = stored[16:].replace(ours, b'"format":%d' % (codec.FORMAT + 1))
            redis.set(key, codec._revision(body) + body, px=3600_000)


async def hosts(
    node: Node, page: NewPage, deployment: Deployment, count: int
) -> list[tuple[Consultation, Page]]:
    """So many rooms with a host in each."""
    opened = []
    for _ in range(count):
        consultation = deployment.consultation()
        host = page(HOST, consultation=consultation)
        await host.open(node)
        opened.append((consultation, host))
    return opened


async def left_behind(node: Node, rooms: list[tuple[Consultation, Page]]) -> int:
    """Of how many rooms the others believe that somebody is still on a node."""
    count = 0
    for consultation, _ in rooms:
        session = await node.store.load(consultation.room)
        count += session is not None and bool(session.nodes)
    return count


async def test_a_stopping_node_hands_on_all_other_rooms(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    node = await start()
    bad = await hosts(node, page, deployment, UNREADABLE)
    good = await hosts(node, page, deployment, 20)
    become_unreadable(redis_server, [one for one, _ in bad])
    await node.server.drain(10)
    with redis_server.admin() as redis:
        handed_on = sum(redis.exists(Keyspace().mail_key(c.room, host.id)) for c, host in good)
    assert handed_on == len(good)
    assert await left_behind(node, good) == 0


async def test_who_lost_the_socket_in_another_room_is_known_to_be_away(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    node = await start()
    bad = await hosts(node, page, deployment, UNREADABLE)
    good = await hosts(node, page, deployment, 3)
    become_unreadable(redis_server, [one for one, _ in bad])
    for _, host in (*bad, *good):  # those that cannot be changed come first
        await host.drop()
    await until(lambda: len(node.server.hub.rooms.away) == len(bad) + len(good))
    deployment.clock.advance(UNPLUG_AFTER_S)

    async def known() -> bool:
        return await left_behind(node, good) == 0

    await until(known)
    assert node.server.hub.rooms.away.keys() >= {
        member
        for room in node.server.hub.rooms
        for member in room.members.values()
        if room.id in {one.room for one, _ in bad}
    }, "and these are tried again"


async def test_who_is_away_for_long_in_another_room_has_left(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    node = await start()
    bad = await hosts(node, page, deployment, UNREADABLE)
    good = await hosts(node, page, deployment, 2)
    for consultation, _ in (*bad, *good):
        client = page(CLIENT, consultation=consultation)
        await client.open(node)
        await client.drop()
    deployment.clock.advance(UNPLUG_AFTER_S)

    async def all_away() -> bool:
        sessions = [await node.store.load(c.room) for c, _ in (*bad, *good)]
        return all(s is not None and any(p.away_since for p in s.participants) for s in sessions)

    await until(all_away)
    become_unreadable(redis_server, [one for one, _ in bad])
    deployment.clock.advance(AWAY_MAX_MS / 1000 + 1)

    async def all_left() -> bool:
        sessions = [await node.store.load(c.room) for c, _ in good]
        return all(s is not None and sum(p.live for p in s.participants) == 1 for s in sessions)

    await until(all_left)


async def test_a_node_that_died_is_noticed_in_every_other_room(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: RedisServer
) -> None:
    here, gone = await start("a"), await start("b")
    bad = await hosts(here, page, deployment, UNREADABLE)
    good = await hosts(here, page, deployment, 2)
    for consultation, _ in (*bad, *good):
        await page(CLIENT, consultation=consultation).open(gone)
    await until(
        lambda: all(
            room.session is not None and "b" in room.session.nodes for room in here.server.hub.rooms
        )
    )
    become_unreadable(redis_server, [one for one, _ in bad])
    await gone.stop()

    async def noticed() -> bool:
        deployment.clock.advance(15)
        here.tick()
        sessions = [await here.store.load(c.room) for c, _ in good]
        return all(s is not None and s.nodes == {"a"} for s in sessions)

    await until(noticed)


async def test_a_fault_of_ours_in_one_room_ends_the_work_for_no_other(
    start: StartNode, page: NewPage, deployment: Deployment
) -> None:
    node = await start()
    rooms = await hosts(node, page, deployment, 12)
    first = next(iter(node.server.hub.rooms))
    for member in first.members.values():
        member.mailbox = None  # type: ignore[assignment]
    await node.server.drain(10)
    assert await left_behind(node, rooms[1:]) == 0
