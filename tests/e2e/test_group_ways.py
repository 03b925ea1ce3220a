"""The ways on which a call comes to the forwarder, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.e2e.groups import (
    PATIENCE,
    all_decode_all,
    goes_by,
    group_of,
    joined,
    participants,
    seen_by,
)
from tests.e2e.konsil_server import PROVIDER
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Stage, StartKonsil
from tests.e2e.test_screen import SCREEN
from tests.ports import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(150)]


def with_forwarder(roles: str = "signaling,sfu", **more: str) -> dict[str, str]:
    return {"KONSIL_ROLES": roles, "KONSIL_SFU_PORT": str(free_port()), **more}


async def test_pages_that_may_use_the_relay_alone_reach_the_forwarder_by_it(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    relayed = {
        "KONSIL_ICE_TRANSPORT_POLICY": "relay",
        "KONSIL_TURN_PORT": "0",
        "KONSIL_TURN_TLS_PORT": "0",
        "KONSIL_DRAIN_SECONDS": "1",
    }
    konsil = await start_konsil(settings=with_forwarder("signaling,turn,sfu", **relayed))
    _, host, clients = await group_of(stage, konsil, "Charlie", "Dora")
    everybody: list[Person] = [host, *clients]
    await goes_by(everybody, "sfu")
    await _one_each(everybody)
    for person in everybody:
        chosen = await person.page.evaluate("konsilProbe.chosenPaths()")
        # The forwarder alone has an address of its own; chat goes from relay to relay.
        assert {one["local"] for one in chosen} == {"relay"}
        assert [one["remote"] for one in chosen].count("host") == 1
        assert not await person.foreign_requests()
    # Longer than consent lasts without being asked for anew, by way of the relay.
    await asyncio.gather(*(person.sees_more_frames(700, seconds=120) for person in everybody))
    await all_decode_all(everybody)


async def test_a_screen_goes_on_when_two_become_three(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    """And when they are two again; the face is seen beside it all the time."""
    konsil = await start_konsil(settings=with_forwarder())
    consultation, host, [charlie] = await group_of(stage, konsil, "Charlie")
    of_host = (await participants(charlie))[PROVIDER]
    await host.page.evaluate(SCREEN)
    await host.see("screen-button").click()

    await _sees_both(of_host, charlie)

    dora = await joined(stage, host, consultation, "Dora")
    await goes_by([host, charlie, dora], "sfu")
    await _sees_both(of_host, charlie, dora)
    assert await host.see("screen-button").get_attribute("aria-pressed") == "true"
    assert await host.page.evaluate(LIVE)

    await dora.see("leave-button").click()
    await goes_by([host, charlie], "direct")
    await _sees_both(of_host, charlie)
    assert await host.page.evaluate(LIVE)


LIVE = "shownScreen.getVideoTracks()[0].readyState === 'live'"


async def _sees_both(of: str, *people: Person) -> None:
    """Waits until each of them has pictures of that one's screen, and of the face beside it."""

    async def so() -> bool:
        for person in people:
            screen = (await seen_by(person, screens=True)).get(of)
            face = (await seen_by(person)).get(of)
            if screen is None or screen.width != 600 or screen.frames < 10:
                return False
            if face is None or face.frames < 10 or face.width == 600:
                return False
        return True

    await until(so, f"{len(people)} see screen and face", seconds=PATIENCE)


async def test_two_go_through_the_forwarder_where_the_operator_wants_it(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    konsil = await start_konsil(settings=with_forwarder(KONSIL_MEDIA_TOPOLOGY="sfu"))
    _, host, [charlie] = await group_of(stage, konsil, "Charlie")
    await goes_by([host, charlie], "sfu")
    await _one_each([host, charlie])


async def _one_each(people: Sequence[Person]) -> None:
    """Waits until what was there before a move is given up."""

    async def so() -> bool:
        return all([await p.page.evaluate("konsilGroup.forMedia()") == 1 for p in people])

    await until(so, "one connection for picture and sound is left", seconds=PATIENCE)
