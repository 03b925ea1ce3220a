"""Receipts as people get them: of the consent at the host's page, of the deletion on both sides."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from playwright.async_api import Route, expect

from tests.e2e.konsil_server import ROOT, KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage


async def saved(person: Person, button: str, file: Path) -> Path:
    async with person.page.expect_download(timeout=20_000) as waiting:
        await person.see(button).first.click()
    await (await waiting.value).save_as(file)
    return file


async def verifies(konsil: KonsilServer, file: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "konsil", "verify-receipt", str(file)),
        cwd=ROOT,
        env=konsil.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert out
    assert process.returncode is not None
    return process.returncode


async def test_receipts_of_a_consultation(
    stage: Stage, konsil: KonsilServer, tmp_path: Path
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client(locale="de-DE")
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    # A reload before admission loses nothing.
    await client.page.reload()
    await client.shows("waiting-status")
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await client.sees_more_frames(10)

    await expect(host.see("consent-receipt")).to_have_count(1, timeout=15_000)
    await expect(host.see("consent-receipt")).to_contain_text("Dora")
    consent = await saved(host, "consent-download", tmp_path / "consent.json")
    said = json.loads(consent.read_bytes())
    assert (said["konsil_receipt"], said["session"]) == ("consent", consultation.room)
    words = json.loads((ROOT / "web/i18n/de.json").read_text("utf-8"))
    assert said["text"] == words["setup.notice"] + "\n" + words["setup.consent"]
    assert "Dora" not in consent.read_text("utf-8")
    assert await verifies(konsil, consent) == 0

    await host.ends()
    for person in (host, client):
        await person.told("call-ended", "ended")
        deletion = await saved(person, "deletion-receipt", tmp_path / "deletion.json")
        assert json.loads(deletion.read_bytes())["konsil_receipt"] == "deletion"
        assert await verifies(konsil, deletion) == 0
        changed = bytearray(deletion.read_bytes())
        changed[len(changed) // 2] ^= 1
        deletion.write_bytes(changed)
        assert await verifies(konsil, deletion) == 1
    # Still to be had at the host's end page.
    assert (await saved(host, "consent-download", tmp_path / "again.json")).read_bytes() == (
        consent.read_bytes()
    )


async def test_a_receipt_of_something_else_is_not_shown(stage: Stage, konsil: KonsilServer) -> None:
    """A client's page may send what it likes; the host's shows what the server has signed."""
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)

    async def forged(route: Route) -> None:
        answer = await route.fetch()
        text = (await answer.text()).replace('"language": "en"', '"language": "fr"')
        await route.fulfill(response=answer, body=text)

    await client.page.route("**/api/v1/receipts/consent", forged)
    async with host.page.expect_response("**/api/v1/receipts/verify", timeout=40_000) as checked:
        await client.knocks(consultation.client_url, "Dora")
        await host.sees_waiting("Dora")
        await host.admits("Dora")
        await client.sees_more_frames(10)
    assert await (await checked.value).json() == {"verified": False}
    assert await host.see("consent-receipt").count() == 0
    await host.ends()
