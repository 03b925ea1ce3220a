"""Real Redis servers, each a test's own, which it may stop, kill and restart; and store nodes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from konsil import redis_program
from waiting_room.connection import connect
from waiting_room.keyspace import Keyspace
from waiting_room.store import SessionStore


class RedisServer:
    """`redis-server` without persistence, on a Unix socket of its own."""

    def __init__(self, *options: str) -> None:
        self._options = options
        # Not below pytest's directory: the path of a Unix socket has 107 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="konsil-redis-"))
        self.socket = self.directory / "redis.sock"
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def admin(self) -> redis.Redis:
        """A client of the test's own, with every permission; to be used in a `with`."""
        return redis.Redis(unix_socket_path=str(self.socket))

    def stop(self) -> None:
        """SIGSTOP: it keeps its memory and its connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def cont(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: all it held is gone."""
        self._process.kill()
        self._process.wait()

    def restart_empty(self) -> None:
        self.kill()
        self._process = self._start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.directory)

    def _start(self) -> subprocess.Popen[bytes]:
        program = redis_program.find().path
        self.socket.unlink(missing_ok=True)
        process = subprocess.Popen(
            [
                program,
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "600"),
                *("--save", "", "--appendonly", "no", "--dir", str(self.directory)),
                *self._options,
            ],
            stdout=subprocess.PIPE,
        )
        self._await_ready(process)
        return process

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        log = []
        with process.stdout as output:
            for line in output:
                log.append(line)
                if b"ready to accept connections at" in line.lower():
                    return
        process.wait()
        raise AssertionError(b"".join(log).decode())


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """Starts servers with options of their own: `start_redis("--maxmemory", "4mb")`."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        servers.append(RedisServer(*options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def redis_server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], within: float = 10.0
) -> None:
    """Returns as soon as `condition` holds; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.005)


@dataclass
class StoreNode:
    """One node of a deployment: a store with its own connections, and what its bus has heard."""

    store: SessionStore
    redis: Redis
    heard: list[tuple[str, str, bytes]] = field(default_factory=list)

    def kinds(self, room: str | None = None) -> list[str]:
        return [kind for kind, where, _ in self.heard if room is None or where == room]


StartNode = Callable[..., Awaitable[StoreNode]]


@pytest.fixture
async def start_node(redis_server: RedisServer) -> AsyncIterator[StartNode]:
    """`await start_node("n1")`: a node whose bus listens; `bus=False` for one without."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            name: str, *, bus: bool = True, url: str | None = None, prefix: str = "konsil"
        ) -> StoreNode:
            client = connect(url or redis_server.url)
            stack.push_async_callback(client.aclose)
            node = StoreNode(SessionStore(client, Keyspace(prefix), name), client)
            if bus:
                task = asyncio.create_task(
                    node.store.run_bus(lambda *heard: node.heard.append(heard))
                )
                stack.push_async_callback(_cancel, task)

                async def listens() -> bool:
                    return not await node.store.absent_nodes([name])

                await until(listens)
            return node

        yield start


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
