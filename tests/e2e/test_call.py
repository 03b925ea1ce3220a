"""Two people meet, and stay together through what may happen meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host
from tests.e2e.redis_server import RedisServer
from tests.e2e.stage import Stage, StartKonsil

HOUR = 3_600_000  # ms
# A call that was interrupted and mended stands still for longer. Two software encoders on a busy
# machine stumble for some seconds by themselves, so this cannot be as short as a person's patience.
STANDSTILL = 8_000  # ms


async def test_two_people_meet_and_the_end_leaves_nothing(
    stage: Stage, start_konsil: StartKonsil, redis_server: RedisServer
) -> None:
    konsil = await start_konsil(redis_url=redis_server.url)
    host, client = await stage.call(await konsil.invite())

    await asyncio.gather(host.hears_more(), client.hears_more())
    for person in (host, client):
        path = await person.shows("connection-path")
        assert await path.get_attribute("data-path") == "direct"
        code = await person.shows("security-code")
        assert await code.get_attribute("data-verified") == "link"
    lives = await redis_server.ttls()
    assert lives, "a call under way must have keys"
    assert all(0 < life <= HOUR for life in lives.values()), lives

    await host.ends()

    for person in (host, client):
        await person.told("call-ended", "ended")
        await person.devices_off()
        assert len(await person.tracks()) >= 2, "no device had been opened at all"
        assert await person.connections_open() == 0
    await _nothing_left(redis_server)


async def _nothing_left(redis_server: RedisServer) -> None:
    async def empty() -> bool:
        return await redis_server.size() == 0

    await until(empty, "DBSIZE is 0", seconds=3)


@pytest.mark.parametrize("who", [pytest.param("host", marks=pytest.mark.soak), "client"])
async def test_a_reload_returns_to_the_call_by_itself(
    stage: Stage, konsil: KonsilServer, who: str
) -> None:
    host, client = await stage.call(await konsil.invite())
    reloading, staying = (host, client) if who == "host" else (client, host)

    await reloading.page.reload()

    await asyncio.gather(reloading.sees_more_frames(), staying.sees_more_frames())
    await asyncio.gather(reloading.hears_more(), staying.hears_more())
    await reloading.see("mic-button").click()
    await staying.sees_muted()


async def _call_goes_on(host: Host, client: Client) -> None:
    """Media kept coming since `mark`, and something said now arrives on the other page."""
    await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())
    await client.see("mic-button").click()
    await host.sees_muted()
    await host.see("mic-button").click()
    await client.sees_muted()
    for person in (host, client):
        assert await person.kept_connections(), f"{type(person).__name__} was connected anew"
        gap = await person.longest_gap()
        assert gap < STANDSTILL, f"{type(person).__name__} saw nothing for {gap:.0f} ms"


@pytest.mark.parametrize("store", [pytest.param("own", marks=pytest.mark.soak), "private"])
async def test_a_killed_server_is_missed_by_nobody(
    stage: Stage, start_konsil: StartKonsil, redis_server: RedisServer, store: str
) -> None:
    """With the private Redis all state dies with the server; the pages bring it back."""
    konsil = await start_konsil(redis_url=redis_server.url if store == "own" else None)
    consultation = await konsil.invite()
    host, client = await stage.call(consultation)
    await asyncio.gather(host.mark(), client.mark())

    await konsil.kill()
    await asyncio.gather(host.shows("connection-banner"), client.shows("connection-banner"))
    await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())
    await konsil.start()

    await asyncio.gather(
        host.see("connection-banner").wait_for(state="hidden"),
        client.see("connection-banner").wait_for(state="hidden"),
    )
    await _call_goes_on(host, client)
    await _room_still_works(stage, host, consultation.client_url)


@pytest.mark.parametrize("store", ["own", pytest.param("private", marks=pytest.mark.soak)])
async def test_a_redis_that_comes_back_empty_is_missed_by_nobody(
    stage: Stage, start_konsil: StartKonsil, redis_server: RedisServer, store: str
) -> None:
    konsil = await start_konsil(redis_url=redis_server.url if store == "own" else None)
    consultation = await konsil.invite()
    host, client = await stage.call(consultation)
    await asyncio.gather(host.mark(), client.mark())

    if store == "own":
        await redis_server.kill()

        async def unready() -> bool:
            return await konsil.status("/readyz") == 503

        await until(unready, "/readyz says so")
        await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())
        await redis_server.start()
    else:
        os.kill(konsil.redis_pid(), signal.SIGKILL)
    await until(konsil.ready, "the server has its Redis again")

    await _call_goes_on(host, client)
    if store == "own":

        async def rebuilt() -> dict[str, int]:
            return await redis_server.ttls()

        lives = await until(rebuilt, "the session is in Redis again")
        assert all(0 < life <= HOUR for life in lives.values()), lives
    await _room_still_works(stage, host, consultation.client_url)


async def _room_still_works(stage: Stage, host: Host, client_url: str) -> None:
    """The session is whole again: a new knock reaches this host, and the end leaves nothing."""
    another = await stage.client()
    await another.knocks(client_url, "Dora")
    await host.sees_waiting("Dora")
    await host.ends()
    await another.told("call-ended", "ended")
    await host.told("call-ended", "ended")


async def test_leaving_a_call_ends_it_for_the_one_who_leaves(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())

    await client.see("leave-button").click()

    await client.told("call-ended", "left")
    await client.devices_off()
    await host.see("remote-video").first.wait_for(state="detached")
    assert "live" in await host.tracks(), "the host goes on waiting, with the camera on"
    assert await host.connections_open(used=True) == 0
