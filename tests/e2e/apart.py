"""A server and browsers that live in network namespaces, away from each other."""

from __future__ import annotations

import datetime as dt
import shlex
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from konsil import tls
from tests.e2e.chromium import CHROMIUM, FAKE_DEVICES, FLAGS
from tests.e2e.konsil_server import KonsilServer


@asynccontextmanager
async def server_in(
    space: str, room: Path, names: list[str], settings: Mapping[str, str], *, port: int = 443
) -> AsyncIterator[KonsilServer]:
    """A server by HTTPS at the first of the names, which are all of its certificate's."""
    directory = Path(tempfile.mkdtemp(prefix="n", dir=room))
    chain, key = tls.self_signed(directory / "tls", dt.datetime.now(dt.UTC), names)
    server = KonsilServer(
        directory / "server",
        prefix=("ip", "netns", "exec", space),
        settings={
            "KONSIL_HOST": names[0],
            "KONSIL_PORT": str(port),
            "KONSIL_PUBLIC_URL": f"https://{names[0]}" + ("" if port == 443 else f":{port}"),
            "KONSIL_TLS_CERT": str(chain),
            "KONSIL_TLS_KEY": str(key),
            "KONSIL_DRAIN_SECONDS": "1",
            **settings,
        },
    )
    await server.start()
    try:
        await server.add_provider()
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def browsers_in(
    homes: Mapping[str, str], room: Path, *flags: str, nice: int = 0
) -> AsyncIterator[dict[str, Browser]]:
    """A Chromium in each namespace, by their keys; Playwright speaks to it through a pipe."""
    async with async_playwright() as playwright:
        started = {}
        for side, space in homes.items():
            program = room / f"chromium-{space}"
            inside = shlex.join(["nice", "-n", str(nice), "ip", "netns", "exec", space, CHROMIUM])
            program.write_text(f'#!/bin/sh\nexec {inside} "$@"\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            started[side] = await playwright.chromium.launch(
                executable_path=program, headless=True, args=[*FLAGS, *FAKE_DEVICES, *flags]
            )
        yield started
        for browser in started.values():
            await browser.close()
