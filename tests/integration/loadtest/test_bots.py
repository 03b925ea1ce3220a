"""Media bots have real calls; what they measure is what was put in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.loadtest.delaying import delaying
from tests.integration.served import Served, konsil

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

ROLES = {
    "ROLES": "signaling,turn,sfu",
    "TURN_PORT": 0,
    "SFU_PORT": 0,
    "SFU_HOST": "127.0.0.1",
}
# A forwarder begins by sending all and finds out within some seconds what there is room for.
SEEN_S = {"direct": "4", "relay": "4", "sfu": "8"}
ADDED_MS = 80.0
"""What the proxy adds; the bots must show it, give or take WITHIN_MS and, on a busy machine, two
standard errors of what was measured: a fraction of a millisecond where nothing else runs."""
WITHIN_MS = 5.0
SECONDS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    state_dir = tmp_path_factory.mktemp("state")
    async with Served(STATE_DIR=state_dir, **ROLES) as running:
        running.printed["state_dir"] = str(state_dir)
        yield running


async def bots(server: Served, *arguments: str) -> dict[str, Any]:
    code, out, errors = await konsil(
        *("bots", "--public-url", server.url, "--state-dir", server.printed["state_dir"]),
        *arguments,
    )
    assert code == 0, out + errors
    return dict(json.loads(out))


@pytest.mark.parametrize("path", ["direct", "relay", "sfu"])
async def test_a_pair_sees_and_hears_each_other(server: Served, path: str, tmp_path: Path) -> None:
    report = tmp_path / "bots.html"
    done = await bots(
        *(server, "--pairs", "1", "--path", path, "--seconds", SEEN_S[path]),
        *("--report", str(report)),
    )
    assert report.read_text().count("<polyline") >= 3
    (pair,) = done["pairs"]
    assert [one["role"] for one in pair["figures"]] == ["host", "client"]
    for one in pair["figures"]:
        assert one["path"] == path
        assert 0 < one["first_frame_ms"] < 15_000
        assert one["frames"] > 10
        assert one["unreadable_frames"] <= 1
        assert 0 < one["delay_p50_ms"] <= one["delay_p95_ms"]
        assert one["kbit_per_s"] > 10
        assert one["audio_frames"] > 50
        assert one["audible"] > 0.9
        assert (one["unsealed_frames"] >= one["frames"]) is (path == "sfu")
    if path == "direct":
        assert done["summary"]["lost"] == 0
    assert done["summary"]["failed"] == 0
    for rows in pair["series"]:
        assert sum(row["frames"] for row in rows[-3:]) > 0, "pictures came to the very end"
    assert [row["second"] for row in pair["series"][0]] == sorted(
        row["second"] for row in pair["series"][0]
    )


async def test_a_known_delay_is_measured(server: Served) -> None:
    """One direction passes the proxy late and the other at once, both at the same time, so that
    what else the machine does is in both. 80 ms are two pictures at 25 a second, so both come at
    the same phase of whatever the bots do. No second is left out, none measured again."""
    port = re.search(r"(?:port |:)(\d+)", server.printed["relay"])
    assert port is not None, server.printed
    async with delaying(("127.0.0.1", int(port[1])), ADDED_MS / 1000) as proxy:
        done = await bots(
            *(server, "--path", "relay", "--seconds", str(SECONDS), "--fps", "25"),
            *("--relay-url", f"turn:127.0.0.1:{proxy.port}?transport=udp"),
        )
        really = 1000 * median(proxy.delays)
    # Timers of a busy machine are late, and the proxy knows by how much.
    assert ADDED_MS <= really < ADDED_MS + 20
    one, other = (
        {row["second"]: row["delay_ms"] for row in rows if row["delay_ms"] is not None}
        for rows in done["pairs"][0]["series"]
    )
    differences = [one[second] - other[second] for second in one.keys() & other.keys()]
    assert len(differences) >= SECONDS - 2
    shown, error = abs(median(differences)), standard_error(differences)
    told = f"{shown:.1f} ± {error:.1f} ms in place of {really:.1f}: {differences}"
    assert error < ADDED_MS / 4, f"too busy a machine to measure anything: {told}"
    assert abs(shown - really) <= WITHIN_MS + 2 * error, told


def standard_error(values: list[float]) -> float:
    """Of their median, were they normal but for outliers: from the distance of the quartiles."""
    low, _, high = quantiles(values, n=4)
    return 1.253 * (high - low) / 1.349 / math.sqrt(len(values))


async def test_bots_without_a_server_say_so(tmp_path: Path) -> None:
    code, out, _ = await konsil(
        *("bots", "--public-url", "http://127.0.0.1:9", "--state-dir", str(tmp_path))
    )
    assert code == 1
    assert json.loads(out)["summary"]["failed"] == 1


@pytest.mark.parametrize("arguments", ["--pairs 0", "--seconds 99999", "--fps 1", "--path air"])
async def test_what_is_out_of_bounds_is_refused(arguments: str) -> None:
    code, _, errors = await konsil("bots", *arguments.split())
    assert code == 2
    assert arguments.split(maxsplit=1)[0] in errors
