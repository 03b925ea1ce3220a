"""What people do and see in the chat of a call."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import expect

from tests.e2e.patience import until
from tests.e2e.people import Person


async def open_chat(*people: Person) -> None:
    for person in people:
        await person.shows("chat-button")
        if not await person.see("chat-panel").is_visible():
            await person.see("chat-button").click()
        await expect(person.see("chat-input")).to_be_enabled()


async def says(person: Person, text: str) -> None:
    await person.see("chat-input").fill(text)
    await person.see("chat-send").click()


async def reads(person: Person, *texts: str, seconds: float = 15) -> None:
    """Waits until exactly these lines are to be read, in this order."""

    async def all_there() -> bool:
        lines = await person.see("chat-message").all_inner_texts()
        return lines == list(texts)

    await until(all_there, f"{type(person).__name__} reads {texts}", seconds=seconds)


async def saved(person: Person, to: Path) -> bytes:
    """Clicks the link of the one file that has come. Returns what is saved."""
    async with person.page.expect_download() as download:
        await person.see("file-link").click()
    await (await download.value).save_as(to)
    return await asyncio.to_thread(to.read_bytes)


async def is_through(person: Person, *, seconds: float) -> None:
    item = person.page.locator('[data-testid="file-item"][data-state="done"]')
    await item.first.wait_for(timeout=seconds * 1000)
