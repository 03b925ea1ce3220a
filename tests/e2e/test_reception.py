"""The reception in real browsers: who waits where, words, the way on, and no way in."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, Consultation, KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.test_desk import at_desk
from tests.e2e.test_pages import DESKTOP, PHONE, _fits

SEEN = 15_000  # ms: several looks at the queue


async def opens(reception: Person, link: str) -> None:
    await reception.page.goto(link)
    await reception.page.locator("html[data-ready]").wait_for()
    await reception.shows("desk")


def room_of(reception: Person, consultation: Consultation) -> Locator:
    return reception.page.locator(f'[data-room="{consultation.room}"]')


async def reception_link(konsil: KonsilServer, *names: str) -> str:
    return (await konsil.command("provider", "reception", *(names or (PROVIDER,)))).strip()


async def test_from_the_reception_to_another_room_and_into_a_call_there(
    stage: Stage, konsil: KonsilServer
) -> None:
    """One assistant sees a room, writes, helps with the devices, and passes somebody on."""
    here, there = await konsil.invite(), await konsil.invite()
    reception: Person = await stage.person(Person, viewport=DESKTOP)
    await opens(reception, await reception_link(konsil))
    assert "#" not in reception.page.url, "the link is gone from the address bar"
    host, other, dora = await stage.host(), await stage.host(), await stage.client(viewport=PHONE)
    await host.enter(here.host_url)
    await other.enter(there.host_url)
    await dora.knocks(here.client_url, "Dora")
    entry = reception.see("reception-entry").filter(has_text="Dora")
    await expect(entry).to_have_count(1, timeout=SEEN)
    await expect(room_of(reception, there)).to_be_visible(timeout=SEEN)

    await entry.get_by_test_id("greet-open").click()
    await entry.get_by_test_id("greet-text").fill("Can I help you?")
    await entry.get_by_test_id("greet-send").click()
    await expect(dora.see("reception-words")).to_have_text("Can I help you?")
    await expect(dora.see("onward")).to_be_hidden()
    assert await entry.get_by_test_id("shown-devices").is_hidden(), "nothing without a click"
    await dora.see("show-devices").click()
    await expect(entry.get_by_test_id("shown-devices")).to_contain_text("camera", timeout=SEEN)
    await _fits(dora, "told by the reception")

    emil = await stage.client()
    await emil.knocks(there.client_url, "Emil")
    await entry.get_by_test_id("pass-open").click()
    await entry.get_by_test_id("pass-where").select_option(there.room)
    await entry.get_by_test_id("pass-send").click()
    await expect(host.see("passed-on")).to_contain_text(PROVIDER)
    await dora.see("onward-go").click()
    # Who came later waits on, though here before.
    await other.sees_waiting("Dora", "Emil")
    assert await dora.see("name-input").count() == 0, "nothing has to be said twice"
    await expect(host.see("waiting-entry")).to_have_count(0)

    await other.admits("Dora")
    await dora.sees_more_frames(10)
    # That link came without the secret, so a server in between is seen by comparing.
    code = await (await dora.shows("security-code")).inner_text()
    assert any(letter.isdigit() for letter in code)
    await expect(room_of(reception, there)).to_have_attribute("data-in-call", "true", timeout=SEEN)
    await expect(room_of(reception, here)).to_have_attribute("data-in-call", "false")
    assert "Dora" not in await reception.page.locator("main").inner_text()
    stored = await reception.page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    assert "Dora" not in stored
    assert await reception.page.evaluate("konsilProbe.open(false, false)") == 0
    assert not [url for url in reception.requests if url.endswith(("/ws", "ice-servers"))]
    assert await reception.foreign_requests() == []
    await other.ends()
    await host.ends()


@pytest.mark.parametrize(
    ("locale", "size"),
    [
        pytest.param("de-DE", PHONE, id="de-phone", marks=pytest.mark.soak),
        pytest.param("en-GB", DESKTOP, id="en-desktop", marks=pytest.mark.soak),
        pytest.param("fr-FR", PHONE, id="fr-phone", marks=pytest.mark.soak),
    ],
)
async def test_it_can_be_used_by_everybody(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    here, there = await konsil.invite(), await konsil.invite()
    provider = await at_desk(stage, konsil, locale=locale, viewport=size)
    await provider.see("reception-open").click()
    await provider.see("reception-make").click()
    link = await (await provider.shows("reception-link")).get_attribute("href")
    assert link is not None
    await is_accessible(provider, "the desk with a link for the reception")

    reception: Person = await stage.person(Person, locale=locale, viewport=size)
    await reception.page.goto(f"{konsil.url}/reception")
    await reception.see("link-input").fill(here.client_url)
    await reception.see("link-add").click()
    await reception.shows("error-message")
    await is_accessible(reception, "no link yet, and a wrong one")
    await reception.see("link-input").fill(link)
    await reception.see("link-add").click()
    await reception.shows("desk")
    host, other = await stage.host(), await stage.host()
    await host.enter(here.host_url)
    await other.enter(there.host_url)
    dora = await stage.client(locale=locale, viewport=size)
    await dora.knocks(here.client_url, "Dora")
    await expect(reception.see("reception-entry")).to_have_count(1, timeout=SEEN)
    await expect(room_of(reception, there)).to_be_visible(timeout=SEEN)
    for summary in await reception.page.locator("summary:visible").all():
        await summary.click()
    await is_accessible(reception, "somebody waits, all is open")
    await _fits(reception, "reception")
    await reception.see("greet-text").fill("Guten Tag")
    await reception.see("greet-send").click()
    await reception.see("pass-where").select_option(there.room)
    await reception.see("pass-send").click()
    await dora.shows("onward-go")
    await is_accessible(dora, "asked to go on")
    await reception.shows("pass-back")
    await is_accessible(reception, "asked somebody to go on")
    await is_accessible(host, "the host sees it")
    await reception.see("pass-back").click()
    await expect(dora.see("onward")).to_be_hidden(timeout=SEEN)
    # Keyed by hand alone: writing can be reached and sent without a mouse.
    await reception.see("greet-text").focus()
    await reception.page.keyboard.type("Noch da?")
    await reception.page.keyboard.press("Tab")
    await reception.page.keyboard.press("Enter")
    await expect(dora.see("reception-words")).to_have_text("Noch da?", timeout=SEEN)
    # A reload keeps the link; signing out everywhere voids it.
    await reception.page.reload()
    await expect(reception.see("reception-entry")).to_have_count(1, timeout=SEEN)
    await provider.see("sign-out-everywhere").locator("xpath=..").locator("summary").click()
    await provider.see("sign-out-everywhere").click()
    await reception.told("desk-problem", "token_revoked")
    assert await reception.see("reception-entry").count() == 0
    await is_accessible(reception, "a link that is void")
    await host.ends()
    await other.ends()
