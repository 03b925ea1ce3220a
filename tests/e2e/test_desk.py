"""The provider's desk: signing in, making a consultation, handing it out, seeing who waits."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.async_api import expect

from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.test_pages import DESKTOP, PHONE, _fits, _tab_to

LINK = re.compile(r"^http://localhost:\d+/(join|host)#[\w-]+\.[\w-]+\.[\w-]+~[\w-]{22}$")


async def sign_in_link(konsil: KonsilServer) -> str:
    return (await konsil.command("provider", "link", PROVIDER)).strip()


async def at_desk(stage: Stage, konsil: KonsilServer, **options: object) -> Person:
    provider: Person = await stage.person(Person, **options)
    await provider.page.goto(await sign_in_link(konsil))
    await provider.shows("new-consultation")
    return provider


async def makes_one(provider: Person) -> None:
    await provider.see("create-button").click()
    await provider.shows("client-link")


async def test_a_sign_in_link_works_once_and_a_reload_lives_from_the_cookie(
    stage: Stage, konsil: KonsilServer
) -> None:
    link = await sign_in_link(konsil)
    provider = await stage.person(Person)
    await provider.page.goto(link)
    await provider.shows("new-consultation")
    assert "#" not in provider.page.url, "the link is gone from the address bar"
    cookies = await provider.context.cookies()
    assert [one["name"] for one in cookies] == ["APPSESSION"]
    assert cookies[0]["httpOnly"]
    assert cookies[0]["sameSite"] == "Strict"
    assert cookies[0]["expires"] == -1, "ends with the browser's session"

    await provider.page.reload()
    await provider.shows("new-consultation")
    # The same link once more where it has signed in: nobody is sent away.
    await provider.page.goto("about:blank")
    await provider.page.goto(link)
    await provider.shows("new-consultation")

    other = await stage.person(Person)
    await other.page.goto(link)
    await other.told("error-message", "already_used")
    assert "konsil provider link" in await other.see("error-message").inner_text()
    # Nothing of the links is left where the tab could read it.
    stored = await provider.page.evaluate(
        "JSON.stringify([{...sessionStorage}, {...localStorage}])"
    )
    assert link.partition("#")[2] not in stored


async def test_signing_out_here_and_everywhere(stage: Stage, konsil: KonsilServer) -> None:
    laptop, phone = await at_desk(stage, konsil), await at_desk(stage, konsil)
    await laptop.see("sign-out").click()
    await laptop.told("error-message", "signed_out")
    assert await laptop.context.cookies() == []
    await laptop.page.reload()
    await laptop.told("error-message", "link_missing")

    await laptop.page.goto(await sign_in_link(konsil))
    await laptop.shows("new-consultation")
    await laptop.see("sign-out-everywhere").locator("xpath=..").locator("summary").click()
    await laptop.see("sign-out-everywhere").click()
    await laptop.told("error-message", "signed_out")
    await phone.see("create-button").click()
    await phone.told("error-message", "not_signed_in")


async def test_a_link_for_another_device(stage: Stage, konsil: KonsilServer) -> None:
    laptop = await at_desk(stage, konsil)
    await laptop.see("next-link-button").click()
    link = await (await laptop.shows("next-link")).get_attribute("href")
    assert link is not None
    phone = await stage.person(Person)
    await phone.page.goto(link)
    await phone.shows("new-consultation")


async def test_from_the_desk_to_a_call(stage: Stage, konsil: KonsilServer) -> None:
    """Both links work; who waits is seen at the desk, by name, and heard."""
    provider = await at_desk(stage, konsil)
    await provider.see("note").fill("Frau Beispiel")
    await makes_one(provider)
    client_url = await provider.see("client-link").get_attribute("href")
    host_url = await provider.see("host-link").get_attribute("href")
    assert client_url is not None
    assert host_url is not None
    assert LINK.match(client_url)
    assert LINK.match(host_url)
    await provider.see("another-button").click()
    entry = provider.see("own-entry").filter(has_text="Frau Beispiel")
    await expect(entry).to_have_count(1)

    client = await stage.client()
    await client.knocks(client_url, "Dora")
    queue = entry.get_by_test_id("queue")
    await expect(queue).to_contain_text("Dora", timeout=15_000)
    assert (await provider.page.title()).startswith(("(1)", "●"))

    host = await stage.host()
    await host.enter(host_url)
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await client.sees_more_frames(10)
    await expect(queue).not_to_contain_text("Dora", timeout=15_000)
    await host.ends()
    assert await provider.foreign_requests() == []


async def test_what_is_planned_stays_in_this_browser_if_wanted(
    stage: Stage, konsil: KonsilServer
) -> None:
    provider = await at_desk(stage, konsil)
    await provider.see("note").fill("Herr Muster")
    await makes_one(provider)
    await provider.page.reload()
    entry = provider.see("own-entry").filter(has_text="Herr Muster")
    await expect(entry).to_have_count(1)
    assert await provider.page.evaluate("localStorage.length") == 0

    second = await provider.context.new_page()
    await second.goto(f"{konsil.url}/provider")
    await second.get_by_test_id("new-consultation").wait_for()
    assert await second.get_by_test_id("own-entry").count() == 0, "another tab has its own"
    await second.close()

    await provider.see("keep-list").check()
    third = await provider.context.new_page()
    await third.goto(f"{konsil.url}/provider")
    await expect(third.get_by_test_id("own-entry")).to_have_count(1)
    # Two tabs share it while it is kept; what becomes of it in one is seen in the other.
    await third.get_by_test_id("create-button").click()
    await third.get_by_test_id("another-button").click()
    await expect(provider.see("own-entry")).to_have_count(2)
    await entry.get_by_test_id("own-forget").click()
    await expect(third.get_by_test_id("own-entry")).to_have_count(1)
    await third.get_by_test_id("keep-list").uncheck()
    assert await third.evaluate("localStorage.length") == 0
    await expect(provider.see("own-entry")).to_have_count(0)
    await expect(provider.see("keep-list")).not_to_be_checked()
    await expect(provider.page.locator(".note")).to_contain_text("no longer kept on this device")
    forget = third.get_by_test_id("own-forget")

    async def gone() -> bool:
        # Where the list has just moved, it takes no press.
        if await forget.count():
            await forget.click()
        return await forget.count() == 0

    await until(gone, "the last one is forgotten")


async def test_links_go_out_in_the_clients_language(
    stage: Stage, konsil: KonsilServer, tmp_path: Path
) -> None:
    provider = await at_desk(stage, konsil, locale="en-GB", timezone_id="Europe/Vienna")
    await provider.see("when-later").count()
    await provider.see("starts-at").fill("2099-01-31T10:30")
    await provider.see("create-button").click()
    await provider.shows("error-message")
    in_three_days = await provider.page.evaluate(
        "(() => { const d = new Date(Date.now() + 3 * 864e5); d.setHours(10, 30, 0, 0);"
        " const local = new Date(d - d.getTimezoneOffset() * 6e4);"
        " return [d.toISOString(), local.toISOString().slice(0, 16)] })()"
    )
    await provider.see("starts-at").fill(in_three_days[1])
    await makes_one(provider)
    client_url = await provider.see("client-link").get_attribute("href")
    assert client_url is not None
    seen = set()
    for language, word in (
        ("de", "Videosprechstunde"),
        ("fr", "téléconsultation"),
        ("en", "consultation"),
    ):
        await provider.see("client-language").select_option(language)

        async def written(word: str = word) -> bool:
            return word in await provider.see("sms-text").input_value()

        await until(written, f"the message is in {language}")
        mail = await provider.see("mail-link").get_attribute("href")
        assert mail is not None
        assert client_url in unquote(mail)
        assert client_url in await provider.see("sms-text").input_value()
        seen.add(unquote(mail))
    assert len(seen) == 3

    starts = re.sub(r"[-:]|\.\d+", "", in_three_days[0])
    for button, url in (("ics-download", client_url), ("ics-download-host", "/host#")):
        async with provider.page.expect_download() as waiting:
            await provider.see(button).click()
        file = tmp_path / f"{button}.ics"
        await (await waiting.value).save_as(file)
        text = file.read_bytes().decode()
        assert text.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
        whole = text.replace("\r\n ", "")
        assert f"DTSTART:{starts}" in whole
        assert "BEGIN:VALARM" in whole
        assert url in whole
    assert await provider.see("qr-code").locator("svg").count() == 1


@pytest.mark.soak
async def test_a_group_gets_a_link_each_and_the_waiting_room_opens_as_set(
    stage: Stage, konsil: KonsilServer
) -> None:
    provider = await at_desk(stage, konsil)
    await provider.see("links").locator("xpath=ancestor::details").locator("summary").click()
    await provider.see("links").fill("3")
    await provider.see("opens-before").fill("0")
    await makes_one(provider)
    urls = [await link.get_attribute("href") for link in await provider.see("client-link").all()]
    assert len(set(urls)) == 3
    assert len({urlsplit(url or "").fragment.partition("~")[2] for url in urls}) == 1
    for number, url in enumerate(urls):
        client = await stage.client()
        await client.knocks(str(url), f"Person {number}")
    await provider.see("another-button").click()
    await expect(provider.see("queue")).to_have_attribute("data-waiting", "3", timeout=15_000)


@pytest.mark.parametrize(
    ("size", "locale"),
    [(PHONE, "de-DE"), (PHONE, "fr-FR"), (DESKTOP, "en-GB")],
    ids=["phone-de", "phone-fr", "desktop-en"],
)
async def test_the_desk_fits(
    stage: Stage, konsil: KonsilServer, size: dict[str, int], locale: str
) -> None:
    provider = await at_desk(stage, konsil, viewport=size, locale=locale)
    await provider.see("note").fill("Maximiliane Freifrau von und zu Mustermann-Beispielhausen")
    await _fits(provider, "form")
    await makes_one(provider)
    await _fits(provider, "links")
    await provider.see("another-button").click()
    await provider.shows("own-entry")
    await provider.see("next-link-button").click()
    await provider.shows("next-link")
    await _fits(provider, "list")
    await provider.see("sign-out").click()
    await provider.told("error-message", "signed_out")
    await _fits(provider, "signed out")


async def test_the_desk_by_keyboard_alone(stage: Stage, konsil: KonsilServer) -> None:
    provider = await at_desk(stage, konsil)
    await _tab_to(provider, "minutes")
    await _tab_to(provider, "create-button")
    await provider.page.keyboard.press("Enter")
    await provider.shows("client-link")
    await _tab_to(provider, "client-link-copy")
    await provider.page.keyboard.press("Enter")
    await _tab_to(provider, "ics-download")
    await _tab_to(provider, "another-button")
    await provider.page.keyboard.press("Enter")
    await provider.shows("own-entry")
    await _tab_to(provider, "own-links")
    await provider.page.keyboard.press("Enter")
    await provider.shows("client-link")


async def test_help_is_there_for_everybody(stage: Stage, konsil: KonsilServer) -> None:
    """Without a link or a sign-in, from every page, in a tab of its own."""
    visitor = await stage.person(Person, viewport=PHONE, locale="de-DE")
    await visitor.page.goto(konsil.url)
    async with visitor.context.expect_page() as opened:
        await visitor.page.get_by_role("link", name="Hilfe").click()
    page = await opened.value
    await page.get_by_test_id("help").wait_for()
    assert page.url == f"{konsil.url}/help"
    words = await page.locator("main").inner_text()
    assert "Wartezimmer" in words
    assert f"{urlsplit(konsil.url).netloc}/join" in words
    assert "{" not in words
    visitor.page = page
    await _fits(visitor, "help")
    assert await visitor.context.cookies() == []

    # Pictures come when they are near, in the reader's language, and move nothing when they come.
    pictures = visitor.see("help-picture")
    last = pictures.last
    assert not await last.evaluate("e => e.complete"), "those far below are not loaded at first"
    height = await page.evaluate("document.body.scrollHeight")
    for picture in await pictures.all():
        await picture.scroll_into_view_if_needed()
        await expect(picture).to_have_js_property("complete", True)
        address, wide = await picture.evaluate("e => [e.currentSrc, e.naturalWidth]")
        assert "/static/img/help/de/" in address
        assert wide == int(await picture.get_attribute("width") or 0)
    assert await page.evaluate("document.body.scrollHeight") == height


async def test_a_used_link_of_somebody_else_does_not_open_ones_own_desk(
    stage: Stage, konsil: KonsilServer
) -> None:
    colleague = (await konsil.command("provider", "add", "Dr. Colleague")).strip()
    elsewhere = await stage.person(Person)
    await elsewhere.page.goto(colleague)
    await elsewhere.shows("new-consultation")
    provider = await at_desk(stage, konsil)
    await provider.page.goto("about:blank")
    await provider.page.goto(colleague)
    await provider.told("error-message", "already_used")
