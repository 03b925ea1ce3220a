"""Calls that may go through the relay only, over each way that leads to it."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from konsil import tls
from tests.e2e.chromium import FAKE_DEVICES
from tests.e2e.konsil_server import Consultation, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host, Person
from tests.e2e.relay_server import SECRET, RelayServer
from tests.e2e.stage import Launch, Stage, StartKonsil, session

RELAY_ONLY = {"KONSIL_ICE_TRANSPORT_POLICY": "relay", "KONSIL_DRAIN_SECONDS": "1"}


@session
async def relay(room_to_work: Path) -> AsyncIterator[RelayServer]:
    directory = Path(tempfile.mkdtemp(prefix="t", dir=room_to_work))
    server = RelayServer(directory, tls.self_signed(directory / "tls", dt.datetime.now(dt.UTC)))
    await server.start()
    yield server
    await server.stop()


@session
async def trusting_browser(launch: Launch) -> AsyncIterator[Browser]:
    """Takes any certificate, of a TURN server too, which Chromium checks like any other's."""
    started = await launch(*FAKE_DEVICES, "--ignore-certificate-errors")
    yield started
    await started.close()


def through(relay: RelayServer, *transports: str) -> dict[str, str]:
    """Settings of a server that names this relay, over these transports alone."""
    urls = ",".join(relay.url(transport) for transport in transports)
    return {**RELAY_ONLY, "KONSIL_TURN_EXTERNAL": urls, "KONSIL_TURN_SECRET": SECRET}


async def call(
    stage: Stage, consultation: Consultation, browser: Browser | None = None
) -> tuple[Host, Client]:
    options = {} if browser is None else {"browser": browser}
    host, client = await stage.host(**options), await stage.client(**options)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Charlie")
    await host.sees_waiting("Charlie")
    assert not any("ice-servers" in url for url in client.requests), "not before admission"
    await host.admits("Charlie")
    await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())
    return host, client


async def goes_through(person: Person, *transports: str) -> None:
    """Both ends of the path are relayed addresses, and the page says so."""
    path = await person.shows("connection-path")
    assert await path.get_attribute("data-path") == "relay"
    (chosen,) = await person.page.evaluate("konsilProbe.chosenPaths()")
    assert (chosen["local"], chosen["remote"]) == ("relay", "relay")
    assert chosen["over"] in transports


async def test_a_call_through_the_relay_of_konsil_serve(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    """All of it in one process, as `konsil serve` is started. Which way to it wins is the
    browser's choice: on a busy machine TCP may answer first."""
    own = {"KONSIL_ROLES": "signaling,turn", "KONSIL_TURN_PORT": "0", "KONSIL_TURN_TLS_PORT": "0"}
    konsil = await start_konsil(settings={**RELAY_ONLY, **own})
    host, client = await call(stage, await konsil.invite())
    await asyncio.gather(host.hears_more(), client.hears_more())
    for person in (host, client):
        await goes_through(person, "udp", "tcp")
        assert not await person.foreign_requests()
    counted = await konsil.metrics()
    assert "konsil_turn_relayed_bytes_total" in counted
    await host.ends()
    await client.told("call-ended", "ended")


@pytest.mark.parametrize(
    "transport",
    [
        pytest.param("udp", marks=pytest.mark.soak),
        pytest.param("tcp", marks=pytest.mark.soak),
        "tls",
    ],
)
async def test_a_call_through_a_relay_of_its_own(
    stage: Stage,
    start_konsil: StartKonsil,
    relay: RelayServer,
    trusting_browser: Browser,
    transport: str,
) -> None:
    konsil = await start_konsil(settings=through(relay, transport))
    before = await relay.relayed()
    host, client = await call(stage, await konsil.invite(), trusting_browser)
    for person in (host, client):
        await goes_through(person, transport)

    # What both have got since has gone through the relay, on its way in and on its way out.
    got = [await person.page.evaluate("konsilProbe.bytes()") for person in (host, client)]
    assert await relay.relayed() - before > 2 * sum(got) > 100_000


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_a_relay_that_dies_is_taken_up_again(
    stage: Stage, start_konsil: StartKonsil, relay: RelayServer
) -> None:
    """Media stands still while there is no relay; then ICE finds the new one by itself."""
    konsil = await start_konsil(settings=through(relay, "udp"))
    host, client = await call(stage, await konsil.invite())
    before = [await person.connections_open(used=True) for person in (host, client)]

    await relay.kill()

    async def stands_still() -> bool:
        return min([await person.longest_gap() for person in (host, client)]) > 1000

    await asyncio.gather(host.mark(), client.mark())
    await until(stands_still, "no more pictures come")
    await relay.start()

    await asyncio.gather(host.sees_more_frames(seconds=60), client.sees_more_frames(seconds=60))
    for person in (host, client):
        await goes_through(person, "udp")
    after = [await person.connections_open(used=True) for person in (host, client)]
    assert after == before, "the same connections, by a new path"
    await client.see("mic-button").click()
    await host.sees_muted()


async def test_without_a_relay_the_direct_way_does(stage: Stage, start_konsil: StartKonsil) -> None:
    """One that is named but does not answer delays nothing."""
    gone = "turn:127.0.0.1:9?transport=udp,turn:127.0.0.1:9?transport=tcp"
    konsil: KonsilServer = await start_konsil(
        settings={"KONSIL_TURN_EXTERNAL": gone, "KONSIL_TURN_SECRET": SECRET}
    )
    host, client = await call(stage, await konsil.invite())
    for person in (host, client):
        path = await person.shows("connection-path")
        assert await path.get_attribute("data-path") == "direct"
