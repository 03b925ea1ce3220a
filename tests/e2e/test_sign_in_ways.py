"""Signing in to the desk without a link, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, ROOT, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Stage, StartKonsil
from tests.e2e.test_desk import at_desk
from tests.e2e.test_pages import DESKTOP, PHONE, _fits, _tab_to
from tests.openid.issuer import SECRET, issuing
from tests.ports import free_port


async def with_authenticator(person: Person) -> Any:
    """Chromium's own authenticator in software, as a phone or laptop has one built in."""
    cdp = await person.context.new_cdp_session(person.page)
    await cdp.send("WebAuthn.enable")
    made = await cdp.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )
    return cdp, made["authenticatorId"]


@pytest.mark.parametrize(
    ("size", "locale"),
    [
        pytest.param(PHONE, "de-DE", id="phone-de"),
        pytest.param(DESKTOP, "fr-FR", id="desktop-fr", marks=pytest.mark.soak),
    ],
)
async def test_a_passkey_from_adding_it_to_its_end(
    stage: Stage, start_konsil: StartKonsil, size: dict[str, int], locale: str
) -> None:
    konsil: KonsilServer = await start_konsil(settings={"KONSIL_PASSKEYS": "true"})
    provider = await at_desk(stage, konsil, viewport=size, locale=locale)
    cdp, device = await with_authenticator(provider)
    await provider.see("passkey-add").click()
    await expect(provider.see("passkey")).to_have_count(1)
    await _fits(provider, "a passkey")
    await is_accessible(provider, "a passkey")
    # The device has it already and says so; no second one is made.
    await provider.see("passkey-add").click()
    words = json.loads((ROOT / f"web/i18n/desk/{locale[:2]}.json").read_text("utf-8"))
    await expect(provider.page.get_by_text(words["passkey.known"])).to_have_count(1)
    kept = await cdp.send("WebAuthn.getCredentials", {"authenticatorId": device})
    assert len(kept["credentials"]) == 1
    assert kept["credentials"][0]["rpId"] == "localhost"
    assert kept["credentials"][0]["isResidentCredential"]

    await provider.see("sign-out").click()
    await provider.told("error-message", "signed_out")
    await _fits(provider, "signed out")
    await is_accessible(provider, "signed out, with a way back")
    await _tab_to(provider, "passkey-sign-in")
    await provider.page.keyboard.press("Enter")
    await provider.shows("new-consultation")
    assert PROVIDER in await provider.see("signed-in").inner_text()
    cookies = await provider.context.cookies()
    assert [one["name"] for one in cookies] == ["APPSESSION"]
    assert await provider.foreign_requests() == []

    # Whose finger is not known, or who thinks better of it, is where they were.
    await provider.see("sign-out").click()
    await provider.told("error-message", "signed_out")
    await cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    await provider.see("passkey-sign-in").click()
    await provider.told("error-message", "passkey_unused")
    await cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})

    # The operator takes it away.
    printed = await konsil.command("provider", "passkeys", PROVIDER, "--remove", "all")
    assert printed.startswith("1 ")
    await provider.see("passkey-sign-in").click()
    await provider.told("error-message", "passkey_refused")
    await _fits(provider, "refused")
    await is_accessible(provider, "refused")
    assert kept["credentials"][0]["credentialId"] not in konsil.log()


@pytest.mark.parametrize(
    ("size", "locale"),
    [
        pytest.param(PHONE, "fr-FR", id="phone-fr"),
        pytest.param(DESKTOP, "en-GB", id="desktop-en", marks=pytest.mark.soak),
    ],
)
async def test_by_way_of_an_openid_provider(
    stage: Stage, start_konsil: StartKonsil, size: dict[str, int], locale: str
) -> None:
    port = free_port()
    konsil = await start_konsil(
        settings={
            "KONSIL_OIDC_ISSUER": f"http://127.0.0.1:{port}",
            "KONSIL_OIDC_CLIENT_ID": "konsil",
            "KONSIL_OIDC_CLIENT_SECRET": SECRET,
            "KONSIL_OIDC_LABEL": "Klinikum Musterstadt",
            "KONSIL_PASSKEYS": "true",
        }
    )
    provider = await stage.person(Person, viewport=size, locale=locale)
    await provider.page.goto(f"{konsil.url}/provider")
    await provider.told("error-message", "link_missing")
    # It is not there yet.
    await provider.see("openid-sign-in").click()
    await provider.told("error-message", "openid_unavailable")
    await _fits(provider, "not there")

    back = f"{konsil.url}/provider"
    async with issuing(back, CLIENT_SECRET=SECRET, PORT=str(port)) as issuer:
        page = provider.page
        # It was left alone for a moment.
        await until(lambda: gets_there(provider, issuer.url), "the OpenID provider is asked again")
        await page.get_by_role("link", name="Cancel").click()
        await provider.told("error-message", "openid_unused")
        await _fits(provider, "cancelled")
        await is_accessible(provider, "cancelled, with two ways to sign in")

        await provider.see("openid-sign-in").click()
        await page.locator("input[name=login]").fill("ada")
        await page.locator("input[name=password]").fill("any")
        await page.locator("button[type=submit]").click()
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        await page.get_by_role("button", name="Continue").click()
        await provider.told("error-message", "openid_unknown")
        assert page.url == back, "what was sent back is gone from the address bar"
        await _fits(provider, "unknown")
        await is_accessible(provider, "unknown")
        assert not [url for url in sent if "code=" in url and "#" not in url]

        await konsil.command("provider", "openid", PROVIDER, "ada")
        await provider.see("openid-sign-in").click()
        # Still signed in there.
        await provider.shows("new-consultation")
        assert PROVIDER in await provider.see("signed-in").inner_text()
    assert page.url == back
    cookies = await provider.context.cookies(f"{konsil.url}/api/v1/desk")
    assert [one["name"] for one in cookies] == ["APPSESSION"]
    kept = await page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "verifier" not in kept
    await page.reload()
    await provider.shows("new-consultation")
    for secret in (SECRET, "ada"):
        assert secret not in konsil.log()


async def gets_there(provider: Person, url: str) -> bool:
    if not provider.page.url.startswith(url):
        button = provider.see("openid-sign-in")
        if await button.is_visible():
            await button.click()
    return provider.page.url.startswith(url)
