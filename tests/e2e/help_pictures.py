"""The pictures of the help page: a consultation is played, and photographed where it matters.

Nobody's face is in them: the cameras show drawn people (drawn/), and no address is a real one.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, expect

from tests.e2e.chromium import FAKE_DEVICES
from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.people import Client, Host, Person
from tests.e2e.stage import Launch, Stage
from tests.e2e.writing import is_through, open_chat, reads, says

DRAWN: Final = Path(__file__).with_name("drawn")
PUBLIC: Final = "konsil.example"
QUALITY: Final = 45  # of WebP: letters are sharp, and a picture is some 15 kB
# In CSS pixels.
PHONE: Final = {"width": 360, "height": 640}
DESK: Final = {"width": 1100, "height": 720}
MARGIN: Final = 12  # around what a picture begins with

# A sheet of paper, as somebody would explain it; a headless browser has no screen to show.
SCREEN: Final = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 600 });
  const pen = canvas.getContext("2d");
  const draw = () => {
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, 960, 600);
    pen.strokeStyle = "#0f5c66";
    pen.lineWidth = 8;
    pen.beginPath();
    for (let x = 60; x < 900; x += 4) pen.lineTo(x, 330 - 120 * Math.sin(x / 90) ** 3);
    pen.stroke();
    pen.fillStyle = "#cfdadb";
    for (const [y, width] of [[70, 420], [110, 300], [480, 760], [520, 640]]) {
      pen.fillRect(60, y, width, 16);
    }
  };
  setInterval(draw, 200);
  draw();
  return canvas.captureStream(5);
};
"""


# What the devices are called; else it is the path of the film.
LABELS: Final = """
Object.defineProperty(MediaDeviceInfo.prototype, "label", {
  get() { return { videoinput: %s, audioinput: %s }[this.kind] ?? ""; },
});
"""


@dataclass(frozen=True, slots=True)
class Words:
    """What people type, and what their devices are called, in their language."""

    locale: str
    camera: str
    microphone: str
    note: str
    told: str
    asks: str
    answers: str
    file: str


CLIENT: Final = "Dora Linden"


