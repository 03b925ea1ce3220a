"""The forwarder alone in a process, for `bench.sfu`: `python -m bench.sfu.serve ADDRESS`.

Requests come as JSON lines on standard input, results go to standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec
import uvloop

from sfu.clock import SystemClock
from sfu.config import NodeBounds, NodeConfig
from sfu.control import Request
from sfu.interfaces import Bounds
from sfu.node import SfuNode

_PLENTY = 1_000_000_000  # bits per second: what is measured is forwarding, not holding back


async def serve(address: str) -> None:
    room = Bounds(
        max_bitrate_up=_PLENTY,
        max_bitrate_down=_PLENTY,
        start_bitrate=_PLENTY,
    )
    config = NodeConfig(listen=(address,), port=0, tcp=False, bounds=NodeBounds(room=room))
    node = SfuNode(config, SystemClock(), os.urandom, lambda event: None)
    await node.start()
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    print("ready", flush=True)
    while line := await reader.readline():
        result = node.handle(msgspec.json.decode(line, type=Request))
        print(msgspec.json.encode(result).decode(), flush=True)
    await node.stop()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
