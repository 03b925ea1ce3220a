"""The check of the line before joining: what it finds, and that it keeps nobody from joining."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage, StartKonsil
from tests.e2e.test_pages import DESKTOP, PHONE

OWN = {
    "KONSIL_ROLES": "signaling,turn",
    "KONSIL_TURN_PORT": "0",
    "KONSIL_TURN_TLS_PORT": "0",
    "KONSIL_DRAIN_SECONDS": "1",
}
# What a check costs the relay, in and out of it.
MOST_RELAYED = 3 << 20


async def checks(person: Person) -> str:
    """From the click to the verdict."""
    button = await person.shows("check-button")
    await button.click()
    result = await person.shows("check-result", seconds=20)
    await expect(result).to_have_attribute("data-phase", "done", timeout=20_000)
    return str(await result.get_attribute("data-verdict"))


async def relayed(konsil: KonsilServer) -> float:
    lines = (await konsil.metrics()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if "turn_relayed_bytes_total{" in line)


async def report_of(person: Person) -> list[str]:
    return str(await person.see("check-report").text_content()).splitlines()


async def test_who_is_not_admitted_measures_the_line_and_then_has_a_call(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    konsil = await start_konsil(settings=OWN)
    consultation = await konsil.invite()
    client, host = await stage.client(viewport=PHONE), await stage.host(viewport=DESKTOP)
    await client.page.goto(consultation.client_url)
    await client.shows("network-check")
    assert not any("lineprobe" in url for url in client.requests), "loaded when it is asked for"

    assert await checks(client) == "full"
    assert 100_000 < await relayed(konsil) < MOST_RELAYED
    await client.page.locator(".check-details summary").click()
    report = await report_of(client)
    assert report[2] == "server: open"
    assert report[3] == "relay: own, udp open, tcp open, tls absent"
    assert report[4].startswith("line: over udp, ")
    assert report[7] == "result: full"
    token = consultation.client_url.partition("#")[2]
    text = "\n".join(report)
    assert "127.0.0.1" not in text
    assert "localhost" not in text
    assert token[:40] not in text
    await is_accessible(client, "the check's result")
    assert await client.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    # The focus stays where it was, and one may go on from there.
    assert await client.page.evaluate("document.activeElement?.tagName") == "SUMMARY"

    # It comes along into the waiting room, may be run again there, and admission ends it.
    await client.joins("Charlie")
    await client.shows("waiting-status")
    await expect(client.see("check-result")).to_have_attribute("data-verdict", "full")
    await host.enter(consultation.host_url)
    await client.see("check-button").click()
    await expect(client.see("check-result")).to_have_attribute("data-phase", "line")
    await host.sees_waiting("Charlie")
    await host.admits("Charlie")
    await client.sees_more_frames()
    assert await client.connections_open(used=True) == 1, "what was measured with is closed"
    assert not await client.foreign_requests()


@pytest.mark.soak
async def test_the_host_checks_too_and_a_check_may_be_stopped(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    konsil = await start_konsil(settings=OWN)
    consultation = await konsil.invite()
    host = await stage.host(viewport=DESKTOP)
    await host.enter(consultation.host_url)
    button = await host.shows("check-button")
    await button.click()
    result = await host.shows("check-result")
    await expect(result).to_have_attribute("data-phase", "line", timeout=10_000)
    await host.see("check-button").click()
    await expect(result).to_have_attribute("data-phase", "stopped")
    assert await host.page.evaluate("document.activeElement?.dataset.testid") == "check-button"
    assert await checks(host) == "full"


async def test_without_a_relay_it_says_so(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    client = await stage.client(locale="de-DE")
    await client.page.goto(consultation.client_url)
    assert await checks(client) == "unsure"
    await client.page.locator('[data-trouble="no_measure"]').wait_for()
    assert (await report_of(client))[3] == "relay: none, udp absent, tcp absent, tls absent"
    # Its words follow the page's language.
    german = await client.see("check-result").inner_text()
    await client.page.get_by_role("combobox").first.select_option("fr")
    await expect(client.see("check-result")).not_to_have_text(german)


@pytest.mark.soak
async def test_another_relay_refuses_and_was_reached(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    """With a secret that is not the relay's it refuses as a server would that knows no checks."""
    own = await start_konsil(settings={**OWN, "KONSIL_TURN_SECRET": "one-secret-4711"})
    port = own.log().partition(" port ")[2].split()[0]
    urls = ",".join(f"turn:127.0.0.1:{port}?transport={kind}" for kind in ("udp", "tcp"))
    konsil = await start_konsil(
        settings={"KONSIL_TURN_EXTERNAL": urls, "KONSIL_TURN_SECRET": "another-secret"}
    )
    client = await stage.client()
    await client.page.goto((await konsil.invite()).client_url)
    assert await checks(client) == "unsure"
    assert (await report_of(client))[3] == "relay: other, udp answers, tcp answers, tls absent"
