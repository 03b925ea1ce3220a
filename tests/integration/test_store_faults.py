"""Redis stopped, killed, full, read-only, closed to us: a clear word soon, and back by itself."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from tests.integration.conftest import RedisServer, StartNode, StoreNode, until
from tests.ports import free_port
from waiting_room.connection import OPERATION_TIMEOUT, connect
from waiting_room.errors import ConfigError, StoreUnavailable
from waiting_room.events import (
    Admit,
    Change,
    Disconnect,
    End,
    EnterCall,
    Join,
    Lock,
    Sweep,
)
from waiting_room.keyspace import Keyspace
from waiting_room.participant import (
    Role,
    Status,
)
from waiting_room.session import (
    Refusal,
    Session,
)
from waiting_room.store import RENEWED_AT_ONCE, Changed, Posted, SessionStore

NOW = 1_800_000_000_000
ROOM = "r" * 22
HOST, ANNA, BERT = (letter * 22 for letter in "hab")

StartRedis = Callable[..., RedisServer]


def create() -> Session:
    return Session.new(ROOM, "provider-id1", NOW, NOW)


def join(who: str, node: str, role: Role = Role.CLIENT) -> Join:
    return Join(who, role, who[0], "page-1", node)


async def do(node: StoreNode, *events: Change, cached: Session | None = None) -> Session:
    for event in events:
        changed = await node.store.change(ROOM, event, NOW, cached, create)
        assert isinstance(changed, Changed), changed
        cached = changed.session
    assert cached is not None
    return cached


def statuses(session: Session | None) -> dict[str, Status]:
    assert session is not None
    return {p.id[0]: p.status for p in session.participants}


async def test_killed_and_back_empty_it_is_filled_from_both_nodes(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1"), await start_node("n2")
    common = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    # Each node knows something that the other had not heard of when Redis died.
    ours = await do(one, Admit(HOST, ANNA), cached=common)
    theirs = await do(other, join(BERT, "n2"))
    theirs_alone = await do(other, Sweep(), cached=theirs)
    redis_server.restart_empty()
    back = await asyncio.gather(
        one.store.change(ROOM, EnterCall(ANNA), NOW, ours),
        other.store.change(ROOM, Lock(HOST), NOW, theirs_alone),
    )
    assert all(isinstance(outcome, Changed) for outcome in back), back
    session = await one.store.load(ROOM)
    assert statuses(session) == {"h": "admitted", "a": "in_call", "b": "waiting"}
    assert session is not None
    assert session.locked
    assert session.version > theirs.version
    await until(lambda: "reset" in one.kinds() and "reset" in other.kinds())
    assert await one.store.renew([ours], NOW) == await other.store.renew([theirs], NOW)


async def test_killed_and_back_empty_is_put_back_by_renewing(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node("n1")
    session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n1"), Admit(HOST, ANNA))
    redis_server.restart_empty()
    await until(lambda: "reset" in one.kinds())
    (renewed,) = await one.store.renew([session], NOW)
    assert renewed is not None
    assert renewed.participants == session.participants
    assert await one.store.load(ROOM) == renewed
    # The scripts too were lost with it, one by one and in a pipeline.
    assert await one.store.post(ROOM, ANNA, [b"x"]) is Posted.STORED
    assert await one.store.take(ROOM, ANNA) == [b"x"]


async def test_emptied_without_a_restart_is_put_back(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, _ = await start_node("n1"), await start_node("n2")
    session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n2"))
    with redis_server.admin() as admin:
        admin.flushall()
    assert statuses(await do(one, Admit(HOST, ANNA), cached=session))["a"] is Status.ADMITTED


async def test_a_session_that_has_run_out_is_not_put_back(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node("n1")
    session = await do(one, join(HOST, "n1", Role.HOST), Disconnect(HOST, "page-1", "n1"))
    with redis_server.admin() as admin:
        admin.flushall()
    later = NOW + 120_000
    assert await one.store.renew([session], later) == [None]
    assert await one.store.change(ROOM, Lock(HOST), later, session) == Refusal("room_ended")
    # It has not been ended either: the link still opens a new one.
    new = await one.store.change(ROOM, join(HOST, "n1", Role.HOST), later, session, create)
    assert isinstance(new, Changed)
    assert new.previous is None


async def test_a_failover_that_lost_the_latest_loses_nothing_we_hold(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one, other = await start_node("n1", bus=False), await start_node("n2", bus=False)
    old = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    key = f"konsil:{{{ROOM}}}:session"
    with redis_server.admin() as admin:
        replicated = admin.get(key)
        latest = await do(one, Admit(HOST, ANNA), join(BERT, "n2"), cached=old)
        admin.set(key, replicated, px=60_000)
    # The other node goes on from what it finds, not knowing better.
    await do(other, Lock(HOST))
    (renewed,) = await one.store.renew([latest], NOW)
    assert statuses(renewed) == {"h": "admitted", "a": "admitted", "b": "waiting"}
    assert renewed is not None
    assert renewed.locked
    assert renewed.version > latest.version


async def tried(node: StoreNode, event: Change, cached: Session) -> object:
    try:
        return await node.store.change(ROOM, event, NOW, cached)
    except StoreUnavailable as error:
        return error


def waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation that waits for Redis is one that never comes back."""
    monkeypatch.setattr("waiting_room.connection.OPERATION_TIMEOUT", 3600.0)


