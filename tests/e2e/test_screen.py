"""Two people, one of whom shows the screen."""

from __future__ import annotations

from typing import Any

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
  return window.shownScreen = canvas.captureStream(10);
};
"""


async def _sees_shape(person: Person, square: bool) -> None:
    async def sees() -> bool:
        size: Any = await person.see("remote-video").evaluate("v => [v.videoWidth, v.videoHeight]")
        return bool(size[0] > 0 and (size[0] == size[1]) is square)

    await until(sees, f"the picture is {'the screen' if square else 'the camera'}", seconds=30)


async def test_a_screen_takes_the_place_of_the_camera_and_goes_again(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await host.page.evaluate(SCREEN)
    await host.see("camera-button").click()
    await host.see("screen-button").click()

    await _sees_shape(client, square=True)
    assert await host.see("screen-button").get_attribute("aria-pressed") == "true"
    tile = client.page.locator("article.tile")
    assert await tile.get_attribute("data-video") == "true", "the camera is off, the screen is not"

    await host.see("camera-button").click()
    await client.sees_more_frames(20)
    await _sees_shape(client, square=True)

    # Ended by the browser's own button, as most people do.
    await host.page.evaluate("shownScreen.getTracks()[0].dispatchEvent(new Event('ended'))")
    await _sees_shape(client, square=False)
    assert await host.see("screen-button").get_attribute("aria-pressed") == "false"
    assert await host.page.evaluate("shownScreen.getTracks()[0].readyState") == "ended"
    await client.sees_more_frames()
