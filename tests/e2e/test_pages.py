"""The pages themselves: narrow and wide, by keyboard alone, in three languages."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Person
from tests.e2e.stage import Stage, StartKonsil

SMALL = {"width": 320, "height": 640}
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}


async def _fits(person: Person, where: str) -> None:
    """Nothing has to be scrolled sideways, and every control in sight is within the page."""
    overflow = await person.page.evaluate("konsilProbe.overflow()")
    assert overflow["by"] <= 0, f"{where}: {overflow['by']} px too wide"
    assert overflow["out"] == [], f"{where}: outside of the page"


@pytest.mark.parametrize(
    ("size", "locale"), [(PHONE, "de-DE"), (PHONE, "fr-FR"), (DESKTOP, "de-DE")],
    ids=["phone-de", "phone-fr", "desktop-de"],
)  # fmt: skip
async def test_every_screen_fits(
    stage: Stage, konsil: KonsilServer, size: dict[str, int], locale: str
) -> None:
    consultation = await konsil.invite()
    host = await stage.host(viewport=size, locale=locale)
    client = await stage.client(viewport=size, locale=locale)
    name = "Maximiliane Freifrau von und zu Mustermann-Beispielhausen"

    await host.enter(consultation.host_url)
    await _fits(host, "empty desk")
    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    await _fits(client, "before joining")
    await client.joins(name)
    await client.shows("waiting-status")
    await _fits(client, "waiting room")
    await host.sees_waiting(name)
    # On a phone the list is below the host's own picture, or slides in while a call is on.
    await host.see("admit-button").scroll_into_view_if_needed()
    await expect(host.see("admit-button")).to_be_in_viewport(ratio=1)
    await _fits(host, "desk with somebody waiting")
    await host.admits(name)
    await host.sees_more_frames(10)
    await client.sees_more_frames(10)
    for person in (host, client):
        await _fits(person, "call")
        await expect(person.see("leave-button")).to_be_in_viewport(ratio=1)
        await expect(person.see("local-video")).to_be_in_viewport(ratio=1)
        picture = await person.see("remote-video").first.bounding_box()
        assert picture is not None
        assert picture["width"] >= 0.5 * size["width"], "the other one fills the screen"
    await host.ends()
    for person in (host, client):
        await person.told("call-ended", "ended")
        await _fits(person, "end")


async def _tab_to(person: Person, test_id: str) -> None:
    """Presses Tab until the control has the focus, and sees that this can be seen."""
    for _ in range(40):
        await person.page.keyboard.press("Tab")
        focus = await person.page.evaluate("konsilProbe.focus()")
        if focus[0] == test_id:
            assert focus[1], f"the focus on {test_id} cannot be seen"
            return
    raise AssertionError(f"Tab does not lead to {test_id}")


async def test_everything_works_by_keyboard_alone(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.page.goto(consultation.host_url)
    await client.page.goto(consultation.client_url)
    await client.shows("name-input")

    await _tab_to(client, "name-input")
    await client.page.keyboard.type("Dora")
    await _tab_to(client, "consent-checkbox")
    await client.page.keyboard.press("Space")
    await _tab_to(client, "join-button")
    await client.page.keyboard.press("Enter")
    await client.shows("waiting-status")

    await host.sees_waiting("Dora")
    await _tab_to(host, "admit-button")
    await host.page.keyboard.press("Enter")
    await client.sees_more_frames(10)

    await _tab_to(client, "mic-button")
    await client.page.keyboard.press("Space")
    await host.sees_muted()
    await _tab_to(client, "leave-button")
    await client.page.keyboard.press("Enter")
    await client.told("call-ended", "left")

    await _tab_to(host, "end-consultation")
    await host.page.keyboard.press("Enter")
    await _tab_to(host, "end-confirm")
    await host.page.keyboard.press("Enter")
    await host.told("call-ended", "ended")


async def test_changes_are_announced(stage: Stage, konsil: KonsilServer) -> None:
    """A screen reader is told who knocks and that one has been let in."""
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await _listen(host)
    title = await host.page.title()
    await client.knocks(consultation.client_url, "Dora")
    await _listen(client)

    await _hears(host, "Dora")

    async def knocked() -> bool:
        return await host.page.title() != title

    await until(knocked, "the title tells that somebody has knocked")
    await host.admits("Dora")
    await client.sees_more_frames(10)
    await _hears(client, "Ada Example")


async def _listen(person: Person) -> None:
    """Keeps whatever comes into a live region from now on."""
    await person.page.evaluate("konsilProbe.listen()")


async def _hears(person: Person, text: str) -> None:
    async def heard() -> bool:
        return any(text in words for words in await person.page.evaluate("konsilProbe.announced"))

    await until(heard, f"{text!r} is announced")


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en-GB", "en"), ("de-AT", "de"), ("fr-CA", "fr"), ("it-IT", "en")],
)
async def test_the_browser_chooses_the_language(
    stage: Stage, konsil: KonsilServer, locale: str, language: str
) -> None:
    client = await stage.client(locale=locale)

    await client.page.goto((await konsil.invite()).client_url)

    await client.shows("name-input")
    assert await client.page.locator("html").get_attribute("lang") == language


async def test_the_language_can_be_switched_anywhere(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    client = await stage.client()
    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    seen = set()
    for language in ("de", "fr", "en"):
        seen.add(await _say_in(client, language))
    assert len(seen) == 3
    await client.see("name-input").fill("Dora")
    await _say_in(client, "de")
    assert await client.see("name-input").input_value() == "Dora", "typed text is lost"

    await client.joins("Dora")
    await client.shows("waiting-status")
    seen = set()
    for language in ("fr", "en", "de"):
        seen.add(await _say_in(client, language))
    assert len(seen) == 3
    await client.page.reload()
    await client.shows("waiting-status")
    assert await client.page.locator("html").get_attribute("lang") == "de"


async def _say_in(client: Client, language: str) -> str:
    """Switches, and returns all that is then to be read. No key of the catalogue shows through."""
    await client.page.locator("label.language select").select_option(language)
    await client.page.locator(f'html[lang="{language}"]').wait_for()
    words = await client.page.locator("main").inner_text()
    assert not re.search(r"\b[a-z]+\.[a-z]+_[a-z]+\b", words), words
    return words


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/join", "link_missing"),
        ("/join#broken", "link_incomplete"),
        ("/join#eyJ9.eyJyb29tIjoieCJ9.AAAA", "token_invalid"),
        ("/host#eyJ9.eyJyb29tIjoieCJ9.AAAA", "token_invalid"),
    ],
)
async def test_a_bad_link_is_explained(
    stage: Stage, konsil: KonsilServer, path: str, code: str
) -> None:
    client = await stage.client()

    await client.page.goto(konsil.url + path)

    await client.told("error-message", code)


async def test_a_link_past_its_end_is_explained(stage: Stage, konsil: KonsilServer) -> None:
    client = await stage.client()

    await client.page.goto(konsil.expired_client_url())

    await client.told("error-message", "token_closed")


async def test_a_voided_link_is_explained(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    client = await stage.client()
    await konsil.command("provider", "revoke", PROVIDER)

    await client.page.goto(consultation.client_url)

    await client.told("error-message", "token_revoked")
    await client.page.goto((await konsil.invite()).client_url)
    await client.shows("name-input")


# --- links to what the operator has to say ---

EVERY_PAGE = ("/", "/help", "/nothing-here", "/join", "/host", "/provider", "/reception")
LEGAL = ("imprint-link", "privacy-link")


async def _links_to_the_operator(person: Person, where: str) -> None:
    """Both are in sight when one has scrolled to them, large enough, and nothing lies over them."""
    for test_id in LEGAL:
        link = await person.shows(test_id)
        await link.scroll_into_view_if_needed()
        await expect(link).to_be_in_viewport(ratio=0.99)
        await link.click(trial=True)
        box = await link.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, f"{where}: {test_id} is too small"
    await _fits(person, where)
    await is_accessible(person, where)


def _legal(konsil: KonsilServer) -> dict[str, str]:
    """Another server's pages, as the operator's own would be."""
    return {
        "KONSIL_IMPRINT_URL": f"{konsil.url}/help?a=1&b=2#imprint",
        "KONSIL_PRIVACY_URL": f"{konsil.url}/help#privacy",
    }


@pytest.mark.timeout(180)  # a story with a look at every stop
@pytest.mark.parametrize(
    "size", [SMALL, pytest.param(DESKTOP, marks=pytest.mark.soak)], ids=["small", "desktop"]
)
async def test_imprint_and_privacy_notice_are_on_every_page(
    stage: Stage, konsil: KonsilServer, start_konsil: StartKonsil, size: dict[str, int]
) -> None:
    settings = _legal(konsil)
    server = await start_konsil(settings=settings)
    host, client = await stage.host(viewport=size), await stage.client(viewport=size)
    for path in EVERY_PAGE:
        await client.page.goto(server.url + path)
        await client.page.locator("html[data-ready]").wait_for()
        await _links_to_the_operator(client, path)

    consultation = await server.invite()
    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    await _links_to_the_operator(client, "before joining")
    await client.see("name-input").fill("Dora")
    await _tab_to(client, "privacy-notice")
    await _tab_to(client, "privacy-link")
    for test_id, url in (
        ("privacy-notice", settings["KONSIL_PRIVACY_URL"]),
        ("privacy-link", settings["KONSIL_PRIVACY_URL"]),
        ("imprint-link", settings["KONSIL_IMPRINT_URL"]),
    ):
        async with client.context.expect_page() as opening:
            await client.see(test_id).click()
        opened = await opening.value
        await opened.wait_for_url(url)
        assert await opened.evaluate("[opener, document.referrer]") == [None, ""]
        await opened.close()
    assert await client.see("name-input").input_value() == "Dora", "the page is left"

    await client.joins("Dora")
    await client.shows("waiting-status")
    await _links_to_the_operator(client, "waiting room")
    await _say_in(client, "de")
    assert await client.see("imprint-link").inner_text() == "Impressum"
    await host.enter(consultation.host_url)
    await host.sees_waiting("Dora")
    await _links_to_the_operator(host, "desk")
    await host.admits("Dora")
    for person in (host, client):
        await person.sees_more_frames(10)
        for test_id in LEGAL:
            await expect(person.see(test_id)).to_be_hidden()
    await host.ends()
    for person in (host, client):
        await person.told("call-ended", "ended")
        await _links_to_the_operator(person, "end")


async def test_nothing_is_linked_to_where_there_is_nothing(
    stage: Stage, konsil: KonsilServer
) -> None:
    client = await stage.client()
    for path in EVERY_PAGE:
        await client.page.goto(konsil.url + path)
        await client.page.locator("html[data-ready]").wait_for()
        await expect(client.page.locator("footer")).to_have_count(0)
    await client.page.goto((await konsil.invite()).client_url)
    await client.shows("name-input")
    await expect(client.page.locator("footer")).to_have_count(0)
    await expect(client.see("privacy-notice")).to_have_count(0)


async def test_imprint_and_privacy_notice_need_no_script(
    stage: Stage, konsil: KonsilServer, start_konsil: StartKonsil
) -> None:
    server = await start_konsil(settings=_legal(konsil))
    visitor = await stage.person(Person, java_script_enabled=False, locale="de-DE")
    for path in EVERY_PAGE:
        await visitor.page.goto(server.url + path)
        for test_id in LEGAL:
            await visitor.shows(test_id)
    await visitor.page.goto(f"{server.url}/join")
    assert await visitor.see("imprint-link").inner_text() == "Impressum"
