"""A still photo of the other side: asked for, agreed to by a click, or not taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.writing import open_chat

PHONE = {"width": 360, "height": 740}
LOADS = """url => new Promise((resolve) => {
  const image = Object.assign(new Image(), { onload: () => resolve(true), src: url });
  image.onerror = () => resolve(false);
})"""


async def _asks(person: Person) -> None:
    if not await person.see("photo-ask").first.is_visible():
        await person.see("photo-button").click()
    await person.see("photo-ask").first.click()


async def _is(person: Person, state: str) -> None:
    """Waits until the newest question has come so far."""
    item = person.see("photo-item").first
    await item.and_(person.page.locator(f'[data-state="{state}"]')).wait_for()


async def test_a_photo_is_taken_with_consent_saved_and_gone_when_it_is_withdrawn(
    stage: Stage, konsil: KonsilServer, tmp_path: Path
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client(viewport=PHONE)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Emma")
    await host.sees_waiting("Emma")
    await host.admits("Emma")
    await host.sees_more_frames(20)
    await open_chat(host)
    assert not await client.see("chat-panel").is_visible()

    await _asks(host)
    question = await client.shows("photo-item")
    assert "may I take a photo" in await question.inner_text()
    await client.shows("photo-preview")
    assert await host.see("photo-image").count() == 0, "there is nothing before consent"
    await is_accessible(client, "the question for a photo")
    await is_accessible(host, "waiting for consent to a photo")

    await client.see("photo-agree").click()
    await _is(host, "taken")
    await _is(client, "taken")
    image = await host.shows("photo-image")
    size = await image.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])")
    shown = await host.see("remote-video").evaluate("v => [v.videoWidth, v.videoHeight]")
    assert size == shown, "as large as what is seen"
    async with host.page.expect_download() as download:
        await host.see("photo-link").click()
    assert "Emma" not in (await download.value).suggested_filename
    await (await download.value).save_as(tmp_path / "photo.png")
    assert (tmp_path / "photo.png").read_bytes().startswith(b"\x89PNG")
    await is_accessible(host, "a photo that was taken")

    url = await image.get_attribute("src")
    assert await host.page.evaluate(LOADS, url)
    await client.see("photo-withdraw").click()
    await _is(host, "withdrawn")
    assert await host.see("photo-image").count() == 0
    assert not await host.page.evaluate(LOADS, url), "nothing is left of it"

    await client.see("leave-button").click()
    await expect(host.see("chat-input")).to_be_disabled()
    await expect(host.see("photo-item")).to_be_visible()


@pytest.mark.soak
async def test_a_no_is_a_no_and_is_not_asked_again_at_once(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await open_chat(host, client)
    # A client may ask as well.
    await _asks(client)
    await host.shows("photo-decline")
    await host.see("photo-decline").click()
    await _is(client, "declined")
    await _asks(client)
    await client.page.locator(".note").filter(has_text="wait a minute").wait_for()
    assert await host.see("photo-item").count() == 1
    assert await client.see("photo-image").count() == 0
