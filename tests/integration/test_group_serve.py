"""Groups through `konsil serve`: media of aiortc's pages, decoded on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from konsil.tls import lan_address
from tests.integration.caller import Caller
from tests.integration.conftest import RedisServer, until
from tests.integration.pulse import Pulse
from tests.integration.served import Served, konsil

NAME = "Canary Constance"
ALL = {
    "ROLES": "signaling,turn,sfu",
    "SFU_PORT": 0,
    "SFU_HOST": "127.0.0.1",
    "TURN_PORT": 0,
    "TURN_TLS_PORT": 0,
    "METRICS_PORT": 0,
    "DRAIN_SECONDS": 1,
}
pytestmark = pytest.mark.timeout(120)


@contextlib.asynccontextmanager
async def group(server: Served, *, other: Served | None = None) -> AsyncIterator[list[Caller]]:
    """A host and two clients inside, none connected yet. One of them at the other node."""
    link = server.links["Client link"]
    async with (
        Caller(server, server.links["Host link"], shade=40) as host,
        Caller(server, link, NAME, shade=120) as anna,
        Caller(other or server, link, "Bert", shade=200) as bert,
    ):
        for name in (NAME, "Bert"):
            await host.do("admit", participant=await host.sees_waiting(name))
        callers = [host, anna, bert]
        for caller in callers:
            await caller.goes("sfu", 1)
        yield callers


async def connected(callers: list[Caller], *, relay_only: bool = False) -> None:
    await asyncio.gather(*(one.connect_media(*callers, relay_only=relay_only) for one in callers))
    await decoded(callers)


async def decoded(callers: list[Caller]) -> None:
    """Everybody hears and sees everybody else, from now on."""
    await asyncio.gather(*(one.sees(*callers) for one in callers))


async def metric(server: Served, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(server.printed["metrics"]) as answer:
        text = await answer.text()
    found = re.search(rf"(?m)^{re.escape(name)} ([0-9.e+]+)$", text)
    return float(found[1]) if found else 0.0


async def reaches(server: Served, name: str, value: float) -> None:
    """Wait until a number is that high: a forwarder says its numbers once a second."""

    async def enough() -> bool:
        return await metric(server, name) >= value

    await until(enough)


def forwarder_of(server: Served) -> psutil.Process:
    """The process that forwards; the spare that may stand by is always younger."""
    found = [one for one in psutil.Process(server.pid).children() if "sfu.worker" in one.cmdline()]
    return min(found, key=psutil.Process.create_time)


async def test_three_hear_and_see_one_another(tmp_path: Path) -> None:
    async with Served("--demo", STATE_DIR=tmp_path, **ALL) as server:
        port = re.search(r"port (\d+) \(UDP, TCP\)", server.printed["forwarder"])
        assert port is not None
        assert server.printed["forwarder"] == f"127.0.0.1 port {port[1]} (UDP, TCP)"
        async with group(server) as callers:
            await connected(callers)
            await reaches(server, "konsil_sfu_participants", 3)
            await reaches(server, 'konsil_sfu_media_total{what="packets_out"}', 100)
            assert await metric(server, "konsil_sfu_rooms") == 1
            assert await metric(server, "konsil_groups") == 1
            code, report, _ = await konsil("privacy-audit", STATE_DIR=tmp_path)
            assert code == 0, report
            assert "sfu" in report
            # Whoever is sent away gets and gives nothing any more, at once.
            host, anna, bert = callers
            await host.do("remove", participant=bert.id)
            assert bert.peer is not None
            assert anna.peer is not None
            frozen = None
            # What was on its way is decoded still; then nothing, while others go on.
            while frozen != (
                now := (dict(bert.peer.frames), anna.peer.seen(bert.id, "camera"))  # type: ignore[arg-type]
            ):
                frozen = now
                await decoded([host, anna])
            ids = [caller.id for caller in callers]
        assert await server.stop() == 0
        log = await server.log()
        for word in (NAME, "Bert", *ids):
            assert word not in log


@pytest.mark.parametrize("processes", [1, 2])
async def test_through_the_relay_alone(tmp_path: Path, processes: int) -> None:
    """Nothing but TURN gets out: the relay stands beside the forwarder and may reach it, although
    it may reach nothing else at the machine's own addresses."""
    own = lan_address()
    if own is None:
        pytest.skip("this machine has no address beside loopback")
    async with (
        Served(
            "--demo", STATE_DIR=tmp_path, **{**ALL, "SFU_HOST": own, "TURN_PROCESSES": processes}
        ) as server,
        group(server) as callers,
    ):
        await connected(callers, relay_only=True)
        await reaches(server, 'konsil_turn_relayed_packets_total{direction="up"}', 100)
        await reaches(server, 'konsil_turn_relayed_packets_total{direction="down"}', 100)


