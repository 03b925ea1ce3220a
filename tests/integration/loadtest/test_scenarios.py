"""Every scenario of docs/loadtest.md at small size, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from loadtest.thresholds import MISSED_EXIT_CODE
from tests.integration.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[3]
LIMIT_S = 50.0


@dataclass(frozen=True, slots=True)
class House:
    url: str
    state_dir: Path
    metrics_url: str
    pid: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    state_dir = tmp_path_factory.mktemp("state")
    async with Served(STATE_DIR=state_dir, METRICS_PORT=0) as server:
        yield House(server.url, state_dir, server.printed["metrics"], server.pid)


@dataclass(frozen=True, slots=True)
class Run:
    """`requests` and `failures` by step."""

    code: int
    requests: dict[str, int]
    failures: dict[str, int]
    said: str


async def locust(house: House, arguments: str, state_dir: Path | None = None) -> Run:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py"),
        *("--headless", "--json", "--only-summary", "--stop-timeout", "5"),
        *("--host", house.url, "--state-dir", str(state_dir or house.state_dir)),
        *arguments.split(),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "LOCUST" not in name},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    said = errors.decode()
    requests: dict[str, int] = {}
    failures: dict[str, int] = {}
    for row in rows(out.decode()):
        name = row["name"]
        requests[name] = max(requests.get(name, 0), row["num_requests"])
        if row["num_failures"]:
            failures[name] = max(failures.get(name, 0), row["num_failures"])
    return Run(process.returncode, requests, failures, said)


def rows(out: str) -> Iterator[dict[str, Any]]:
    """Of the main process; each worker writes what it has not yet reported, too."""
    decoder, at = json.JSONDecoder(), 0
    while out[at:].strip():
        document, at = decoder.raw_decode(out, at + len(out[at:]) - len(out[at:].lstrip()))
        yield from document


CALL = {"join", "wait", "admit", "exchange", "offer", "answer", "connected", "delivered", "end"}


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ("Client Provider -u 6 -r 6 -t 2s --call-seconds 0.2 --stay 10", CALL),
        ("Reconnector -u 2 -r 2 -t 2s --cuts 3", {"join", "admit", "resume", "delivered", "end"}),
        ("CodeGuesser -u 2 -r 2 -t 2s --intruders-from 127.0.9.0/28", {"guess"}),
        ("Client -u 30 -r 30 -t 2s --stay 0.5 --shape monday_morning", {"join", "leave"}),
        ("Client -u 40 -t 7s --stay 1 --shape join_storm --processes 2", {"join", "leave"}),
    ],
    ids=["consultations", "reconnector", "code_guesser", "monday_morning", "join_storm"],
)
async def test_a_scenario_runs_without_an_error(
    house: House, arguments: str, steps: set[str]
) -> None:
    run = await locust(house, f"{arguments} --join-p95-ms 20000")
    assert run.failures == {}, run.said
    assert run.code == 0, run.said
    assert steps <= set(run.requests)


async def test_ordinary_people_notice_nothing_of_an_intruder(house: House) -> None:
    run = await locust(
        house,
        "Client Provider Intruder -u 6 -r 6 -t 3s --call-seconds 0.2 --stay 10"
        " --join-p95-ms 20000 --intruders-from 127.0.66.0/24",
    )
    assert run.failures == {}, run.said
    assert run.code == 0, run.said
    tried = {name for name in run.requests if name.startswith("intruder ")}
    assert len(tried) == 12
    assert set(run.requests) >= CALL


async def test_a_run_writes_a_report_of_itself_and_of_the_server(
    house: House, tmp_path: Path
) -> None:
    target = tmp_path / "run.html"
    run = await locust(
        house,
        f"Client -u 5 -r 5 -t 4s --stay 1 --join-p95-ms 20000 --report {target}"
        f" --metrics-url {house.metrics_url} --server-pid {house.pid}",
    )
    assert run.code == 0, run.said
    document = json.loads(target.with_suffix(".json").read_text())
    samples, processes = document["samples"], document["processes"]
    assert samples[-1]["second"] > 2
    assert max(one["joins"] for one in samples) > 0
    assert max(one["waiting"] or 0 for one in samples) > 0
    assert max(one["redis_operations"] or 0 for one in samples) > 0
    assert any(name.startswith("redis-server") for name in processes)
    assert all(one["memory_mb"] > 1 for each in processes.values() for one in each)
    steps = {step["name"]: step["requests"] for step in document["steps"]}
    assert steps["join"] >= 5
    assert "<polyline" in target.read_text()


async def test_a_missed_threshold_is_told_by_the_exit_code(house: House) -> None:
    run = await locust(house, "Client -u 2 -r 2 -t 1s --stay 0.5 --join-p95-ms 0.01")
    assert run.failures == {}
    assert run.code == MISSED_EXIT_CODE
    assert "missed: join p95" in run.said


async def test_errors_are_told_by_the_exit_code(house: House, tmp_path: Path) -> None:
    """Tokens of another key: nobody is let in, and no number hides it."""
    shutil.copy(house.state_dir / "providers.json", tmp_path)
    run = await locust(house, "Client -u 2 -r 2 -t 1s --error-rate 0.5", tmp_path)
    assert run.failures.keys() == {"join"}
    assert run.code == MISSED_EXIT_CODE
    assert "missed: error rate 1.0" in run.said
