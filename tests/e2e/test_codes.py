"""A code read over the telephone, from the host's desk into a call."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.stage import Stage
from tests.e2e.test_pages import PHONE, _fits, _tab_to


async def test_from_a_code_to_a_call_with_the_security_code_to_compare(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client(viewport=PHONE)
    await host.enter(consultation.host_url)
    await host.see("code-make").click()
    spoken = await (await host.shows("code-digits")).inner_text()
    assert re.fullmatch(r"\d{3} \d{3} \d{3}", spoken)

    await client.page.goto(f"{konsil.url}/join")
    await client.told("error-message", "link_missing")
    await _fits(client, "code entry")
    await client.see("code-input").fill("12345")
    await client.see("code-button").click()
    await expect(client.see("code-fault")).to_have_attribute("data-code", "bad_code")
    wrong = "000000001" if spoken != "000 000 001" else "000000002"
    await client.see("code-input").fill(wrong)
    await client.see("code-button").click()
    await expect(client.see("code-fault")).to_have_attribute("data-code", "code_unknown")

    await client.see("code-input").fill(spoken)
    await client.page.keyboard.press("Enter")
    await client.joins("Dora")
    await client.shows("waiting-status")
    await expect(host.see("code-digits")).to_have_attribute("data-used", "true", timeout=15_000)
    # A reload does not need the code again.
    await client.page.reload()
    await client.shows("waiting-status")
    await host.sees_waiting("Dora")
    for person in (host, client):
        await person.page.evaluate("konsilProbe.listen()")
    await host.admits("Dora")
    await host.sees_more_frames(10)
    await client.sees_more_frames(10)
    codes = []
    for person in (host, client):
        code = await (await person.shows("security-code")).inner_text()
        found = re.search(r"\d{3}\s?\d{3}", code)
        assert found, "no secret was shared, so both compare"
        codes.append(re.sub(r"\s", "", found[0]))
        said = " ".join(await person.page.evaluate("konsilProbe.announced"))
        assert "compare the security code with" in said
        assert " ".join(codes[-1]) in said, "digit by digit"
    assert codes[0] == codes[1]

    other = await stage.client()
    await other.page.goto(f"{konsil.url}/join")
    await other.see("code-input").fill(spoken)
    await other.see("code-button").click()
    await expect(other.see("code-fault")).to_have_attribute("data-code", "already_used")
    await host.ends()


async def test_a_code_by_keyboard_alone(stage: Stage, konsil: KonsilServer) -> None:
    client = await stage.client()
    await client.page.goto(f"{konsil.url}/join")
    await client.shows("code-input")
    await _tab_to(client, "code-input")
    await client.page.keyboard.type("12")
    await client.page.keyboard.press("Enter")
    await expect(client.see("code-fault")).to_have_attribute("data-code", "bad_code")
    assert (await client.page.evaluate("konsilProbe.focus()"))[0] == "code-input"
