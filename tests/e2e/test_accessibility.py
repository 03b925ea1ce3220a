"""No page or state that people see has a fault that axe-core can find, in any language."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.test_pages import DESKTOP, PHONE

pytestmark = pytest.mark.timeout(180)  # a story with a look at every stop
languages = pytest.mark.parametrize(
    ("locale", "size"),
    [
        pytest.param("en-GB", DESKTOP, id="en-desktop"),
        pytest.param("de-DE", PHONE, id="de-phone", marks=pytest.mark.soak),
        pytest.param("fr-FR", PHONE, id="fr-phone", marks=pytest.mark.soak),
    ],
)


@languages
async def test_pages_without_a_link(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    visitor = await stage.person(Person, locale=locale, viewport=size)
    for path, test_id in (
        ("/", None),
        ("/help", "help"),
        ("/nothing-here", "error-message"),
        ("/join", "code-input"),
        ("/join#broken", "error-message"),
        ("/host", "error-message"),
        ("/provider", "error-message"),
    ):
        await visitor.page.goto("about:blank")
        await visitor.page.goto(konsil.url + path)
        await visitor.page.locator("html[data-ready]").wait_for()
        if test_id is not None:
            await visitor.shows(test_id)
        await is_accessible(visitor, path)
    await visitor.page.goto(f"{konsil.url}/join")
    await visitor.see("code-input").fill("1")
    await visitor.see("code-button").click()
    await expect(visitor.see("code-fault")).not_to_be_empty()
    await is_accessible(visitor, "a wrong code")


@languages
async def test_the_providers_desk(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    provider = await stage.person(Person, locale=locale, viewport=size)
    await provider.page.goto((await konsil.command("provider", "link", PROVIDER)).strip())
    await provider.shows("new-consultation")
    for summary in await provider.page.locator("summary").all():
        await summary.click()
    await is_accessible(provider, "form")
    await provider.see("minutes").fill("1")
    await provider.see("create-button").click()
    await provider.shows("error-message")
    await is_accessible(provider, "form with a fault")
    await provider.see("minutes").fill("30")
    await provider.see("links").fill("2")
    await provider.see("create-button").click()
    await provider.shows("host-link")
    for summary in await provider.page.locator("details:not([open]) > summary").all():
        await summary.click()
    await is_accessible(provider, "links")
    await provider.see("another-button").click()
    await provider.shows("own-entry")
    await provider.see("next-link-button").click()
    await provider.shows("next-link")
    await is_accessible(provider, "list")
    await provider.see("sign-out").click()
    await provider.told("error-message", "signed_out")
    await is_accessible(provider, "signed out")


@languages
async def test_a_consultation(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    consultation = await konsil.invite()
    host = await stage.host(locale=locale, viewport=size)
    client = await stage.client(locale=locale, viewport=size)
    await host.enter(consultation.host_url)
    await host.see("code-make").scroll_into_view_if_needed()
    await host.see("code-make").click()
    await host.shows("code-digits")
    await host.see("tell-open").click()
    await host.shows("tell-send")
    await is_accessible(host, "empty desk with its tools")

    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    await is_accessible(client, "before joining")
    await client.see("join-button").click()
    await is_accessible(client, "before joining, with faults")
    await client.joins("Dora")
    await client.shows("waiting-status")
    await host.sees_waiting("Dora")
    await host.see("tell-minutes").select_option("10")
    await host.see("tell-text").fill("Bitte noch etwas Geduld.")
    await host.see("tell-send").click()
    await client.shows("waiting-told")
    await is_accessible(client, "waiting room")
    await is_accessible(host, "desk with somebody waiting")
    await host.admits("Dora")
    await client.sees_more_frames(10)
    await host.sees_more_frames(10)
    await is_accessible(client, "call, client")
    await is_accessible(host, "call, host")
    await host.see("end-consultation").click()
    await host.shows("end-confirm")
    await is_accessible(host, "question before the end")
    await host.see("end-confirm").click()
    for person in (host, client):
        await person.told("call-ended", "ended")
        await is_accessible(person, "end")
