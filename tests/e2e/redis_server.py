"""A Redis of the test's own, on a Unix socket, that the test may stop, kill, dump and look into."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import redis.asyncio

from tests.e2e.patience import until


class RedisServer:
    """`redis-server` without persistence; `dump` writes its memory to a file when a test asks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Short: the path of a Unix socket has 107 bytes at most.
        self.socket = directory / "r.sock"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is not installed"
        self.socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            program,
            *("--port", "0", "--unixsocket", str(self.socket)),
            *("--save", "", "--appendonly", "no"),
            *("--dir", str(self.directory), "--dbfilename", "look.rdb"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(self._answers, "redis-server answers")

    async def _answers(self) -> bool:
        try:
            async with self.client() as client:
                return bool(await client.ping())
        except (redis.asyncio.RedisError, OSError):
            return False

    def client(self) -> redis.asyncio.Redis:
        return redis.asyncio.Redis(unix_socket_path=str(self.socket))

    async def size(self) -> int:
        async with self.client() as client:
            return int(await client.dbsize())

    async def ttls(self) -> dict[str, int]:
        """Milliseconds of life left, by key; -1 for a key that would live for ever."""
        async with self.client() as client:
            keys = [key async for key in client.scan_iter(count=1000)]
            return {key.decode(): int(await client.pttl(key)) for key in keys}

    async def memory(self) -> bytes:
        """All of the data set, as an RDB file made for this look (strings are not compressed)."""
        async with self.client() as client:
            await client.config_set("rdbcompression", "no")
            await client.save()
        path = self.directory / "look.rdb"
        content = path.read_bytes()
        path.unlink()
        return content

    async def kill(self) -> None:
        """SIGKILL: all it held is gone."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
