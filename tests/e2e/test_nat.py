"""Two people behind symmetric NATs, in network namespaces of the test's own: only a relay helps."""

from __future__ import annotations

import asyncio
import datetime as dt
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from konsil import tls
from tests.e2e import natted
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.e2e.konsil_server import ROOT, KonsilServer
from tests.e2e.natted import RELAY, WEB, Internet
from tests.e2e.stage import FAKE_DEVICES, Stage, session

UNABLE = natted.unable()
pytestmark = pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "possible")


@pytest.fixture(scope="session")
def internet() -> Iterator[Internet]:
    made = Internet()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@session
async def public_konsil(internet: Internet, room_to_work: Path) -> AsyncIterator[KonsilServer]:
    """Web and relay on an address each, so that both have 443."""
    directory = Path(tempfile.mkdtemp(prefix="n", dir=room_to_work))
    chain, key = tls.self_signed(directory / "tls", dt.datetime.now(dt.UTC), [WEB, RELAY])
    server = KonsilServer(
        directory / "server",
        prefix=("ip", "netns", "exec", internet.server),
        settings={
            "KONSIL_ROLES": "signaling,turn",
            "KONSIL_HOST": WEB,
            "KONSIL_PORT": "443",
            "KONSIL_PUBLIC_URL": f"https://{WEB}",
            "KONSIL_TLS_CERT": str(chain),
            "KONSIL_TLS_KEY": str(key),
            "KONSIL_TURN_HOST": RELAY,
            "KONSIL_TURN_NAME": RELAY,
            "KONSIL_TURN_FALLBACK_PORT": "443",
            "KONSIL_DRAIN_SECONDS": "1",
        },
    )
    await server.start()
    await server.add_provider()
    yield server
    await server.stop()


@session
async def browsers(internet: Internet, room_to_work: Path) -> AsyncIterator[dict[str, Browser]]:
    """A Chromium in each home; Playwright speaks to it through a pipe."""
    async with async_playwright() as playwright:
        started = {}
        for side in ("a", "b"):
            program = room_to_work / f"chromium-{side}"
            program.write_text(
                f'#!/bin/sh\nexec ip netns exec {internet.home(side)} {CHROMIUM} "$@"\n'
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            started[side] = await playwright.chromium.launch(
                executable_path=program,
                headless=True,
                args=[*FLAGS, *FAKE_DEVICES, "--ignore-certificate-errors"],
            )
        yield started
        for browser in started.values():
            await browser.close()


@pytest.mark.parametrize(
    "way", [("everything", "udp"), ("no UDP", "tcp"), ("443 alone", "tls")], ids=lambda way: way[0]
)
async def test_a_call_where_there_is_no_direct_way(
    stage: Stage,
    internet: Internet,
    public_konsil: KonsilServer,
    browsers: dict[str, Browser],
    way: tuple[str, str],
) -> None:
    let_out, over = way
    internet.allow(let_out)
    consultation = await public_konsil.invite()
    host = await stage.host(browser=browsers["a"])
    client = await stage.client(browser=browsers["b"])
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Charlie")
    await host.sees_waiting("Charlie")
    await host.admits("Charlie")
    await asyncio.gather(
        host.sees_more_frames(seconds=30), client.sees_more_frames(seconds=30), host.hears_more()
    )
    ways = []
    for person in (host, client):
        path = await person.shows("connection-path")
        assert await path.get_attribute("data-path") == "relay"
        ways += await person.page.evaluate("konsilProbe.chosenPaths()")
    assert len(ways) == 2
    # One relay is enough where UDP may go out; else both ends need one.
    assert {one["over"] for one in ways if one["local"] == "relay"} == {over}
    if over != "udp":
        assert all(one["local"] == "relay" for one in ways)


async def test_doctor_sees_what_the_firewall_lets_out(
    internet: Internet, public_konsil: KonsilServer
) -> None:
    """From a home that lets 443 out alone, with nothing but the links' keys and the settings."""
    internet.allow("443 alone")
    trusted = str(public_konsil.directory.parent / "tls" / "self-signed.pem")
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", internet.home("a"), sys.executable, "-m", "konsil", "doctor"),
        cwd=ROOT,
        env={**public_konsil.environment, "SSL_CERT_FILE": trusted},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    lines = [line for line in out.decode().splitlines() if "relay over" in line]
    assert process.returncode == 1
    assert [(line.split()[0], line.split(" over ")[1][:3]) for line in lines] == [
        *(("WRONG", "UDP"), ("WRONG", "TCP"), ("ok", "TLS"), ("WRONG", "TLS")),
    ]
    assert "443" in lines[2]
