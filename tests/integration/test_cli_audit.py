"""`konsil privacy-audit` on a running server: it proves what holds, and tells what does not."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.integration.conftest import RedisServer
from tests.integration.served import Served, konsil

ROOM = "A" * 22
SESSION = f"konsil:{{{ROOM}}}:session"
MAIL = f"konsil:{{{ROOM}}}:mail:{ROOM}"
CANARY = "canary-31337"


def held_by(state_dir: Path) -> redis.Redis:
    """A client of the private Redis, with the rights that the server has."""
    found = json.loads((state_dir / "run" / "redis.json").read_text())
    return redis.Redis(
        unix_socket_path=found["socket"],
        username=found["user"],
        password=found["password"],
        protocol=2,
    )


async def audit(**settings: object) -> tuple[int, str]:
    code, out, err = await konsil("privacy-audit", **settings)
    assert err == ""
    assert CANARY not in out
    return code, out


async def test_what_expires_is_counted_and_passes(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path):
        code, out = await audit(STATE_DIR=tmp_path)
        assert (code, "keys:  0" in out) == (0, True)
        with held_by(tmp_path) as client:
            client.set(SESSION, CANARY, px=3_600_000)
            client.set(SESSION.replace("A", "B"), CANARY, px=90_000)
            client.xadd(MAIL, {"x": CANARY})
            client.pexpire(MAIL, 60_000)
        code, out = await audit(STATE_DIR=tmp_path)
        assert code == 0
        assert "P1 holds" in out
        lines = [line.split() for line in out.splitlines() if line.startswith("  ")]
        assert [line[:2] for line in lines] == [["mail", "1"], ["session", "2"]]
        assert ROOM not in out


@pytest.mark.parametrize(
    ("key", "milliseconds", "words"),
    [
        (SESSION, None, "1 without any TTL"),
        (SESSION, 3_700_000, "1 with a TTL above 3600 s"),
        (f"konsil:{CANARY}", 60_000, "1 of a name that Konsil does not make"),
        (MAIL, 60_000, "1 of another Redis type"),
    ],
)
async def test_what_breaks_the_promise_is_told(
    tmp_path: Path, key: str, milliseconds: int | None, words: str
) -> None:
    async with Served(STATE_DIR=tmp_path):
        with held_by(tmp_path) as client:
            client.set(key, CANARY, px=milliseconds)
        code, out = await audit(STATE_DIR=tmp_path)
        assert code == 1
        assert f"VIOLATION: {words}" in out


async def test_as_many_keys_as_a_large_house_holds_are_counted(
    start_redis: Callable[..., RedisServer],
) -> None:
    shared = start_redis()
    with shared.admin() as client, client.pipeline() as pipeline:
        for number in range(30_000):
            pipeline.set(f"konsil:{{{number:022}}}:session", CANARY, px=3_600_000)
        pipeline.execute()
    code, out = await audit(REDIS_URL=shared.url)
    assert (code, "keys:  30000" in out) == (0, True), out


async def test_a_shared_redis_that_writes_snapshots_is_told(
    start_redis: Callable[..., RedisServer],
) -> None:
    shared = start_redis()
    with shared.admin() as client:
        client.bgsave()
    code, out = await audit(REDIS_URL=shared.url)
    assert code == 1
    assert "VIOLATION: Redis has written a snapshot" in out


async def test_it_says_when_it_cannot_tell(tmp_path: Path) -> None:
    assert (await audit(STATE_DIR=tmp_path))[0] == 2
    async with Served(STATE_DIR=tmp_path) as server:
        server.redis().send_signal(signal.SIGSTOP)
        code, out = await audit(STATE_DIR=tmp_path)
        assert code == 2
        assert "cannot tell: Redis does not answer" in out
        server.redis().send_signal(signal.SIGCONT)
        await server.stop()
    assert (await audit(STATE_DIR=tmp_path))[0] == 2


async def test_a_shared_redis_that_writes_a_log_of_sessions_is_told(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    shared = start_redis()
    async with Served(STATE_DIR=tmp_path, REDIS_URL=shared.url):
        assert (await audit(REDIS_URL=shared.url))[0] == 0
        with shared.admin() as client:
            # Another application's keys are none of ours, and no reason to complain.
            client.set("another:application", CANARY)
            assert (await audit(REDIS_URL=shared.url))[0] == 0
            client.config_set("appendonly", "yes")
            code, out = await audit(REDIS_URL=shared.url)
            assert code == 1
            assert "appendonly" in out
