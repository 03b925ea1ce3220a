"""What people do and see in the chat of a call."""

from __future__ import annotations

import asyncio
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from tests.e2e.patience import until
from tests.e2e.people import Person

MIB = 1024 * 1024


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


def made_file(path: Path, size: int) -> str:
    """A file that no compression makes smaller. Returns its SHA-256."""
    digest = sha256()
    with path.open("wb") as out:
        for _ in range(0, size, MIB):
            piece = os.urandom(min(MIB, size))
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


class Memory:
    """The most memory that the page's process has had since then, in bytes."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._task: asyncio.Task[None] | None = None
        self.first = 0
        self.most = 0

    async def __aenter__(self) -> Memory:
        session = await self._person.context.new_cdp_session(self._person.page)
        await session.send("HeapProfiler.collectGarbage")
        self.first = await self._now(session)
        self._task = asyncio.create_task(self._watch(session))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, session: Any) -> None:
        while True:
            self.most = max(self.most, await self._now(session))
            await asyncio.sleep(0.3)

    async def _now(self, session: Any) -> int:
        """JavaScript's heap with the buffers that it refers to."""
        usage = await session.send("Runtime.getHeapUsage")
        return int(usage["usedSize"] + usage.get("backingStorageSize", 0))

    @property
    def growth(self) -> int:
        return self.most - self.first


async def sends_file(host: Person, client: Person, source: Path) -> None:
    """From the choice of a file to its acceptance."""
    await host.see("file-input").set_input_files(source)
    words = await (await client.shows("file-item")).inner_text()
    for word in (source.name, source.suffix[1:].upper()):
        assert word in words, "what it is must be known before"
    assert re.search(r"\d\s[MG]B", words), "so must its size"
    await client.see("file-accept").click()
