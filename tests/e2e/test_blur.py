"""What is behind somebody, blurred in that person's own page before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Route

from tests.e2e.chromium import FAKE_DEVICES
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Launch, Stage, in_session

# A portrait (NASA, public domain) before stripes and letters; one JPEG is a film of one picture.
CAMERA = Path(__file__).with_name("person.mjpeg")

# How much neighbouring pixels differ: behind the person, and in the face.
DETAIL = """video => {
  const [width, height] = [320, 180];
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(video, 0, 0, width, height);
  const detail = (left, top, right, bottom) => {
    const { data } = pen.getImageData(left, top, right - left, bottom - top);
    let sum = 0;
    for (let i = 4; i < data.length; i += 4) sum += Math.abs(data[i + 1] - data[i - 3]);
    return sum / (data.length / 4);
  };
  return [video.videoWidth, detail(230, 4, 316, 176), detail(112, 50, 165, 105)];
}"""


@in_session
async def seen_browser(launch: Launch) -> AsyncIterator[Browser]:
    """A browser whose camera shows a person."""
    started = await launch(*FAKE_DEVICES, f"--use-file-for-fake-video-capture={CAMERA}")
    yield started
    await started.close()


async def _looks(person: Person, test_id: str, *, blurred: bool, seconds: float = 30) -> None:
    async def so() -> bool:
        found: Any = await person.see(test_id).evaluate(DETAIL)
        width, behind, face = found
        return width > 0 and face > 3 and (behind < 2 if blurred else behind > 6)

    what = f"{test_id} is {'' if blurred else 'not '}blurred behind the person"
    await until(so, what, seconds=seconds)


async def _blur(person: Person, on: bool) -> None:
    await person.see("settings-button").click()
    box = await person.shows("blur-checkbox")
    await (box.check() if on else box.uncheck())
    await person.page.keyboard.press("Escape")


async def test_what_is_behind_is_blurred_from_when_one_asks_for_it(
    stage: Stage, konsil: KonsilServer, seen_browser: Browser
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client(browser=seen_browser)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Nora")
    await host.sees_waiting("Nora")
    await host.admits("Nora")
    await _looks(host, "remote-video", blurred=False)
    assert not [url for url in client.requests if "blur" in url], "loaded before it was wanted"

    await _blur(client, True)
    await _looks(client, "local-video", blurred=True)
    await _looks(host, "remote-video", blurred=True)
    await host.sees_more_frames(20)
    assert not await client.foreign_requests()

    await client.see("camera-button").click()
    await host.page.locator('article.tile[data-video="false"]').wait_for()
    await _camera_dark(client)
    await client.see("camera-button").click()
    await host.page.locator('article.tile[data-video="true"]').wait_for()
    await _looks(host, "remote-video", blurred=True)

    await _blur(client, False)
    await _looks(host, "remote-video", blurred=False)
    await client.see("leave-button").click()
    await client.devices_off()


@pytest.mark.soak
async def test_after_a_reload_nobody_sees_what_is_behind(
    stage: Stage, konsil: KonsilServer, seen_browser: Browser
) -> None:
    consultation = await konsil.invite()
    client = await stage.client(browser=seen_browser)
    await client.page.goto(consultation.client_url)
    await (await client.shows("blur-checkbox")).check()
    await _looks(client, "device-preview", blurred=True)

    await client.page.route("**/static/blur/model.bin", lambda route: route.abort())
    await client.page.reload()
    notice = client.page.locator('[data-testid="device-notice"][data-status="blur_failed"]')
    await notice.wait_for()
    await _camera_dark(client)
    assert not await client.see("device-preview").evaluate("v => v.videoWidth > 0")

    await client.page.unroute("**/static/blur/model.bin")
    await notice.get_by_role("button").click()
    await _looks(client, "device-preview", blurred=True)


async def test_a_camera_goes_dark_at_once_though_its_blur_is_still_loading(
    stage: Stage, konsil: KonsilServer, seen_browser: Browser
) -> None:
    consultation = await konsil.invite()
    client = await stage.client(browser=seen_browser)
    late, asked = asyncio.Event(), asyncio.Event()

    async def slow(route: Route) -> None:
        asked.set()
        await late.wait()
        await route.abort()

    await client.page.goto(consultation.client_url)
    switch = client.page.locator('[data-testid="camera-preview"]')
    await client.page.locator('[data-testid="camera-preview"][data-state="on"]').wait_for()
    await switch.click()
    await _camera_dark(client)
    await client.page.route("**/static/blur/model.bin", slow)
    await (await client.shows("blur-checkbox")).check()
    await switch.click()
    await asyncio.wait_for(asked.wait(), 30)
    assert "live" in await client.page.evaluate("konsilProbe.tracks('video')")
    await switch.click()
    await client.page.locator('[data-testid="camera-preview"][data-state="off"]').wait_for()
    await _camera_dark(client)
    late.set()


async def _camera_dark(person: Person) -> None:
    async def dark() -> bool:
        return "live" not in await person.page.evaluate("konsilProbe.tracks('video')")

    await until(dark, "the camera's light is off")
