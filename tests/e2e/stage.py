"""The people of one test: made, brought into a call, photographed when it fails, cleared away."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.konsil_server import Consultation, KonsilServer
from tests.e2e.people import Client, Host, Person

HERE = Path(__file__).resolve().parent
FAILURES = HERE / "failures"

# Fixtures in the one event loop of all these tests: one per session, or one per test.
session = pytest_asyncio.fixture(loop_scope="session", scope="session")
in_session = pytest_asyncio.fixture(loop_scope="session")

# The fixtures `launch` and `start_konsil`.
Launch = Callable[..., Awaitable[Browser]]
StartKonsil = Callable[..., Awaitable[KonsilServer]]


class Stage:
    """Makes the people of one test, and clears up behind them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.people: list[Person] = []

    async def person(self, kind: type[Person], **options: Any) -> Any:
        options.setdefault("locale", "en-GB")
        options.setdefault("permissions", ["camera", "microphone"])
        browser = options.pop("browser", self._browser)
        context = await browser.new_context(**options)
        await context.add_init_script(path=HERE / "probe.js")
        made = kind(context, await context.new_page())
        self.people.append(made)
        return made

    async def host(self, **options: Any) -> Host:
        made: Host = await self.person(Host, **options)
        return made

    async def client(self, **options: Any) -> Client:
        made: Client = await self.person(Client, **options)
        return made

    async def call(
        self,
        consultation: Consultation,
        name: str = "Charlie",
        *,
        browsers: tuple[Browser, Browser] | None = None,
    ) -> tuple[Host, Client]:
        """Two people from their links into a running call."""
        of_host, of_client = browsers or (self._browser, self._browser)
        host, client = await self.host(browser=of_host), await self.client(browser=of_client)
        await host.enter(consultation.host_url)
        await client.knocks(consultation.client_url, name)
        await host.sees_waiting(name)
        await host.admits(name)
        await host.sees_more_frames()
        await client.sees_more_frames()
        return host, client

    async def photograph(self, test: str) -> None:
        FAILURES.mkdir(exist_ok=True)
        name = re.sub(r"[^\w-]+", "_", test)
        for number, person in enumerate(self.people):
            for page in person.context.pages:
                who = type(person).__name__.lower()
                await page.screenshot(path=FAILURES / f"{name}-{number}-{who}.png", timeout=5000)

    async def clear(self) -> None:
        for person in self.people:
            await person.context.close()
