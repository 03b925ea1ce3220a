"""Where the operator wants to know, pages say at the end how the call was, and that they will."""

from __future__ import annotations

import re

import aiohttp

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host
from tests.e2e.stage import Stage, StartKonsil

COUNTED = re.compile(r"^(konsil_client_\w+)\{([^}]*)\} ([1-9]\S*)$", re.M)


async def counted(konsil: KonsilServer) -> dict[str, float]:
    """Of calls on a direct path: every counter and the widest step of every histogram above 0."""
    url = f"http://127.0.0.1:{konsil.metrics_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        found = COUNTED.findall(await answer.text())
    return {
        name: float(value)
        for name, labels, value in found
        if 'path="direct"' in labels and ('le="' not in labels or 'le="+Inf"' in labels)
    }


async def test_how_a_call_was_is_told_at_its_end(stage: Stage, start_konsil: StartKonsil) -> None:
    konsil = await start_konsil(settings={"KONSIL_CLIENT_QUALITY": "true"})
    consultation = await konsil.invite()
    host: Host = await stage.person(Host)
    await host.enter(consultation.host_url)
    client: Client = await stage.person(Client)
    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    assert await client.page.get_by_text("tells the server in rough steps").is_visible()
    await client.joins("Charlie")
    await host.admits("Charlie")
    await client.sees_more_frames()
    assert await counted(konsil) == {}

    await host.ends()

    wanted = dict.fromkeys(
        (
            "konsil_client_calls_total",
            "konsil_client_first_frame_seconds_bucket",
            "konsil_client_loss_ratio_bucket",
            "konsil_client_frozen_ratio_bucket",
        ),
        2.0,
    )

    async def both() -> bool:
        return await counted(konsil) == wanted

    await until(both, "both pages have said how it was")
