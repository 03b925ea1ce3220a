"""No camera, no permission: clear words, and still a way in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.people import Client
from tests.e2e.stage import Launch, Stage, in_session

WITHOUT_CAMERA = """
const devices = navigator.mediaDevices;
const open = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => {
  if (wanted.video) throw new DOMException("Requested device not found", "NotFoundError");
  return open(wanted);
};
const list = devices.enumerateDevices.bind(devices);
devices.enumerateDevices = async () => (await list()).filter((d) => d.kind !== "videoinput");
"""

# What a system does for a telephone call: the track goes on, and gives nothing.
TAKEN_AWAY = """
const devices = navigator.mediaDevices;
const open = devices.getUserMedia.bind(devices);
const given = [];
devices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  given.push(...stream.getTracks());
  return stream;
};
window.takeAway = (muted) => {
  for (const track of given.filter((one) => one.readyState === "live" && one.kind === "audio")) {
    Object.defineProperty(track, "muted", { value: muted, configurable: true });
    track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  }
};
const settings = MediaStreamTrack.prototype.getSettings;
MediaStreamTrack.prototype.getSettings = function () {
  return { ...settings.call(this), facingMode: "environment" };
};
"""


@in_session
async def strict_browser(launch: Launch) -> AsyncIterator[Browser]:
    """A browser with devices that nobody has allowed to be used."""
    started = await launch("--use-fake-device-for-media-stream")
    yield started
    await started.close()


async def _notice(client: Client, status: str) -> str:
    notice = await client.shows("device-notice")
    await client.page.locator(f'[data-testid="device-notice"][data-status="{status}"]').wait_for()
    return await notice.inner_text()


async def test_a_refused_permission_is_explained_and_one_may_still_come(
    stage: Stage, konsil: KonsilServer, strict_browser: Browser
) -> None:
    consultation = await konsil.invite()
    client = await stage.client(browser=strict_browser, permissions=[])
    await client.page.goto(consultation.client_url)

    assert len(await _notice(client, "refused")) > 40

    host = await stage.host()
    await host.enter(consultation.host_url)
    await client.joins("Dora")
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await client.sees_more_frames()
    await client.hears_more()


async def test_without_a_camera_one_joins_with_sound_only(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await client.context.add_init_script(WITHOUT_CAMERA)
    await client.page.goto(consultation.client_url)

    assert len(await _notice(client, "none")) > 40

    await host.enter(consultation.host_url)
    await client.joins("Dora")
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await client.sees_more_frames()
    await host.hears_more()
    tile = host.page.locator(".tile")
    assert await tile.get_attribute("data-video") == "false"


@pytest.mark.parametrize(
    "button", ["camera-button", pytest.param("mic-button", marks=pytest.mark.soak)]
)
async def test_switching_off_and_on_again_is_seen_on_the_other_side(
    stage: Stage, konsil: KonsilServer, button: str
) -> None:
    host, client = await stage.call(await konsil.invite())
    kind = "video" if button == "camera-button" else "audio"

    await client.see(button).click()
    await host.page.locator(f'.tile[data-{kind}="false"]').wait_for()
    if kind == "video":
        assert "live" not in await _video_states(client), "the camera's light would stay on"
    await client.see(button).click()
    await host.page.locator(f'.tile[data-{kind}="true"]').wait_for()
    await host.sees_more_frames()
    await host.hears_more()


async def _video_states(client: Client) -> list[str]:
    return list(await client.page.evaluate("konsilProbe.tracks('video')"))


async def test_a_microphone_that_the_system_takes_is_missed_on_both_sides_and_comes_back(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await client.context.add_init_script(TAKEN_AWAY)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.admits("Dora")
    await client.sees_more_frames()
    await host.hears_more()

    await client.page.evaluate("takeAway(true)")
    await host.page.locator('.tile[data-audio="false"]').wait_for()
    assert len(await _notice(client, "paused")) > 40

    await client.page.evaluate("takeAway(false)")
    await host.page.locator('.tile[data-audio="true"]').wait_for()
    await client.see("device-notice").wait_for(state="hidden")
    await host.hears_more()

    # A camera that looks away from who holds it: what is on the left stays on the left.
    mirrored = 'id => getComputedStyle(document.querySelector(`[data-testid="${id}"]`)).transform'
    assert await client.page.evaluate(mirrored, "local-video") == "none"
    assert await host.page.evaluate(mirrored, "local-video") == "matrix(-1, 0, 0, 1, 0, 0)"
