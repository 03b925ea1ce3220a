"""What the store asks of Redis: few commands, few keys, one hash slot at a time."""

import secrets
from collections.abc import Callable

import pytest
from redis.exceptions import NoPermissionError, RedisError

from tests.integration.conftest import RedisServer, StartNode, StoreNode, until
from tests.ports import free_port
from waiting_room.connection import connect
from waiting_room.errors import ConfigError
from waiting_room.events import (
    Admit,
    End,
    EnterCall,
    Join,
    Leave,
)
from waiting_room.inventory import inventory
from waiting_room.keyspace import ACL_COMMANDS, Keyspace
from waiting_room.participant import Role
from waiting_room.session import Session
from waiting_room.store import Changed, Posted, SessionStore

NOW = 1_800_000_000_000
ROOM = "r" * 22
HOST, ANNA, BERT = (letter * 22 for letter in "hab")
FOR_AUDIT = ("scan", "type")


async def live_a_whole_life(one: StoreNode, other: StoreNode) -> None:
    await one.store.check()
    session: Session | None = None
    for event in (
        Join(HOST, Role.HOST, "", "page-1", "n1"),
        Join(ANNA, Role.CLIENT, "Anna", "page-1", "n2"),
        Join(BERT, Role.CLIENT, "Bert", "page-1", "n1"),
        Admit(HOST, ANNA),
        EnterCall(ANNA),
    ):
        changed = await one.store.change(
            ROOM, event, NOW, session, lambda: Session.new(ROOM, "provider-id1", NOW, NOW)
        )
        assert isinstance(changed, Changed)
        session = changed.session
    assert session is not None
    await until(lambda: other.kinds(ROOM).count("room") == 4)
    assert await one.store.post(ROOM, ANNA, [b"x"]) is Posted.STORED
    assert await one.store.post(ROOM, BERT, [b"x"]) is Posted.STORED
    await until(lambda: "mail" in other.kinds(ROOM))
    assert await other.store.take(ROOM, ANNA) == [b"x"]
    left = await one.store.change(ROOM, Leave(BERT), NOW, session)
    assert isinstance(left, Changed)
    assert await other.store.load(ROOM) == left.session
    assert await one.store.renew([left.session], NOW) == [left.session]
    assert await one.store.absent_nodes(["n1", "n2", "n3"]) == {"n3"}
    await one.store.publish("n2", "handover", ROOM, b"")
    await until(lambda: "handover" in other.kinds(ROOM))
    ended = await one.store.end(ROOM, End(HOST), NOW, left.session)
    assert isinstance(ended, Changed)
    await until(lambda: "ended" in other.kinds(ROOM))
    assert await one.store.ping()


def permit(server: RedisServer, *commands: str) -> str:
    """The URL of a user who may do nothing but this, under the prefix `konsil`."""
    password = secrets.token_hex(8)
    with server.admin() as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "konsil", "reset", "on", f">{password}"),
            *("~konsil:*", "resetchannels", "&konsil:*", "-@all"),
            *(f"+{command}" for command in commands),
        )
    return f"unix://konsil:{password}@{server.socket}?db=1"