async def test_a_killed_forwarder_is_back_within_five_seconds(tmp_path: Path) -> None:
    async with (
        Served("--demo", STATE_DIR=tmp_path, **ALL) as server,
        group(server) as callers,
    ):
        await connected(callers)
        async with Pulse() as pulse:
            forwarder_of(server).kill()
            for caller in callers:
                await caller.goes("sfu", 2)
            await asyncio.gather(*(one.connect_media(*callers) for one in callers))

            async def told_anew() -> bool:
                told = [m for m in callers[0].messages if m["type"] == "group_sources"]
                return bool(told[-1]["generation"] == 2)

            await until(told_anew)
            await asyncio.gather(*(one.sees(*callers, more=1) for one in callers))
        assert pulse.seconds < 5
        assert await metric(server, "konsil_sfu_restarts_total") == 1
        speaking = [m for one in callers for m in one.messages if m["type"] == "group_speakers"]
        assert all(m["generation"] in (1, 2) for m in speaking)


@pytest.mark.parametrize("ending", ["kill", "stop"])
async def test_rooms_of_a_machine_that_is_gone_move_to_another(
    tmp_path: Path, start_redis: Callable[..., RedisServer], ending: str
) -> None:
    shared = {**ALL, "REDIS_URL": start_redis().url, "DRAIN_SECONDS": 4}
    sfu = {**shared, "ROLES": "sfu"}
    async with (
        Served("--demo", STATE_DIR=tmp_path, **{**shared, "ROLES": "signaling"}) as server,
        Served(STATE_DIR=tmp_path / "one", **sfu) as one,
        Served(STATE_DIR=tmp_path / "two", **sfu) as two,
        group(server) as callers,
    ):
        await connected(callers)
        people = "konsil_sfu_participants"

        async def whole() -> bool:
            return sorted([await metric(one, people), await metric(two, people)]) == [0, 3]

        await until(whole)  # on one forwarder
        first = one if await metric(one, people) else two
        async with Pulse() as pulse:
            if ending == "kill":
                first.process.kill()
            else:
                first.process.terminate()
            for caller in callers:
                await caller.goes("sfu", 2)
            if ending == "stop":
                # Nobody is cut off: the former connections go on until the next ones are there.
                before = [dict(caller.peer.frames) for caller in callers if caller.peer]

                def goes_on() -> bool:
                    now = [dict(caller.peer.frames) for caller in callers if caller.peer]
                    return all(new != old for new, old in zip(now, before, strict=True))

                await until(goes_on)
            await asyncio.gather(*(caller.connect_media(*callers) for caller in callers))
            await asyncio.gather(*(caller.sees(*callers, more=1) for caller in callers))
        if ending == "kill":
            assert pulse.seconds < 5
        other = two if first is one else one
        await reaches(other, people, 3)


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = {**ALL, "SFU_PORT": port, "PORT": 0, "STATE_DIR": tmp_path / "state"}
        code, _, errors = await konsil("serve", **settings)
        assert code == 1
        assert f"127.0.0.1 port {port}" in errors
        assert "KONSIL_SFU_PORT" in errors
        # A demo gives way.
        async with Served("--demo", **settings) as server:
            assert f"{port} is in use by another program" in server.printed["forwarder"]
            assert f"port {port} " not in server.printed["forwarder"]
