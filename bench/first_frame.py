"""First frame: from the click that lets somebody in to the first remote frame on the screen.

Konsil's own pages (click on *admit*) and a minimal page on npm's peerjs and peer (click on *call*)
take turns in one Chromium with fake devices, each turn in two fresh contexts. Both have opened
devices and reached their server before the click. A turn's time is the later one of the two sides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from bench import npm, report, servers
from bench.servers import ROOT, Running

PAGES = Path(__file__).resolve().parent / "pages"
CHROMIUM = os.environ.get("KONSIL_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
# Between the last preparation and the click: somebody who waits does so for seconds at least.
SETTLE = 2.0
PATIENCE = 20.0
PROVIDER = "Bench"

# What brings the page that will click and the other one to just before the click; made per turn.
Prepare = Callable[[Page, Page], Awaitable[None]]
Preparation = Callable[[int], Prepare]


@dataclass(frozen=True, slots=True)
class Turn:
    """Milliseconds from the click to the first frame, on the page that clicked and on the other."""

    clicked: float
    other: float

    @property
    def later(self) -> float:
        return max(self.clicked, self.other)


async def _turn(browser: Browser, prepare: Prepare) -> Turn:
    """One call in two fresh contexts; `prepare` brings both pages to just before the click."""
    async with AsyncExitStack() as stack:
        pages: list[Page] = []
        for _ in range(2):
            context = await browser.new_context(permissions=["camera", "microphone"])
            stack.push_async_callback(context.close)
            await context.add_init_script(path=PAGES / "stopwatch.js")
            pages.append(await context.new_page())
        clicking, other = pages
        await prepare(clicking, other)
        await asyncio.sleep(SETTLE)
        await clicking.get_by_test_id("admit-button").click()
        times = [await _seen(page) for page in pages]
        click = times[0]["click"]
        return Turn(times[0]["frame"] - click, times[1]["frame"] - click)


async def _seen(page: Page) -> dict[str, float]:
    """The page's stopwatch, once it has stopped. A page's own policy may forbid Playwright's way
    of waiting for an expression (it needs eval), so this looks from outside."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        seen: dict[str, float] = await page.evaluate("benchStopwatch")
        if seen["frame"]:
            return seen
        await asyncio.sleep(0.05)
    raise TimeoutError(f"no remote frame within {PATIENCE} s on {page.url.partition('#')[0]}")


async def _prepare_peerjs(base: str, port: int, number: int, caller: Page, callee: Page) -> None:
    ids = f"caller-{number}", f"callee-{number}"
    await callee.goto(f"{base}/peerjs.html?port={port}&id={ids[1]}")
    await caller.goto(f"{base}/peerjs.html?port={port}&id={ids[0]}&call={ids[1]}")
    for page in (caller, callee):
        await page.locator("button:enabled").wait_for()


async def _prepare_konsil(links: dict[str, str], host: Page, client: Page) -> None:
    await host.goto(links["host_url"])
    await client.goto(links["client_url"])
    await client.get_by_test_id("name-input").fill("Client")
    consent = client.get_by_test_id("consent-checkbox")
    if await consent.count():
        await consent.check()
    await client.get_by_test_id("join-button").click()
    await host.get_by_test_id("admit-button").wait_for()


def _konsil_command(running: Running, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KONSIL_")}
    done = subprocess.run(
        [sys.executable, "-m", "konsil", *arguments],
        cwd=ROOT,
        env=environment
        | {
            "KONSIL_STATE_DIR": str(running.state_dir),
            "KONSIL_PUBLIC_URL": running.public_url,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"konsil {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _invite(running: Running) -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = _konsil_command(
        running, "invite", "--provider", PROVIDER, "--starts-at", now, "--minutes", "60"
    )
    return dict(json.loads(made))


async def _page_server(stack: AsyncExitStack) -> str:
    """Serves the minimal page and npm's peerjs from this process. Returns its URL."""
    app = web.Application()
    library = npm.MODULES / "peerjs" / "dist" / "peerjs.min.js"
    for name, path in (
        ("peerjs.html", PAGES / "peerjs.html"),
        ("peerjs-page.js", PAGES / "peerjs-page.js"),
        ("peerjs.min.js", library),
    ):
        app.router.add_get(f"/{name}", _file(path))
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    port = servers.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return f"http://localhost:{port}"


def _file(path: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def answer(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return answer


async def measure(turns: int, only: str | None = None) -> dict[str, Any]:
    """`turns` calls of each, in turn, after one of each that does not count."""
    done: dict[str, list[Turn]] = {"peerjs": [], "konsil": []}
    if only:
        done = {only: []}
    npm.ensure()
    async with AsyncExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="konsil-bench-")))
        base = await _page_server(stack)
        preparations: dict[str, Preparation] = {}
        if "peerjs" in done:
            port = stack.enter_context(servers.peer(work)).port
            preparations["peerjs"] = lambda number: partial(_prepare_peerjs, base, port, number)
        if "konsil" in done:
            konsil = stack.enter_context(servers.konsil(work))
            _konsil_command(konsil, "provider", "add", PROVIDER)
            preparations["konsil"] = lambda _: partial(_prepare_konsil, _invite(konsil))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(FLAGS)
        )
        stack.push_async_callback(browser.close)
        for number in range(turns + 1):
            for name, results in done.items():
                turn = await _turn(browser, preparations[name](number))
                if number:
                    results.append(turn)
                print(
                    f"turn {number}/{turns} {name:7} {turn.later:7.0f} ms"
                    f" (clicking side {turn.clicked:.0f}, other {turn.other:.0f})"
                    f"{'' if number else '  warm-up, not counted'}",
                    flush=True,
                )
    medians = {
        name: {
            "later": median(turn.later for turn in results),
            "clicked": median(turn.clicked for turn in results),
            "other": median(turn.other for turn in results),
            "best": min(turn.later for turn in results),
            "worst": max(turn.later for turn in results),
        }
        for name, results in done.items()
    }
    result: dict[str, Any] = {
        "turns": {name: [asdict(turn) for turn in results] for name, results in done.items()},
        "medians": medians,
    }
    if not only:
        result["ratios"] = {
            key: medians["konsil"][key] / medians["peerjs"][key] for key in medians["konsil"]
        }
    return result


ROWS = (
    ("later", "click to first frame on both sides, ms (median)"),
    ("clicked", "  on the side that clicked"),
    ("other", "  on the other side"),
    ("best", "  fastest of all"),
    ("worst", "  slowest of all"),
)


def show(result: dict[str, Any]) -> str:
    medians, ratios = result["medians"], result.get("ratios", {})
    return report.table(
        ["", *medians, "konsil/peerjs"],
        [
            [
                label,
                *(f"{values[key]:.0f}" for values in medians.values()),
                f"{ratios[key]:.2f}" if key in ratios else "",
            ]
            for key, label in ROWS
        ],
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench first-frame", description=__doc__)
    parser.add_argument("--turns", type=int, default=20, help="calls of each (20)")
    parser.add_argument("--quick", action="store_true", help="two turns, to see that it runs")
    parser.add_argument("--only", choices=("peerjs", "konsil"), help="measure one alone")
    given = parser.parse_args(arguments)
    turns = 2 if given.quick else given.turns
    result = asyncio.run(measure(turns, given.only))
    path = report.save("first-frame", result)
    print(f"\nChromium, fake devices, {turns} calls of each in turn\n")
    print(show(result))
    print(f"\n{path}")
    return 0
