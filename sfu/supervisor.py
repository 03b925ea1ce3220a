"""A node in a process of its own, started anew when it ends.

Its sockets are bound here, so that the next process takes up the same port. Settings and requests
go through the child's standard input, results, events and numbers come back through its standard
output (`sfu.pipe`). It ends by itself when its input does, at the latest when this process ends.

A spare stands by: a process that has loaded everything, and waits to be told to begin. Starting one
takes a second and more on a busy machine, and everybody's sound waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry

from sfu.config import ConfigError, NodeConfig
from sfu.control import Code, Drain, Event, Refused, Request, Restarted, Result
from sfu.listening import BoundSockets, bind_sockets
from sfu.metrics import NodeCollector, Stats
from sfu.pipe import LINE_LIMIT, Ask, Begin, Happened, Ready, Report, Told, from_node, line_of

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 2.0
# Seconds before a process that failed early is followed by the next, and the most it comes to.
_BACKOFF: Final = (0.1, 5.0)
_SPARE_AFTER: Final = 5.0  # seconds: who has just begun needs the processor more than a spare
_MAX_PENDING: Final = 512  # requests under way; one more is refused `sfu_unavailable`
_MAX_UNSENT: Final = 4 * 1024 * 1024  # bytes that the process has not read yet; beyond it the same
# Seconds without a report, of which there is one a second, after which a process is taken to hang;
# and some more, for it may be this one that did not run.
_SILENCE: Final = (10.0, 3.0)


class SfuProcess:
    """A forwarder of one process.

        async with SfuProcess(config, on_event, registry) as sfu:
            result = await sfu.handle(request)

    `on_event` is called from the event loop with what the node tells, and with `Restarted` when its
    process has ended with everything in it. Starting raises `sfu.config.ConfigError`.
    """

    def __init__(
        self,
        config: NodeConfig,
        on_event: Callable[[Event], None],
        registry: CollectorRegistry | None = None,
        *,
        spare_after: float = _SPARE_AFTER,
    ) -> None:
        """`spare_after`: seconds of service after which a spare is started, or another one."""
        self._spare_after = spare_after
        self._config = config
        self._on_event = on_event
        self._registry = registry
        self._collector = NodeCollector(self.stats)
        self._sockets: BoundSockets | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._spare: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._spare_due = 0.0
        self._up = asyncio.Event()
        self._pending: dict[int, asyncio.Future[Result]] = {}
        self._number = 0
        self._draining = False
        self._stats = Stats()
        self._before = Stats()

    async def __aenter__(self) -> SfuProcess:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port that is listened on, also where the kernel chose it."""
        assert self._sockets is not None, "the forwarder has not been started"
        return self._sockets.port

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def spare_pid(self) -> int | None:
        """The number of the process that stands by, once there is one."""
        spare = self._spare
        done = spare is not None and spare.done() and not spare.cancelled()
        if spare is None or not done or spare.exception() is not None:
            return None
        return spare.result().pid if spare.result().returncode is None else None

    @property
    def ready(self) -> bool:
        """Whether a new room would be taken now."""
        return self._up.is_set() and not self._draining

    @property
    def draining(self) -> bool:
        return self._draining

    def stats(self) -> Stats:
        """Numbers at most a second old; totals are of all processes there were."""
        found = Stats(restarts=self._before.restarts)
        for part in (self._before, self._stats):
            found.add_totals(part)
        found.rooms, found.participants = self._stats.rooms, self._stats.participants
        found.streams, found.draining = self._stats.streams, self._draining
        return found

    async def start(self) -> None:
        """Bind, start the process, and return when it serves."""
        self._config.validate()
        self._sockets = bind_sockets(self._config)
        self._keeping = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._up.wait()
        except TimeoutError:
            await self.stop()
            raise ConfigError("the forwarder did not start; its errors are in the log") from None
        except BaseException:
            await self.stop()
            raise
        if self._registry is not None:
            self._registry.register(self._collector)

    async def handle(self, request: Request) -> Result:
        """Have a request carried out. Without an answer in time it is `sfu_unavailable`; asking
        again does no harm then."""
        if isinstance(request, Drain):
            self._draining = True
        if not self._up.is_set() or len(self._pending) >= _MAX_PENDING or self._is_choked():
            return _unavailable()
        self._number += 1
        number = self._number
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            self._send(line_of(Ask(number, request)))
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            return _unavailable()
        finally:
            del self._pending[number]

    async def stop(self) -> None:
        """End the process and close the sockets; does nothing the second time."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
            await self._end()
            if self._spare is not None:
                with contextlib.suppress(OSError):
                    self._process = await self._spare
                self._spare = None
                await self._end()
            if self._registry is not None:
                with contextlib.suppress(KeyError):
                    self._registry.unregister(self._collector)
        if self._sockets is not None:
            self._sockets.close()

    async def _keep(self) -> None:
        """Run the process, again and again, with growing pauses while it fails early."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            started = loop.time()
            # Too many processes or descriptors, or a pipe that broke: it may pass.
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                await self._run()
            await self._end()
            self._lost()
            early = loop.time() - started < _BACKOFF[1]
            pause = min(max(2 * pause, _BACKOFF[0]), _BACKOFF[1]) if early else 0.0
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        """Have the spare begin, or else a new process, and read what it says until it ends."""
        assert self._sockets is not None
        spare, self._spare = self._spare, None
        self._process = await spare if spare is not None else None
        if self._process is None or self._process.returncode is not None:
            self._process = await self._start_child()
        udp, tcp = _numbers(self._sockets)
        self._send(line_of(Begin(self._config, self._sockets.port, udp, tcp)))
        assert self._process.stdout is not None
        while line := await self._next_line(self._process.stdout):
            self._hear(line)

    async def _next_line(self, said: asyncio.StreamReader) -> bytes:
        """What the process says next, b"" when it has ended; one that hangs is killed."""
        for seconds in _SILENCE if self._up.is_set() else (_START_SECONDS,):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    return await said.readline()
        _kill(self._process)
        return b""

    async def _start_child(self) -> asyncio.subprocess.Process:
        """A process that has not been told yet what it is for."""
        assert self._sockets is not None
        udp, tcp = _numbers(self._sockets)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # or the directory that it is started from came before all else
            "-m",
            "sfu.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(*udp, *tcp),
            limit=LINE_LIMIT,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )

    def _look_after_spare(self) -> None:
        """Have one started where there is none, or none any more."""
        now = asyncio.get_running_loop().time()
        if now < self._spare_due or (self._spare is not None and not self._spare.done()):
            return
        if self.spare_pid is None:
            self._spare_due = now + self._spare_after
            self._spare = asyncio.create_task(self._start_child())

    def _hear(self, line: bytes) -> None:
        match from_node(line):
            case Ready():
                if self._draining:
                    self._send(line_of(Ask(0, Drain())))
                self._spare_due = asyncio.get_running_loop().time() + self._spare_after
                self._up.set()
            case Told(number, result):
                answer = self._pending.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(result)
            case Happened(event):
                self._on_event(event)
            case Report(stats):
                self._stats = stats
                self._look_after_spare()

    def _lost(self) -> None:
        """The process has ended, and every room with it."""
        for answer in self._pending.values():
            if not answer.done():
                answer.set_result(_unavailable())
        self._before.add_totals(self._stats)
        self._before.restarts += 1
        self._stats = Stats()
        if self._up.is_set():
            self._up.clear()
            self._on_event(Restarted())

    def _is_choked(self) -> bool:
        pipe = None if self._process is None else self._process.stdin
        return pipe is not None and pipe.transport.get_write_buffer_size() > _MAX_UNSENT

    def _send(self, line: bytes) -> None:
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(line)

    async def _end(self) -> None:
        """The child ends by itself when its input ends; it is killed if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            _kill(process)
            await process.wait()


def _kill(process: asyncio.subprocess.Process | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _unavailable() -> Refused:
    return Refused(Code.SFU_UNAVAILABLE, "", "the forwarder does not answer", 1, full=True)


def _numbers(sockets: BoundSockets) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """File descriptors, of UDP and of TCP."""
    return tuple(s.fileno() for s in sockets.udp), tuple(s.fileno() for s in sockets.tcp)


def _python_path() -> str:
    """So that the child finds this package where the parent found it."""
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))
