"""A group of two Chromium and one Firefox: frames sealed in one open in the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.firefox import FirefoxPerson
from tests.e2e.groups import PATIENCE, decodes_all, goes_by, group_of
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.stage import Stage, in_session, session
from tests.ports import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]


@session
async def house(room_to_work: Path) -> AsyncIterator[KonsilServer]:
    settings = {"KONSIL_ROLES": "signaling,sfu", "KONSIL_SFU_PORT": str(free_port())}
    server = KonsilServer(room_to_work / "firefox", settings=settings)
    await server.start()
    await server.add_provider()
    yield server
    await server.stop()


@in_session
async def fox() -> AsyncIterator[FirefoxPerson]:
    person = FirefoxPerson()
    await person.start()
    yield person
    await person.close()
    assert not person.faults, "something went wrong on Firefox's page"


async def test_firefox_in_a_group(stage: Stage, house: KonsilServer, fox: FirefoxPerson) -> None:
    consultation, host, [charlie] = await group_of(stage, house, "Charlie")
    await fox.knocks(consultation.client_url, "Fox")
    await host.admits("Fox")
    await goes_by([host, charlie], "sfu")
    await asyncio.gather(
        decodes_all(host, 2),
        decodes_all(charlie, 2),
        fox.sees_and_hears_more(40, of=2, seconds=PATIENCE),
    )
    assert await fox.attribute("connection-path", "data-path") == "sfu"

    # Whoever stays seals with new keys from now on; Firefox gets them, too.
    await charlie.see("leave-button").click()
    await asyncio.gather(decodes_all(host, 1), fox.sees_and_hears_more(20, of=1, seconds=PATIENCE))
