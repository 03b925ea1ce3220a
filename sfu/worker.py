"""Entry of a node's process that `sfu.supervisor` starts; `sfu.pipe` says how they talk."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from typing import Final

from sfu import faults
from sfu.clock import SystemClock
from sfu.control import Event
from sfu.listening import BoundSockets
from sfu.node import SfuNode
from sfu.pipe import (
    LINE_LIMIT,
    REPORT_SECONDS,
    Ask,
    Begin,
    FromNode,
    Happened,
    Ready,
    Report,
    Told,
    line_of,
    to_node,
)

_PRIORITY: Final = -5
_MAX_UNSAID: Final = 4 << 20  # bytes that nobody reads; beyond it events and reports are lost


class _Voice:
    """Standard output, written without ever waiting: media must not stop for a reader."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def say(self, message: FromNode) -> None:
        if self._transport.get_write_buffer_size() < _MAX_UNSAID or isinstance(message, Told):
            self._transport.write(line_of(message))

    def event(self, event: Event) -> None:
        self.say(Happened(event))


async def run() -> None:
    """Serve until standard input ends, which it does at the latest when the supervisor does."""
    loop = asyncio.get_running_loop()
    faults.configure()
    loop.set_exception_handler(faults.loop_failed)
    # A terminal's Ctrl-C and a service manager's SIGTERM reach every process of the group; the
    # supervisor decides what they mean, and calls go on while it drains.
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, lambda: None)
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    voice = _Voice(transport)
    first = await reader.readline()
    if not first:
        return  # a spare that was never needed
    begin = to_node(first)
    assert isinstance(begin, Begin)
    sockets = BoundSockets(
        begin.port,
        tuple(socket.socket(fileno=number) for number in begin.udp),
        tuple(socket.socket(fileno=number) for number in begin.tcp),
    )
    node = SfuNode(begin.config, SystemClock(), os.urandom, voice.event, sockets=sockets)
    await node.start()
    _make_haste()
    voice.say(Ready())
    reporting = asyncio.create_task(_report(node, voice))
    try:
        while line := await reader.readline():
            match to_node(line):
                case Ask(number, request):
                    voice.say(Told(number, node.handle(request)))
                case Begin():
                    raise AssertionError("a node begins once")
    finally:
        reporting.cancel()
        await node.stop()


def _make_haste() -> None:
    """Everybody's sound waits while this process does: ask for the processor before others, where
    that is allowed, and keep what was made at the start out of every garbage collection."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    gc.collect()
    gc.freeze()


async def _report(node: SfuNode, voice: _Voice) -> None:
    while True:
        voice.say(Report(node.stats()))
        await asyncio.sleep(REPORT_SECONDS)


def main() -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())


if __name__ == "__main__":
    main()