async def test_a_user_limited_to_our_prefix_and_commands(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    url = permit(redis_server, *ACL_COMMANDS)
    one, other = await start_node("n1", url=url), await start_node("n2", url=url)
    await live_a_whole_life(one, other)
    assert await inventory(one.store.shared) == []
    for command in (("GET", "else"), ("PUBLISH", "else", "x"), ("KEYS", "*"), ("FLUSHALL",)):
        with pytest.raises(NoPermissionError):
            await one.redis.execute_command(*command)
    for script in ("return redis.call('GET', 'else')", "return redis.call('FLUSHALL')"):
        with pytest.raises(RedisError, match="user executing the script can't"):
            await one.redis.eval(script, 0)


async def test_normal_operation_walks_through_no_keys(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    url = permit(redis_server, *(name for name in ACL_COMMANDS if name not in FOR_AUDIT))
    await live_a_whole_life(await start_node("n1", url=url), await start_node("n2", url=url))


async def test_every_command_asked_for_is_used(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    url = permit(redis_server, *ACL_COMMANDS)
    with redis_server.admin() as admin:
        admin.config_resetstat()
        one = await start_node("n1", url=url)
        await live_a_whole_life(one, await start_node("n2", url=url))
        await one.redis.set("konsil:stray", "x", px=60_000)
        assert len(await inventory(one.store.shared)) == 1
        used = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    assert set(ACL_COMMANDS) <= {name.partition("|")[0] for name in used}


async def test_a_user_without_a_permission_is_told_which_setting(
    redis_server: RedisServer,
) -> None:
    client = connect(permit(redis_server, "ping", "select"))
    with pytest.raises(ConfigError, match=r"permission.*KONSIL_REDIS_URL"):
        await SessionStore(client, Keyspace(), "n1").check()
    await client.aclose()


@pytest.mark.parametrize("missing", sorted({*ACL_COMMANDS} - {*FOR_AUDIT}))
async def test_a_permission_that_is_missing_is_told_at_the_start(
    redis_server: RedisServer, missing: str
) -> None:
    # Also where others of the same Redis have made it know the scripts.
    permitted = connect(permit(redis_server, *ACL_COMMANDS))
    await SessionStore(permitted, Keyspace(), "n1").check()
    client = connect(permit(redis_server, *(name for name in ACL_COMMANDS if name != missing)))
    with pytest.raises(ConfigError, match=r"permission.*KONSIL_REDIS_URL"):
        await SessionStore(client, Keyspace(), "n2").check()
    await client.aclose()
    await permitted.aclose()


async def test_channels_that_are_missing_are_told_at_the_start(redis_server: RedisServer) -> None:
    url = permit(redis_server, *ACL_COMMANDS)
    with redis_server.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "konsil", "resetchannels")
    client = connect(url)
    with pytest.raises(ConfigError, match=r"permission.*KONSIL_REDIS_URL"):
        await SessionStore(client, Keyspace(), "n1").check()
    await client.aclose()


async def test_the_check_leaves_nothing(redis_server: RedisServer, start_node: StartNode) -> None:
    node = await start_node("n1")
    await node.store.check()
    with redis_server.admin() as admin:
        assert admin.keys() == []
        await until(lambda: admin.pubsub_channels("konsil:node:n1*") == [b"konsil:node:n1"])


async def test_redis_cluster_finds_nothing_to_complain_about(
    start_redis: Callable[..., RedisServer], start_node: StartNode
) -> None:
    """A cluster of one: it refuses every script whose keys are not of one slot."""
    port, bus_port = str(free_port()), str(free_port())
    server = start_redis(
        *("--port", port, "--bind", "127.0.0.1"),
        *("--cluster-enabled", "yes", "--cluster-port", bus_port),
    )
    with server.admin() as admin:
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await until(lambda: admin.cluster("INFO")["cluster_state"] == "ok")
        with pytest.raises(RedisError):
            admin.eval("return redis.call('GET', KEYS[1])", 2, "konsil:{a}", "konsil:{b}")
    one = await start_node("n1", url=server.url)
    await live_a_whole_life(one, await start_node("n2", url=server.url))


async def test_what_is_not_ours_is_neither_seen_nor_touched(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node("n1", prefix="practice-a")
    other = await start_node("n2", prefix="practice-a")
    with redis_server.admin() as admin:
        admin.mset({"somebody": "1", f"konsil:{{{ROOM}}}:session": "theirs"})
        admin.set("practice-a:stray", "x")
        await live_a_whole_life(one, other)
        strays = await inventory(one.store.shared)
        assert [(stray.key, stray.kind, stray.ttl_ms) for stray in strays] == [
            ("practice-a:stray", "unknown", -1)
        ]
        assert admin.dbsize() == 3
        assert admin.get(f"konsil:{{{ROOM}}}:session") == b"theirs"
