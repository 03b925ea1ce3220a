"""Real Chromium against a real `konsil serve`. One browser for the session, contexts per person."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.e2e.chromium import CHROMIUM, FAKE_DEVICES, FLAGS
from tests.e2e.film import write_film
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.redis_server import RedisServer
from tests.e2e.stage import Launch, Stage, StartKonsil, in_session, session

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all: the browser outlives the single test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Lets a fixture know, at its end, whether its test has failed."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[FAILED] = report.failed


FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def room_to_work() -> Iterator[Path]:
    """A short path, since Unix sockets are made below it."""
    path = Path(tempfile.mkdtemp(prefix="k-"))
    yield path
    shutil.rmtree(path)


@session
async def launch() -> AsyncIterator[Launch]:
    """Starts Chromium with the given flags on top of the usual ones."""
    async with async_playwright() as playwright:

        async def start(*flags: str) -> Browser:
            return await playwright.chromium.launch(
                executable_path=CHROMIUM, headless=True, args=[*FLAGS, *flags]
            )

        yield start


@session
async def browser(launch: Launch, room_to_work: Path) -> AsyncIterator[Browser]:
    # Chromium's own test picture is 1280 pixels wide; to code that many times over costs both cores
    # most of their time. Benchmarks, tests between networks and those of bad lines use that one.
    film = room_to_work / "camera.y4m"
    write_film(film)
    started = await launch(*FAKE_DEVICES, f"--use-file-for-fake-video-capture={film}")
    yield started
    await started.close()


@in_session
async def stage(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    made = Stage(browser)
    yield made
    try:
        if request.node.stash.get(FAILED, False):
            await made.photograph(request.node.name)
    finally:
        await made.clear()
    faults = [fault for person in made.people for fault in person.faults]
    assert not faults, "something went wrong on a page"


@session
async def konsil(room_to_work: Path) -> AsyncIterator[KonsilServer]:
    """A server with its private Redis, for all tests that do not break it."""
    server = KonsilServer(room_to_work / "shared")
    await server.start()
    await server.add_provider()
    yield server
    await server.stop()


@in_session
async def start_konsil(room_to_work: Path) -> AsyncIterator[StartKonsil]:
    """Starts servers of the test's own, with a provider."""
    servers: list[KonsilServer] = []

    async def start(**options: Any) -> KonsilServer:
        directory = Path(tempfile.mkdtemp(prefix="s", dir=room_to_work))
        server = KonsilServer(directory, **options)
        servers.append(server)
        await server.start()
        await server.add_provider()
        return server

    yield start
    for server in servers:
        await server.stop()


@in_session
async def redis_server(room_to_work: Path) -> AsyncIterator[RedisServer]:
    """A Redis that the test may look into."""
    server = RedisServer(Path(tempfile.mkdtemp(prefix="r", dir=room_to_work)))
    await server.start()
    yield server
    await server.kill()
