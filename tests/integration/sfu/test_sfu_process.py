"""The forwarder in a process of its own: begun anew when it ends, and ended with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sfu.config import ConfigError, NodeConfig
from sfu.control import Code, Done, Drain, Offer, Refused, Restarted, Source
from sfu.supervisor import SfuProcess
from tests.integration.planted import plant
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
    await serving(process)
    assert process.port == port
    assert process.pid != first
    async with peers(process.handle, "alice", "bob") as (alice, bob):
        await alice.join()
        await bob.join()
        await bob.sees("alice", *BOTH)
    assert process.stats().restarts == 1


async def test_one_that_hangs_is_replaced_and_piles_nothing_up(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfu.supervisor._ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("sfu.supervisor._MAX_UNSENT", 1_000_000)
    monkeypatch.setattr("sfu.supervisor._SILENCE", (3.0, 1.0))
    async with SfuProcess(LOOPBACK, told.add) as process:
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        for number in range(10):
            offers = (Offer("room", f"p{number}-{n}", 1, "x" * 60_000, []) for n in range(10))
            await asyncio.gather(*(process.handle(offer) for offer in offers))
        assert process._process is not None
        assert process._process.stdin is not None
        assert process._process.stdin.transport.get_write_buffer_size() < 2_000_000
        await told.of(Restarted)
        await serving(process)
        assert process.pid != first
        assert not psutil.pid_exists(first)


async def spare(process: SfuProcess, *but: int) -> int:
    """The number of the process that stands by, another than those."""
    async with asyncio.timeout(20):
        while (found := process.spare_pid) is None or found in but:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.02)
    return found


async def test_a_spare_stands_by_and_takes_over(told: Told) -> None:
    async with SfuProcess(LOOPBACK, told.add, spare_after=0) as process:
        first, second = process.pid, await spare(process)
        assert first is not None
        assert psutil.Process(second).ppid() == os.getpid()
        os.kill(first, signal.SIGKILL)
        await told.of(Restarted)
        await serving(process)
        assert process.pid == second, "and no other had to be started"
        third = await spare(process, second)
        async with peers(process.handle, "alice", "bob") as (alice, bob):
            await alice.join()
            await bob.join()
            await bob.sees("alice", *BOTH)
    for ended in (second, third):
        assert not psutil.pid_exists(ended)


async def test_a_spare_that_dies_is_replaced_and_missed_by_nobody(told: Told) -> None:
    async with SfuProcess(LOOPBACK, told.add, spare_after=0) as process:
        first, dead = process.pid, await spare(process)
        assert first is not None
        os.kill(dead, signal.SIGKILL)
        os.kill(await spare(process, dead), signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        await told.of(Restarted)
        await serving(process)
        assert process.pid not in (first, dead)
        assert process.stats().restarts == 1


async def serving(process: SfuProcess) -> None:
    async with asyncio.timeout(20):
        while not process.ready:  # noqa: ASYNC110 - a property of another process
            await asyncio.sleep(0.02)


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
    """Killed, the parent can say nothing any more; the child and the spare notice all the same."""
    program = """
import asyncio, sys
from sfu.config import NodeConfig
from sfu.supervisor import SfuProcess

async def main():
    config = NodeConfig(listen=("127.0.0.1",), port=0)
    async with SfuProcess(config, lambda event: None, spare_after=0) as sfu:
        while sfu.spare_pid is None:
            await asyncio.sleep(0.02)
        print(sfu.pid, sfu.spare_pid, flush=True)
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
    said = await asyncio.wait_for(parent.stdout.readline(), 20)
    children = [psutil.Process(int(number)) for number in said.split()]
    assert len(children) == 2
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        while any(map(lives, children)):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_numbers_carry_no_names(told: Told) -> None:
    registry = CollectorRegistry()
    async with (
        SfuProcess(LOOPBACK, told.add, registry) as sfu,
        peers(sfu.handle, "alice-canary", "bob-canary", room="room-canary") as both,
    ):
        for peer in both:
            await peer.join()
        await both[1].sees("alice-canary", *BOTH)
        async with asyncio.timeout(10):
            while sfu.stats().connections.get("connected") != 2:  # noqa: ASYNC110 - its report
                await asyncio.sleep(0.05)
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


async def test_nothing_is_imported_from_where_it_is_started(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = plant(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sfu.supervisor._START_SECONDS", 10.0)
    async with SfuProcess(LOOPBACK, told.add) as process:
        assert process.pid is not None
    assert not ran.exists(), ran.read_text()
