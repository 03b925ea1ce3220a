"""Two people behind symmetric NATs, in network namespaces of the test's own: only a relay helps."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.apart import browsers_in, server_in
from tests.e2e.groups import decodes_all, goes_by, grouped
from tests.e2e.konsil_server import ROOT, KonsilServer
from tests.e2e.people import Client, Host
from tests.e2e.stage import Stage, session
from tests.natted import RELAY, WEB, Internet
from tests.spaces import unable

UNABLE = unable()
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
    settings = {
        "KONSIL_ROLES": "signaling,turn",
        "KONSIL_TURN_HOST": RELAY,
        "KONSIL_TURN_NAME": RELAY,
        "KONSIL_TURN_FALLBACK_PORT": "443",
    }
    async with server_in(internet.server, room_to_work, [WEB, RELAY], settings) as server:
        yield server


@session
async def without_relay(internet: Internet, room_to_work: Path) -> AsyncIterator[KonsilServer]:
    """A forwarder, and nothing by which two homes could find each other."""
    settings = {"KONSIL_ROLES": "signaling,sfu", "KONSIL_SFU_HOST": RELAY}
    async with server_in(internet.server, room_to_work, [WEB], settings, port=8443) as server:
        yield server


@session
async def browsers(internet: Internet, room_to_work: Path) -> AsyncIterator[dict[str, Browser]]:
    homes = {side: internet.home(side) for side in ("a", "b")}
    async with browsers_in(homes, room_to_work, "--ignore-certificate-errors") as started:
        yield started


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


@pytest.mark.soak
@pytest.mark.timeout(180)
async def test_two_who_cannot_reach_one_another_go_through_the_forwarder(
    stage: Stage,
    internet: Internet,
    without_relay: KonsilServer,
    browsers: dict[str, Browser],
) -> None:
    """Nobody does anything: the browsers give up, the pages say so, and the media is moved."""
    internet.allow("everything")
    consultation = await without_relay.invite()
    host = await grouped(stage, Host, browser=browsers["a"])
    client = await grouped(stage, Client, browser=browsers["b"])
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Charlie")
    await host.sees_waiting("Charlie")
    await host.admits("Charlie")
    # A browser takes half a minute to give up.
    await asyncio.gather(decodes_all(host, 1, seconds=90), decodes_all(client, 1, seconds=90))
    await goes_by([host, client], "sfu")
    # A NAT gives each page one address to the forwarder, and consent is renewed over it.
    await asyncio.gather(*(one.sees_more_frames(700, seconds=90) for one in (host, client)))
    assert await host.connections_open() >= 1
    await host.ends()
    await client.told("call-ended", "ended")


@pytest.mark.soak
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "found",
    [
        ("everything", "udp open, tcp open, tls open", "udp"),
        ("no UDP", "udp shut, tcp open, tls open", "tcp"),
        ("443 alone", "udp shut, tcp shut, tls open", "tls"),
    ],
    ids=lambda found: found[0],
)
async def test_the_check_sees_what_the_firewall_lets_out(
    stage: Stage,
    internet: Internet,
    public_konsil: KonsilServer,
    browsers: dict[str, Browser],
    found: tuple[str, str, str],
) -> None:
    let_out, ways, over = found
    internet.allow(let_out)
    consultation = await public_konsil.invite()
    client = await stage.client(browser=browsers["a"])
    await client.page.goto(consultation.client_url)
    await client.see("check-button").click()
    result = await client.shows("check-result")
    await expect(result).to_have_attribute("data-phase", "done", timeout=30_000)
    report = str(await client.see("check-report").text_content()).splitlines()
    assert report[3] == f"relay: own, {ways}"
    assert report[4].startswith(f"line: over {over}, ")
    blocked = client.page.locator('[data-trouble="no_udp"]')
    assert await blocked.count() == (0 if over == "udp" else 1)


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
