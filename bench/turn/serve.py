"""The relay alone in a process, for `bench.turn`: `python -m bench.turn.serve PORT SECRET`."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace

import uvloop

from turn.config import Limits, Listener, RelayConfig
from turn.five_tuple import Transport
from turn.relay import Relay


async def serve(port: int, secret: str) -> None:
    config = RelayConfig(
        secrets=(secret,),
        realm="bench",
        listen=(Listener(Transport.UDP, "127.0.0.1", port),),
        relay_ipv4="127.0.0.1",
        relay_ipv6="",
        allow_loopback_peers=True,
        # One user on one address stands for all; coturn is given no quotas either.
        limits=replace(
            Limits(),
            allocations_per_user=10_000,
            allocations_per_address=10_000,
            allocations=10_000,
            requests_per_address=1e6,
            request_burst=1e6,
            unproven_excess=1 << 30,
            bandwidth=1_000_000_000,
        ),
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with Relay(config):
        await ended.wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
