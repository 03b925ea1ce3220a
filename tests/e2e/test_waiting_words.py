"""Words for those who wait, and what calls them back when they are asked in."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Host
from tests.e2e.redis_server import RedisServer
from tests.e2e.stage import Stage, StartKonsil
from tests.e2e.test_pages import PHONE, _fits, _hears, _listen

CANARY = "Kanarienvogel-4711"


async def tells(host: Host, text: str, *, minutes: str = "", whom: str = "") -> None:
    if not await host.see("tell-send").is_visible():
        await host.see("tell-open").click()
    await host.see("tell-whom").select_option(label=whom or None, value=None if whom else "")
    await host.see("tell-minutes").select_option(minutes)
    await host.see("tell-text").fill(text)
    await host.see("tell-send").click()


async def test_those_who_wait_are_told_and_how_long_it_takes(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host = await stage.host()
    anna, ben = await stage.client(viewport=PHONE), await stage.client()
    await host.enter(consultation.host_url)
    await anna.knocks(consultation.client_url, "Anna")
    await ben.knocks(consultation.client_url, "Ben")
    await host.sees_waiting("Anna", "Ben")
    assert not await anna.see("waiting-estimate").is_visible(), "nobody has said how long"

    await _listen(anna)
    await tells(host, "Please have your insurance card ready.", minutes="10")
    for client in (anna, ben):
        await expect(client.see("waiting-told")).to_contain_text("insurance card")
        await expect(client.see("waiting-estimate")).to_contain_text("10")
    await _hears(anna, "insurance card")
    await _fits(anna, "told")
    await tells(host, "You are next.", whom="Ben")
    await expect(ben.see("waiting-told")).to_contain_text("You are next.")
    await expect(anna.see("waiting-told")).to_contain_text("insurance card")

    # After a reload, and for those who come later.
    await anna.page.reload()
    await expect(anna.see("waiting-told")).to_contain_text("insurance card")
    dora = await stage.client()
    await dora.knocks(consultation.client_url, "Dora")
    await expect(dora.see("waiting-told")).to_contain_text("insurance card")
    await expect(dora.see("waiting-estimate")).to_contain_text("minute")
    # And it can be taken back.
    await tells(host, "")
    await expect(anna.see("waiting-told")).to_be_hidden()
    await expect(anna.see("waiting-estimate")).to_be_hidden()
    await tells(host, "Good bye.")
    await expect(anna.see("waiting-told")).to_be_visible()
    await host.ends()
    await anna.told("call-ended", "ended")
    stored = await anna.page.evaluate("JSON.stringify({...sessionStorage})")
    assert "Good bye." not in stored
    assert "konsil_receipt" not in stored


async def test_an_estimate_that_was_too_short_admits_it(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await client.page.clock.install()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")
    await tells(host, "", minutes="5")
    # As it is written where the reader is, in Britain: without "PM".
    hour = re.compile(r"more minutes, until about \d\d:\d\d\.")
    await expect(client.see("waiting-estimate")).to_contain_text(hour)
    await client.page.clock.fast_forward("05:30")
    await expect(client.see("waiting-estimate")).to_contain_text("longer")
    await host.ends()


async def test_words_are_nowhere_on_the_server(
    stage: Stage, start_konsil: StartKonsil, redis_server: RedisServer
) -> None:
    konsil = await start_konsil(redis_url=redis_server.url)
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")
    await tells(host, CANARY)
    await expect(client.see("waiting-told")).to_contain_text(CANARY)
    found = [
        path
        for path in konsil.directory.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert found == []
    assert CANARY not in konsil.log()
    assert CANARY not in await konsil.metrics()
    await host.ends()


async def test_being_asked_in_is_shown_by_the_device(stage: Stage, konsil: KonsilServer) -> None:
    """A note by the device, without any name, when the page is not looked at."""
    consultation = await konsil.invite()
    host = await stage.host()
    client = await stage.client(permissions=["camera", "microphone", "notifications"])
    await client.context.add_init_script(
        """window.shownNotes = [];
        const Real = Notification;
        window.Notification = class extends Real {
          constructor(title, options) { super(title, options); window.shownNotes.push(title); }
        };
        Document.prototype.hasFocus = () => false;"""
    )
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")
    await host.admits("Dora")

    async def shown() -> bool:
        return bool(await client.page.evaluate("window.shownNotes.length > 0"))

    await until(shown, "the device shows a note")
    [note] = await client.page.evaluate("window.shownNotes")
    assert note == "Please come in"
    assert (await client.page.title()).startswith("●")
    await host.ends()
