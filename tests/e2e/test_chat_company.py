"""Chat and files with more than one other, and with other browsers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.firefox import FirefoxPerson
from tests.e2e.groups import group_of, joined
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.stage import Stage, StartKonsil, in_session
from tests.e2e.writing import is_through, open_chat, reads, saved, says
from tests.ports import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(150)]
MIB = 1024 * 1024


async def test_three_write_to_one_another_and_share_a_file(
    stage: Stage, start_konsil: StartKonsil, tmp_path: Path
) -> None:
    """Media goes through the forwarder; what is written does not."""
    konsil = await start_konsil(
        settings={"KONSIL_ROLES": "signaling,sfu", "KONSIL_SFU_PORT": str(free_port())}
    )
    consultation, host, (charlie,) = await group_of(stage, konsil, "Charlie")
    await open_chat(host, charlie)
    await says(host, "Only for Charlie")
    await reads(charlie, "Only for Charlie")
    dora = await joined(stage, host, consultation, "Dora")
    await open_chat(dora)

    await says(dora, "Good morning")
    await reads(dora, "Good morning", seconds=30)
    await asyncio.gather(
        reads(host, "Only for Charlie", "Good morning", seconds=30),
        reads(charlie, "Only for Charlie", "Good morning", seconds=30),
    )
    source = tmp_path / "plan.txt"
    source.write_bytes(os.urandom(200_000))
    await charlie.see("file-input").set_input_files(source)
    for person in (host, dora):
        await (await person.shows("file-accept")).click()
        await is_through(person, seconds=40)
    assert await charlie.see("file-item").count() == 2, "a card for each who gets it"

    await dora.page.reload()
    await open_chat(dora)
    await reads(dora, "Good morning", seconds=40)
    mine = dora.page.locator('[data-mine="true"] [data-testid="chat-message"]')
    assert await mine.count() == 1, "told by two others, shown once"


@in_session
async def firefox() -> AsyncIterator[FirefoxPerson]:
    person = FirefoxPerson()
    await person.start()
    yield person
    await person.close()
    assert not person.faults, "something went wrong on a page"


async def test_chromium_and_firefox_write_and_exchange_files(
    stage: Stage, konsil: KonsilServer, firefox: FirefoxPerson, tmp_path: Path
) -> None:
    consultation = await konsil.invite()
    host = await stage.host()
    await host.enter(consultation.host_url)
    await firefox.knocks(consultation.client_url, "Dora")
    await host.see("admit-button").click()
    await host.sees_more_frames(10, seconds=40)
    await open_chat(host)
    await firefox.shows("chat-input")

    await says(host, "From Chromium")
    await firefox.reads("From Chromium")
    await firefox.order("fill", testid="chat-input", text="From Firefox")
    await host.page.locator('[data-testid="chat-draft"]').wait_for()
    await firefox.click("chat-send")
    await reads(host, "From Chromium", "From Firefox")

    # Large enough to be streamed to the browser's storage on the other side.
    source = tmp_path / "to Firefox.bin"
    source.write_bytes(os.urandom(12 * MIB))
    await host.see("file-input").set_input_files(source)
    await firefox.click("file-accept")
    await is_through(host, seconds=90)
    await firefox.shows("file-link")

    back = tmp_path / "to Chromium.bin"
    back.write_bytes(os.urandom(12 * MIB))
    await firefox.order("upload", testid="file-input", path=str(back))
    await host.see("file-accept").click()
    await host.see("file-link").wait_for(timeout=90_000)
    assert await saved(host, tmp_path / "saved") == back.read_bytes()

    await firefox.order("reload")
    await firefox.reads("From Chromium", "From Firefox")
    await host.ends()
    await firefox.shows("call-ended")
