"""The main story with Firefox on either side, and on both."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.firefox import FirefoxPerson
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.stage import Stage, in_session
from tests.e2e.test_screen import SCREEN
from tests.e2e.writing import open_chat, reads, saved, says

pytestmark = pytest.mark.timeout(150)
Start = Callable[[], Awaitable[FirefoxPerson]]
FRAMES = 20  # enough for a call; every second in Firefox is a second of all tests
PATIENCE = 30  # seconds, for one step on a machine that is busy


@in_session
async def firefox() -> AsyncIterator[Start]:
    people: list[FirefoxPerson] = []

    async def start() -> FirefoxPerson:
        person = FirefoxPerson()
        people.append(person)
        await person.start()
        return person

    yield start
    await asyncio.gather(*(person.close() for person in people))
    faults = [fault for person in people for fault in person.faults]
    assert not faults, "something went wrong on a page"


async def test_a_client_in_firefox_meets_a_host_in_chromium(
    stage: Stage, konsil: KonsilServer, firefox: Start, tmp_path: Path
) -> None:
    """Link, waiting, admission, picture and sound, lines, a file, a reload, the end."""
    consultation = await konsil.invite()
    host, client = await asyncio.gather(stage.host(), firefox())
    await asyncio.gather(
        host.enter(consultation.host_url), client.knocks(consultation.client_url, "Dora")
    )
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await asyncio.gather(
        host.sees_more_frames(FRAMES, seconds=PATIENCE),
        host.hears_more(seconds=PATIENCE),
        client.sees_and_hears_more(FRAMES),
    )
    assert await client.attribute("connection-path", "data-path") == "direct"
    assert await client.attribute("security-code", "data-verified") == "link"

    await asyncio.gather(open_chat(host), client.opens_chat())
    await says(host, "From Chromium")
    await client.reads("From Chromium")
    await client.says("From Firefox")
    await reads(host, "From Chromium", "From Firefox", seconds=PATIENCE)
    report = tmp_path / "Bericht ü.bin"
    report.write_bytes(os.urandom(100_000))
    await client.order("upload", testid="file-input", path=str(report))
    await (await host.shows("file-accept", seconds=PATIENCE)).click()
    await host.shows("file-link", seconds=PATIENCE)
    assert await saved(host, tmp_path / "saved") == report.read_bytes()

    await client.order("reload")
    await asyncio.gather(
        host.sees_more_frames(FRAMES, seconds=PATIENCE), client.sees_and_hears_more(FRAMES)
    )
    await client.reads("From Chromium", "From Firefox")
    await host.see("mic-button").click()
    await client.shows("remote-muted")

    await host.ends()
    await client.shows("call-ended")
    assert set(await client.evaluate("() => konsilProbe.tracks()")) == {"ended"}


@pytest.mark.soak
async def test_two_people_in_firefox(konsil: KonsilServer, firefox: Start) -> None:
    consultation = await konsil.invite()
    host, client = await asyncio.gather(firefox(), firefox())
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.click("admit-button")

    await asyncio.gather(host.sees_and_hears_more(), client.sees_and_hears_more())
    await client.click("leave-button")
    await client.shows("call-ended")
    await host.shows("end-consultation")


@pytest.mark.soak
async def test_a_blurred_picture_and_screens_with_firefox(
    stage: Stage, konsil: KonsilServer, firefox: Start
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await firefox()
    await host.enter(consultation.host_url)
    await client.order("goto", url=consultation.client_url)
    await client.shows("blur-checkbox")
    await client.click("blur-checkbox")

    async def blurred() -> bool:
        return bool(
            await client.evaluate(
                """() => {
                  const video = document.querySelector('[data-testid="device-preview"]');
                  const track = video.srcObject?.getVideoTracks()[0];
                  return track?.readyState === "live" && track.label === ""
                    && video.currentTime > 0 && video.videoWidth > 0;
                }"""
            )
        )

    await until(blurred, "what is sent comes from the worker", seconds=30)
    await client.order("fill", testid="name-input", text="Dora")
    await client.click("consent-checkbox")
    await client.click("join-button")
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await asyncio.gather(host.sees_more_frames(), client.sees_and_hears_more())

    # Firefox answers, Chromium offers: a screen of either side.
    await client.evaluate(f"() => {{ {SCREEN} }}")
    await client.click("screen-button")
    await host.shows("remote-screen")
    await host.page.evaluate(SCREEN)
    await host.see("screen-button").click()
    await client.shows("remote-screen")

    async def both() -> bool:
        size = "v => v.videoWidth > 0 && v.videoWidth === v.videoHeight"
        seen = await client.evaluate(
            f"""() => ({size})(document.querySelector('[data-testid="remote-screen"]'))"""
        )
        return bool(seen and await host.see("remote-screen").evaluate(size))

    await until(both, "both see the other's screen", seconds=30)
    await host.sees_more_frames(20)
