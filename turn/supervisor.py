"""Several relay processes on the same ports.

Each gets its own listening sockets, bound here, so that a process that ends and is started anew
takes up the same sockets and every other client's flow stays where it was. Settings, secrets and
commands go through the child's standard input, one JSON document a line; its numbers come back
through its standard output the same way. Nothing secret is in an argument or the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from turn.config import ConfigError, RelayConfig
from turn.metrics import Stats
from turn.node import Place
from turn.tls import Chain

REPORT_SECONDS = 1.0  # between two reports of a child's numbers
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_BACKOFF = (0.2, 10.0)  # seconds before the first and, at most, every further restart
_LINE_LIMIT = 1 << 20


class _Worker:
    """One child process and what is known of it."""

    def __init__(self, config: RelayConfig, place: Place) -> None:
        self.config = config
        self.place = place
        self.process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.stats = Stats()
        self.before = Stats()

    async def run(self, state: dict[str, object]) -> None:
        """Start the child and read its numbers until it ends."""
        descriptors = [bound.sock.fileno() for bound in self.place.listeners]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # or the directory that it is started from came before all else
            "-m",
            "turn.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
            limit=_LINE_LIMIT,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )
        assert self.process.stdout is not None
        try:
            self.send({"config": self._document(), **state})
            while line := await self.process.stdout.readline():
                message = json.loads(line)
                self.stats = Stats(**message["stats"])
                self.up.set()
        finally:
            self.up.clear()
            self.before.add(self.stats.without_gauges())
            self.stats = Stats()

    def _document(self) -> dict[str, object]:
        place = self.place
        return {
            **asdict(self.config),
            "listen": [asdict(listener) for listener in self.config.listen],
            "place": {
                "listeners": [
                    {
                        "transport": bound.transport,
                        "host": bound.address.host,
                        "port": bound.address.port,
                        "fd": bound.sock.fileno(),
                    }
                    for bound in place.listeners
                ],
                "hosts": {int(family): host for family, host in place.hosts.items()},
                "ports": [place.ports.start, place.ports.stop],
                "check_ports": [place.check_ports.start, place.check_ports.stop],
                "nonce_key": place.nonce_key.hex(),
            },
        }

    def send(self, message: dict[str, object]) -> None:
        if self.process is None or self.process.stdin is None or self.process.stdin.is_closing():
            return
        line = json.dumps(message, default=lambda value: value.value)
        self.process.stdin.write(line.encode() + b"\n")

    async def stop(self) -> None:
        """The child ends by itself when its input ends; it is killed if it does not."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class Supervisor:
    """Keeps one process running for each place."""

    def __init__(self, config: RelayConfig, places: list[Place]) -> None:
        self._config = config
        self._workers = [_Worker(config, place) for place in places]
        self._tasks: list[asyncio.Task[None]] = []
        self._restarts = 0
        # What a process that is started later must be told again.
        self._state: dict[str, object] = {}

    @property
    def ready(self) -> bool:
        return all(worker.up.is_set() for worker in self._workers)

    async def start(self) -> None:
        """Returns when every process serves; raises ConfigError when one cannot."""
        self.reload_certificate()
        self._tasks = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        try:
            async with asyncio.timeout(_START_SECONDS):
                for worker in self._workers:
                    await worker.up.wait()
        except TimeoutError:
            raise ConfigError("a relay process did not start; its errors are in the log") from None

    def drain(self) -> None:
        self._tell({"drain": True})

    def rotate_secrets(self, secrets: tuple[str, ...]) -> None:
        self._tell({"secrets": list(secrets)})

    def reload_certificate(self) -> None:
        """Raises ConfigError; what is not usable goes to no process, now or later."""
        chain = Chain.read(self._config)
        if chain is not None:
            chain.context()
            self._tell({"chain": asdict(chain)})

    def stats(self) -> Stats:
        total = Stats(restarts=self._restarts)
        for worker in self._workers:
            total.add(worker.before)
            total.add(worker.stats)
        return total

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    def _tell(self, message: dict[str, object]) -> None:
        self._state.update(message)
        for worker in self._workers:
            worker.send(message)

    async def _keep(self, worker: _Worker) -> None:
        """Run the worker's process, again and again, with growing pauses while it fails early."""
        loop = asyncio.get_running_loop()
        pause = _BACKOFF[0]
        while True:
            started = loop.time()
            # Too many processes or descriptors, or an input that broke: it may pass.
            with contextlib.suppress(OSError):
                await worker.run(self._state)
            await worker.stop()
            self._restarts += 1
            pause = _BACKOFF[0] if loop.time() - started > _BACKOFF[1] else pause * 2
            await asyncio.sleep(min(pause, _BACKOFF[1]))


def _python_path() -> str:
    """So that the child finds this package where the parent found it."""
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