WORDS: Final = {
    "en": Words(
        "en-GB", "Front camera", "Microphone", "Dora Linden, check-up",
        "We are running a little late.", "Could you send me the plan again?",
        "With pleasure, here it is.", "plan.pdf",
    ),
    "de": Words(
        "de-DE", "Frontkamera", "Mikrofon", "Dora Linden, Kontrolle",
        "Wir sind etwas in Verzug.", "Schicken Sie mir den Plan noch einmal?",
        "Gern, hier ist er.", "Plan.pdf",
    ),
    "fr": Words(
        "fr-FR", "Caméra avant", "Microphone", "Dora Linden, contrôle",
        "Nous avons un peu de retard.", "Pouvez-vous me renvoyer le plan ?",
        "Volontiers, le voici.", "plan.pdf",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Theatre:
    """A server under a name that links can show, and two browsers with a camera each."""

    server: KonsilServer
    doctors: Browser
    clients: Browser


def public_server(directory: Path) -> KonsilServer:
    server = KonsilServer(
        directory,
        settings={"KONSIL_PUBLIC_URL": f"https://{PUBLIC}", "KONSIL_TLS_SELF_SIGNED": "true"},
    )
    server.url = f"https://{PUBLIC}"
    server.direct_url = f"https://127.0.0.1:{server.port}"
    return server


async def start_browser(launch: Launch, server: KonsilServer, face: str, place: Path) -> Browser:
    """With a camera that shows the drawn person; one JPEG is a film of one picture."""
    film = place / f"{face}.mjpeg"
    drawing = await launch()
    page = await drawing.new_page(viewport={"width": 1280, "height": 720})
    await page.set_content(
        f"<style>body{{margin:0}}svg{{display:block}}</style>{(DRAWN / f'{face}.svg').read_text()}"
    )
    await page.screenshot(path=film.with_suffix(".jpg"), type="jpeg", quality=92)
    film.with_suffix(".jpg").rename(film)
    await drawing.close()
    return await launch(
        *FAKE_DEVICES,
        f"--use-file-for-fake-video-capture={film}",
        f"--host-resolver-rules=MAP {PUBLIC}:443 127.0.0.1:{server.port}",
        "--ignore-certificate-errors",
    )


Sizes = dict[str, tuple[int, int]]


async def wanted_pictures(person: Person, url: str) -> Sizes:
    """What the help page wants to show, and in which size."""
    await person.page.goto(f"{url}/help")
    await person.shows("help")
    found: list[Any] = await person.see("help-picture").evaluate_all(
        "all => all.map(e => [e.dataset.name, Number(e.getAttribute('width')),"
        " Number(e.getAttribute('height'))])"
    )
    return {name: (width, height) for name, width, height in found}


class Album:
    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self.pictures: dict[str, bytes] = {}

    async def take(
        self, name: str, person: Person, *, first: str = "", wide: int | None = None
    ) -> None:
        """Takes what begins with `first` and is `wide` CSS pixels, or all that is in sight."""
        page = person.page
        await page.locator(".note").wait_for(state="hidden")
        # A caret blinks, and a ring around what was clicked last explains nothing.
        await page.evaluate("document.activeElement?.blur()")
        await page.mouse.move(0, 0)
        left = top = 0.0
        if first:
            found = page.locator(first).first
            await found.wait_for()
            left, top = await found.evaluate(
                "e => { const box = e.getBoundingClientRect();"
                " return [box.left + scrollX, box.top + scrollY]; }"
            )
        assert page.viewport_size is not None
        width, height = self._sizes[name]
        scale = width / (wide or page.viewport_size["width"])
        session = await person.context.new_cdp_session(page)
        taken = await session.send(
            "Page.captureScreenshot",
            {
                "format": "webp",
                "quality": QUALITY,
                "captureBeyondViewport": True,
                "clip": {
                    "x": max(0.0, left - MARGIN) if wide else 0, "y": max(0.0, top - MARGIN),
                    "width": width / scale, "height": height / scale, "scale": scale,
                },
            },
        )  # fmt: skip
        await session.detach()
        self.pictures[name] = base64.b64decode(taken["data"])


async def play(stage: Stage, theatre: Theatre, language: str, place: Path) -> dict[str, bytes]:
    """The story from the planning to the call. Returns WebP files by the names of the page."""
    server, words = theatre.server, WORDS[language]
    labels = LABELS % (json.dumps(words.camera), json.dumps(words.microphone))

    async def come(kind: type[Person], who: Browser, size: dict[str, int]) -> Any:
        person: Person = await stage.person(
            kind, browser=who, viewport=size, locale=words.locale, timezone_id="Europe/Vienna"
        )
        await person.context.add_init_script(labels)
        return person

    # At the desk a consultation is planned.
    desk: Person = await come(Person, theatre.doctors, DESK)
    album = Album(await wanted_pictures(desk, server.url))
    await desk.page.goto((await server.command("provider", "link", PROVIDER)).strip())
    await desk.shows("new-consultation")
    await desk.see("note").fill(words.note)
    await desk.see("create-button").click()
    await desk.shows("qr-code")
    host_url = await desk.see("host-link").get_attribute("href")
    assert host_url is not None
    await album.take("links", desk, first=".link-box", wide=640)
    await desk.see("another-button").click()
    await desk.shows("own-entry")

    # A code for somebody who has no link, which is why there are digits to compare later.
    host: Host = await come(Host, theatre.doctors, DESK)
    await host.enter(host_url)
    await host.see("code-make").click()
    spoken = await (await host.shows("code-digits")).inner_text()
    assert re.fullmatch(r"\d{3} \d{3} \d{3}", spoken)
    client: Client = await come(Client, theatre.clients, PHONE)
    await client.page.goto(f"{server.url}/join")
    await client.see("code-input").fill(spoken)
    await album.take("code", client, first=".code-form")
    await client.see("code-button").click()

    preview = await client.shows("device-preview")
    await expect(preview).to_have_js_property("videoWidth", 1280)
    await expect(client.page.locator(".meter-level")).to_be_visible()
    await album.take("devices", client, first="main h1")
    await client.see("name-input").fill(CLIENT)
    await client.see("consent-checkbox").check()
    await album.take("join", client, first=".setup-form")
    await client.see("join-button").click()
    await client.shows("waiting-status")

    await host.sees_waiting(CLIENT)
    await host.see("tell-open").click()
    await host.see("tell-minutes").select_option("5")
    await host.see("tell-text").fill(words.told)
    await host.see("tell-send").click()
    await client.shows("waiting-told")
    await album.take("waiting", client, first=".waiting")
    await expect(desk.see("queue")).to_contain_text(CLIENT, timeout=20_000)
    await album.take("list", desk, first=".card:has([data-testid='own-list'])", wide=530)
    await host.see("tell-open").click()
    await host.see("admit-button").evaluate("e => e.scrollIntoView({ block: 'center' })")
    await album.take("admit", host)

    await host.admits(CLIENT)
    await client.sees_more_frames(10)
    await host.sees_more_frames(10)
    await client.shows("security-code")
    await album.take("compare", client)
    for person in (client, host):
        await person.page.locator(".compare button.primary").click()
        await person.page.locator(".compare").wait_for(state="hidden")
    await album.take("call", client)

    await open_chat(host, client)
    await says(client, words.asks)
    await reads(host, words.asks)
    await says(host, words.answers)
    await reads(client, words.asks, words.answers)
    source = place / words.file
    source.write_bytes(b"%PDF-1.4\n" + bytes(180_000))
    await host.see("file-input").set_input_files(source)
    await client.shows("file-accept")
    await album.take("chat", client)
    await client.see("file-accept").click()
    await is_through(host, seconds=30)
    await host.page.evaluate(SCREEN)
    await host.see("screen-button").click()
    await client.shows("remote-screen")
    await host.sees_more_frames(10)
    await album.take("room", host)
    return album.pictures