async def test_stopped_is_said_soon_and_nothing_piles_up(
    redis_server: RedisServer, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await start_node("n1")
    session = await do(one, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    redis_server.stop()
    try:
        # All that are under way when it stops wait as long as one of them: not in a row.
        async with asyncio.timeout(25 * OPERATION_TIMEOUT):
            outcomes = await asyncio.gather(*(tried(one, Lock(HOST), session) for _ in range(50)))
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        # From then on one at a time tries, the others are told at once.
        waits_for_ever(monkeypatch)
        trying = asyncio.create_task(tried(one, Lock(HOST), session))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*(tried(one, Lock(HOST), session) for _ in range(50)))
        assert not trying.done()
        error = outcomes[0]
        assert isinstance(error, StoreUnavailable)
        assert error.retry_after > 0
        assert error.extra["retry_after"] == error.retry_after
        assert "KONSIL_REDIS_URL" in error.detail
        assert not await one.store.ping(0.05)
    finally:
        redis_server.cont()
    await trying

    async def works_again() -> bool:
        return await one.store.ping()

    await until(works_again)
    assert (await do(one, Admit(HOST, ANNA), cached=session)).version > session.version


async def test_killed_for_good_is_said_at_once(
    redis_server: RedisServer, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await start_node("n1")
    session = await do(one, join(HOST, "n1", Role.HOST))
    waits_for_ever(monkeypatch)
    redis_server.kill()
    async with asyncio.timeout(30):
        for _ in range(3):
            assert isinstance(await tried(one, Lock(HOST), session), StoreUnavailable)
    redis_server.restart_empty()
    assert (await do(one, Lock(HOST), cached=session)).locked


async def test_out_of_memory(start_redis: StartRedis, start_node: StartNode) -> None:
    server = start_redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    node = await start_node("n1", url=server.url)
    session = await do(node, join(HOST, "n1", Role.HOST), join(ANNA, "n1"))
    with server.admin() as admin:
        admin.config_set("maxmemory", "1kb")
    with pytest.raises(StoreUnavailable, match=r"out of memory.*KONSIL_REDIS_URL"):
        await do(node, Admit(HOST, ANNA), cached=session)
    with pytest.raises(StoreUnavailable, match="out of memory"):
        await node.store.post(ROOM, ANNA, [b"x"])
    with pytest.raises(ConfigError, match=r"out of memory.*KONSIL_REDIS_URL"):
        await node.store.check()
    # What is said by Redis itself holds nobody else up, and making room is always possible.
    assert await node.store.load(ROOM) == session
    assert isinstance(await node.store.end(ROOM, End(HOST), NOW, session), Changed)


async def test_a_read_only_replica(start_redis: StartRedis, start_node: StartNode) -> None:
    replica = start_redis("--replicaof", "127.0.0.1", "1", "--replica-read-only", "yes")
    node = await start_node("n1", url=replica.url, bus=False)
    with pytest.raises(StoreUnavailable, match=r"read-only replica.*KONSIL_REDIS_URL"):
        await do(node, join(HOST, "n1", Role.HOST))
    with pytest.raises(ConfigError, match="read-only replica"):
        await node.store.check()


async def test_a_wrong_password(start_redis: StartRedis) -> None:
    server = start_redis("--requirepass", "right")
    for url in (server.url, f"unix://:canary@{server.socket}", f"unix://u:canary@{server.socket}"):
        client = connect(url)
        store = SessionStore(client, Keyspace(), "n1")
        with pytest.raises(ConfigError, match=r"user or password.*KONSIL_REDIS_URL") as start:
            await store.check()
        with pytest.raises(StoreUnavailable, match="user or password") as running:
            await store.load(ROOM)
        assert "canary" not in f"{start.value!r}{running.value!r}"
        await client.aclose()
    client = connect(f"unix://:right@{server.socket}")
    await SessionStore(client, Keyspace(), "n1").check()
    await client.aclose()


async def test_nobody_there() -> None:
    client = connect("unix:///nonexistent/redis.sock")
    with pytest.raises(ConfigError, match=r"does not answer.*KONSIL_REDIS_URL"):
        await SessionStore(client, Keyspace(), "n1").check()
    await client.aclose()


@pytest.mark.parametrize("url", ["", "canary", "http://canary:6379", "redis://:canary@h:port/0"])
async def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="KONSIL_REDIS_URL") as caught:
        connect(url)
    assert "canary" not in str(caught.value)


async def test_tls_with_another_name(start_redis: StartRedis, tmp_path: Path) -> None:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "redis.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    port = free_port()
    start_redis(
        *("--tls-port", str(port), "--tls-cert-file", str(cert_file)),
        *("--tls-key-file", str(key_file), "--tls-auth-clients", "no", "--bind", "127.0.0.1"),
    )
    good = connect(f"rediss://localhost:{port}/0?ssl_ca_certs={cert_file}")
    await SessionStore(good, Keyspace(), "n1").check()
    await good.aclose()
    for url in (
        f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={cert_file}",  # a name that it does not have
        f"rediss://localhost:{port}/0",  # an authority that nobody trusts
    ):
        client = connect(url)
        with pytest.raises(ConfigError, match=r"certificate.*KONSIL_REDIS_URL"):
            await SessionStore(client, Keyspace(), "n1").check()
        await client.aclose()


async def test_an_end_that_redis_carries_out_after_we_gave_up_is_an_end_here_as_well(
    redis_server: RedisServer, start_node: StartNode
) -> None:
    one = await start_node("n1")
    assert isinstance(await one.store.end(ROOM, End(), NOW, create()), Changed)  # Redis learns how
    changed = await one.store.change(
        ROOM, join(HOST, "n1", Role.HOST), NOW, None, create, reopen=True
    )
    assert isinstance(changed, Changed)
    session = changed.session
    redis_server.stop()
    with pytest.raises(StoreUnavailable):
        await one.store.end(ROOM, End(HOST), NOW, session)
    redis_server.cont()
    await until(lambda: "ended" in one.kinds(ROOM))
    assert await one.store.change(ROOM, Lock(HOST), NOW, session) == Refusal("room_ended")


async def test_one_session_of_another_version_keeps_no_other_from_being_renewed(
    start_node: StartNode, redis_server: RedisServer
) -> None:
    one = await start_node("one")
    sessions = []
    for number in range(RENEWED_AT_ONCE + 5):
        room = f"{number:0>22}"
        made = Session.new(room, "provider-id1", NOW, NOW)
        changed = await one.store.change(
            room, join(HOST, "one", Role.HOST), NOW, None, lambda made=made: made
        )
        assert isinstance(changed, Changed)
        sessions.append(changed.session)
    key = one.store.shared.keyspace.session_key
    with redis_server.admin() as redis:
        for session in sessions:
            redis.pexpire(key(session.room), 100_000)
        odd = sessions[0]
        redis.set(key(odd.room), b"x" * 16 + b'{"format":99}', px=100_000)
        now = await one.store.renew(sessions, NOW)
        assert now[0] is odd
        for session in sessions[1:]:
            assert redis.pttl(key(session.room)) > 3_000_000
        assert redis.pttl(key(odd.room)) <= 100_000, "whoever stored it prolongs it"
