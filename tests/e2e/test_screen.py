"""Two people, one of whom shows the screen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Stage

# No picture of a camera has this shape; a headless browser has no screen to show.
SCREEN = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 600, height: 600 });
  const pen = canvas.getContext("2d");
  let turn = 0;
  setInterval(() => {
    pen.fillStyle = `hsl(${(turn += 7)} 80% 50%)`;
    pen.fillRect(0, 0, 600, 600);
  }, 100);
  const sounds = new AudioContext();
  const tone = new OscillatorNode(sounds);
  const out = sounds.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  window.shownScreen = canvas.captureStream(10);
  window.shownScreen.addTrack(out.stream.getAudioTracks()[0]);
  return window.shownScreen;
};
"""


async def _size(person: Person, test_id: str) -> Any:
    return await person.see(test_id).evaluate("v => [v.videoWidth, v.videoHeight]")


async def _sees_both(person: Person) -> None:
    """Waits until the screen is to be seen, and the camera beside it."""
    await person.shows("remote-screen")

    async def sees() -> bool:
        screen, camera = await _size(person, "remote-screen"), await _size(person, "remote-video")
        return bool(screen[0] == screen[1] > 0 and camera[0] > camera[1] > 0)

    await until(sees, f"{type(person).__name__} sees screen and camera", seconds=30)


# The loudest of what comes with the screen, by the samples themselves.
LOUDNESS = """async v => {
  const context = new AudioContext();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(v.srcObject).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  let most = 0;
  for (let i = 0; i < 10; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    meter.getFloatTimeDomainData(samples);
    most = Math.max(most, ...samples.map(Math.abs));
  }
  await context.close();
  return most;
}"""


async def _hears_it(person: Person) -> None:
    async def hears() -> bool:
        return float(await person.see("remote-screen").evaluate(LOUDNESS)) > 0.1

    await until(hears, f"{type(person).__name__} hears the screen", seconds=20)


async def test_a_screen_is_seen_and_heard_beside_the_camera_and_goes_again(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await host.page.evaluate(SCREEN)
    await client.mark()
    await host.see("screen-button").click()
    await _sees_both(client)
    await _hears_it(client)
    assert await host.see("screen-button").get_attribute("aria-pressed") == "true"
    assert await client.kept_connections(), "nothing was begun anew for it"

    # The other one as well, from the side that does not offer.
    await client.page.evaluate(SCREEN)
    await client.see("screen-button").click()
    await _sees_both(host)
    await _hears_it(host)

    # Ended by the browser's own button, as most people do.
    await host.page.evaluate("shownScreen.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    await client.see("remote-screen").wait_for(state="detached")
    assert await host.see("screen-button").get_attribute("aria-pressed") == "false"
    assert await host.page.evaluate("shownScreen.getVideoTracks()[0].readyState") == "ended"
    await client.sees_more_frames(20)
    await host.see("screen-button").click()
    await _sees_both(client)


@pytest.mark.soak
async def test_a_screen_of_the_side_that_does_not_offer_survives_a_reload_of_the_other(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await client.page.evaluate(SCREEN)
    await client.see("screen-button").click()
    await _sees_both(host)
    await host.page.reload()
    await _sees_both(host)
    await client.see("screen-button").click()
    await host.see("remote-screen").wait_for(state="detached")
