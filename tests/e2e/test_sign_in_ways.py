"""Signing in to the desk without a link, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, ROOT, KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage, StartKonsil
from tests.e2e.test_desk import at_desk
from tests.e2e.test_pages import DESKTOP, PHONE, _fits, _tab_to


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
    ("size", "locale"), [(PHONE, "de-DE"), (DESKTOP, "fr-FR")], ids=["phone-de", "desktop-fr"]
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
