"""A forwarder without the rest of Konsil, inside a network namespace.

Run as a program it reads requests from standard input and writes results to standard output, as
`sfu.pipe` has them, but binds its own sockets. `LoneSfu` is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from sfu.clock import SystemClock
from sfu.config import NodeConfig
from sfu.control import Request, Result
from sfu.metrics import Stats
from sfu.node import SfuNode
from sfu.pipe import LINE_LIMIT, Ask, FromNode, Ready, Report, Told, from_node, line_of, to_node
from tests.e2e.late import LateProxy

PORT = 10000
ROOT = Path(__file__).resolve().parents[2]


class LoneSfu:
    """Starts the program in a namespace, asks it, and ends it.

    `hosts` are listened on and advertised. With `late`, a host more is advertised, and what comes
    there comes late by that many seconds, each way.
    """

    def __init__(
        self, namespace: str, hosts: tuple[str, ...], late: tuple[str, float] | None = None
    ) -> None:
        self._namespace = namespace
        self._arguments = [",".join(hosts), *(map(str, late) if late is not None else ())]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *("nice", "-n", "-10", "ip", "netns", "exec", self._namespace),
            *(sys.executable, "-m", __name__),
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert isinstance(await self._hear(), Ready)

    async def handle(self, request: Request) -> Result:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line_of(Ask(0, request)))
        while not isinstance(told := await self._hear(), Told):
            self.stats = told.stats if isinstance(told, Report) else Stats()
        return told.result

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _hear(self) -> FromNode:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            return from_node(await self._process.stdout.readline())


async def run(hosts: tuple[str, ...], late: tuple[str, float] | None) -> None:
    shown = (*hosts, late[0]) if late is not None else hosts
    node = SfuNode(NodeConfig(hosts, PORT, shown), SystemClock(), os.urandom, lambda event: None)
    await node.start()
    if late is not None:
        await LateProxy((late[0], PORT), (hosts[0], PORT), late[1]).start()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    sys.stdout.buffer.write(line_of(Ready()))
    sys.stdout.buffer.flush()
    while line := await reader.readline():
        asked = to_node(line)
        assert isinstance(asked, Ask)
        sys.stdout.buffer.write(line_of(Told(asked.number, node.handle(asked.request))))
        sys.stdout.buffer.flush()
    await node.stop()


if __name__ == "__main__":
    late = (sys.argv[2], float(sys.argv[3])) if len(sys.argv) > 2 else None
    asyncio.run(run(tuple(sys.argv[1].split(",")), late))
