"""The forwarder in a process of its own: begun anew when it ends, and ended with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sfu.config import ConfigError, NodeConfig
from sfu.control import Code, Done, Drain, Offer, Refused, Restarted, Source
from sfu.supervisor import SfuProcess
from tests.integration.sfu.conftest import LOOPBACK, Told
from tests.integration.sfu.peers import Peer, peers

BOTH = (Source.MICROPHONE, Source.CAMERA)


async def test_a_call_through_it(process: SfuProcess) -> None:
    async with peers(process.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await asyncio.gather(alice.sees("bob", *BOTH), bob.sees("alice", *BOTH))


async def test_it_is_killed_and_the_next_one_serves_on_the_same_port(
    process: SfuProcess, told: Told
) -> None:
    port, first = process.port, process.pid
    assert first is not None
    async with peers(process.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await bob.sees("alice", *BOTH)
        os.kill(first, signal.SIGKILL)
        await told.of(Restarted)
        refused = await process.handle(Offer("room", "carol", 1, "", []))
        assert isinstance(refused, Refused)
        assert refused.code is Code.SFU_UNAVAILABLE
        assert refused.retry_after > 0
    began = time.monotonic()
    while not process.ready:
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.02)
    assert process.port == port
    assert process.pid != first
    async with peers(process.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await bob.sees("alice", *BOTH)
    assert process.stats().restarts == 1


async def test_drained_it_takes_no_new_rooms_even_after_a_restart(
    process: SfuProcess, told: Told
) -> None:
    assert await process.handle(Drain()) == Done()
    assert not process.ready
    for _ in range(2):
        peer = Peer("alice", process.handle)
        peer.publish(Source.MICROPHONE)
        try:
            refused = await peer.negotiate()
        finally:
            await peer.close()
        assert isinstance(refused, Refused)
        assert refused.code is Code.SFU_UNAVAILABLE
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await told.of(Restarted)
        while (await process.handle(Drain())) != Done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Killed, the parent can say nothing any more; the child notices all the same."""
    program = """
import asyncio, sys
from sfu.config import NodeConfig
from sfu.supervisor import SfuProcess

async def main():
    async with SfuProcess(NodeConfig(listen=("127.0.0.1",), port=0), lambda event: None) as sfu:
        print(sfu.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    assert psutil.pid_exists(child)
    parent.kill()
    await parent.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child lives on"
        await asyncio.sleep(0.05)


async def test_numbers_carry_no_names(told: Told) -> None:
    registry = CollectorRegistry()
    async with (
        SfuProcess(LOOPBACK, told.add, registry) as sfu,
        peers(sfu.handle, "alice-canary", "bob-canary", room="room-canary") as both,
    ):
        for peer in both:
            await peer.join()
        await both[1].sees("alice-canary", *BOTH)
        await asyncio.sleep(1.2)  # until the next report
        text = generate_latest(registry).decode()
    assert "canary" not in text
    assert "127.0.0.1" not in text
    assert 'konsil_sfu_connections_total{outcome="connected"} 2.0' in text
    assert "konsil_sfu_participants 2.0" in text
    assert not list(registry.collect())


async def test_a_port_in_use_is_said_in_one_line(process: SfuProcess) -> None:
    second = SfuProcess(NodeConfig(("127.0.0.1",), process.port), lambda event: None)
    with pytest.raises(ConfigError, match=f"port {process.port}"):
        await second.start()


@pytest.mark.parametrize(
    "config",
    [
        NodeConfig(listen=()),
        NodeConfig(listen=("localhost",)),
        NodeConfig(listen=("0.0.0.0",)),
        NodeConfig(listen=("127.0.0.1",), port=70_000),
        NodeConfig(listen=("0.0.0.0",), advertised=("example.org",)),
    ],
)
async def test_settings_that_cannot_work(config: NodeConfig) -> None:
    with pytest.raises(ConfigError):
        await SfuProcess(config, lambda event: None).start()
