"""A line too thin for pictures: they go, sound stays, both are told why, and they come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.apart import browsers_in, server_in
from tests.e2e.groups import grouped, paths
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.legs import GOOD, Legs
from tests.e2e.patience import until
from tests.e2e.people import Client, Host, Person
from tests.e2e.stage import Stage, session
from tests.spaces import unable

UNABLE = unable("tc")
pytestmark = [
    pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "possible"),
    pytest.mark.soak,
    pytest.mark.timeout(300),
]
FALLS_WITHIN = 40.0  # s; the browser has to notice, and then five seconds of it
RETURNS_WITHIN = 90.0  # s; ten seconds of a good line, and a trial


@pytest.fixture(scope="session")
def network() -> Iterator[Legs]:
    made = Legs()
    try:
        made.build()
        made.let_meet()
        yield made
    finally:
        made.remove()


@session
async def konsil_far(network: Legs, room_to_work: Path) -> AsyncIterator[KonsilServer]:
    settings = {"KONSIL_ROLES": "signaling,sfu", "KONSIL_SFU_HOST": GOOD}
    async with server_in(network.server, room_to_work, [GOOD], settings) as server:
        yield server


@session
async def homes(network: Legs, room_to_work: Path) -> AsyncIterator[dict[str, Browser]]:
    flag = "--ignore-certificate-errors"
    async with browsers_in(network.homes, room_to_work, flag) as started:
        yield started


async def _sends_no_picture(person: Person) -> None:
    async def none() -> bool:
        before = int(await person.page.evaluate("konsilProbe.pictureBytesSent()"))
        await asyncio.sleep(1)
        return int(await person.page.evaluate("konsilProbe.pictureBytesSent()")) == before

    await until(none, "no picture is sent any more", seconds=20)


async def test_a_lossy_line_between_two_falls_to_sound_and_comes_back(
    stage: Stage, network: Legs, konsil_far: KonsilServer, homes: dict[str, Browser]
) -> None:
    consultation = await konsil_far.invite()
    host, client = await stage.call(consultation, browsers=(homes["good"], homes["bad"]))
    try:
        network.lose(25)
        # What is lost on the way to the client, the host's page hears of; and it sends less.
        await host.shows("thin-line", seconds=FALLS_WITHIN)
        blank = client.page.locator(".tile-blank")
        await expect(blank).to_contain_text("too thin for a picture", timeout=15_000)
        await _sends_no_picture(host)
        await client.hears_more()
        assert "live" in await host.page.evaluate("konsilProbe.tracks('video')")
    finally:
        network.lose(0)
    for person in (host, client):
        await expect(person.see("thin-line")).to_be_hidden(timeout=RETURNS_WITHIN * 1000)
        await expect(person.page.locator(".tile-blank")).to_be_hidden(timeout=RETURNS_WITHIN * 1000)
    await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())


async def test_a_narrow_line_between_two_is_known_by_who_sends_into_it(
    stage: Stage, network: Legs, konsil_far: KonsilServer, homes: dict[str, Browser]
) -> None:
    consultation = await konsil_far.invite()
    host, client = await stage.call(consultation, browsers=(homes["good"], homes["bad"]))
    network.limit(90)
    try:
        await host.shows("thin-line", seconds=FALLS_WITHIN)
        await _sends_no_picture(host)
        await client.hears_more()
        assert await client.see("thin-line").is_hidden(), "its way out is as wide as ever"
    finally:
        network.unlimit()
    await expect(host.see("thin-line")).to_be_hidden(timeout=RETURNS_WITHIN * 1000)
    await client.sees_more_frames(seconds=60)


async def test_in_a_group_a_narrow_line_spares_the_pictures_of_the_others(
    stage: Stage, network: Legs, konsil_far: KonsilServer, homes: dict[str, Browser]
) -> None:
    consultation = await konsil_far.invite()
    host: Host = await grouped(stage, Host, browser=homes["good"])
    await host.enter(consultation.host_url)
    clients: list[Client] = []
    for name, side in (("Near", "good"), ("Far", "bad")):
        client: Client = await grouped(stage, Client, browser=homes[side])
        await client.knocks(consultation.client_url, name)
        await host.admits(name)
        await client.shows("leave-button")
        clients.append(client)
    near, far = clients
    await asyncio.gather(*(person.sees_more_frames(seconds=45) for person in (host, near, far)))
    assert await paths(far) == ["sfu", "sfu"]
    try:
        network.limit(60)
        await far.shows("thin-line", seconds=60)
        await expect(far.page.locator(".tile-blank").first).to_contain_text("your line is spared")
        await far.hears_more(seconds=30)
        assert await near.see("thin-line").is_hidden()
        await near.sees_more_frames()
    finally:
        network.unlimit()
    await expect(far.see("thin-line")).to_be_hidden(timeout=RETURNS_WITHIN * 1000)
    await far.sees_more_frames(seconds=60)
