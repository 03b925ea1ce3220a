"""Media bots have real calls; what they measure is what was put in."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
import pytest_asyncio

from loadtest.bots.pair import Order
from loadtest.bots.run import _process
from tests.integration.loadtest.delaying import delaying
from tests.integration.planted import plant
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
"""What the proxy adds; the bots must show it, give or take WITHIN_MS, however busy the machine."""
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
        assert 0 < one["transit_p50_ms"] < one["delay_p50_ms"]
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


async def test_many_pairs_share_a_process_for_each_core(server: Served) -> None:
    done = await bots(
        *(server, "--pairs", "5", "--path", "direct", "--seconds", "3"),
        *("--size", "160x90", "--fps", "5"),
    )
    assert done["plan"]["size"] == [160, 90]
    assert [len(pair["figures"]) for pair in done["pairs"]] == [2] * 5
    summary = done["summary"]
    assert summary["failed"] == summary["lost"] == summary["unreadable_frames"] == 0
    assert summary["audible"] > 0.9
    assert all(one["frames"] > 5 for pair in done["pairs"] for one in pair["figures"])


async def test_a_known_delay_is_measured(server: Served) -> None:
    """One direction passes the proxy late and the other at once, both at the same time, so that
    what else the machine does is in both. A busy machine makes any packet later and none earlier:
    the fastest of twenty tell what the way takes, however long the others wait for a processor."""
    port = re.search(r"(?:port |:)(\d+)", server.printed["relay"])
    assert port is not None, server.printed
    async with delaying(("127.0.0.1", int(port[1])), ADDED_MS / 1000) as proxy:
        done = await bots(
            *(server, "--path", "relay", "--seconds", str(SECONDS)),
            *("--fps", "25", "--size", "160x90"),
            *("--relay-url", f"turn:127.0.0.1:{proxy.port}?transport=udp"),
        )
        really = 1000 * quantiles(proxy.delays, n=20)[0]
    assert ADDED_MS <= really < ADDED_MS + 2, "the proxy's own timers were late"
    one, other = done["pairs"][0]["figures"]
    for side in (one, other):
        assert side["frames"] > 10 * SECONDS
        assert side["unreadable_frames"] == 0
    shown = abs(one["transit_p05_ms"] - other["transit_p05_ms"])
    assert abs(shown - ADDED_MS) <= WITHIN_MS, (one, other)


async def test_bots_without_a_server_say_so(tmp_path: Path) -> None:
    code, out, _ = await konsil(
        *("bots", "--public-url", "http://127.0.0.1:9", "--state-dir", str(tmp_path))
    )
    assert code == 1
    assert json.loads(out)["summary"]["failed"] == 1


@pytest.mark.parametrize(
    "arguments", ["--pairs 0", "--seconds 99999", "--fps 1", "--path air", "--size 80x60"]
)
async def test_what_is_out_of_bounds_is_refused(arguments: str) -> None:
    code, _, errors = await konsil("bots", *arguments.split())
    assert code == 2
    assert arguments.split(maxsplit=1)[0] in errors


async def test_nothing_is_imported_from_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = plant(tmp_path)
    monkeypatch.chdir(tmp_path)
    nowhere = Order("http://127.0.0.1:9", "r", "h", "c", "s", "direct", 1.0, 5)
    (said,) = await _process([nowhere])
    assert "error" in said
    assert "not finished" not in said["error"]
    assert not ran.exists(), ran.read_text()
