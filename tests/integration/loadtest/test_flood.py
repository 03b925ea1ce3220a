"""The intruder of `bench intruders`: every kind of attack is met as it should be."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.intruders import FIT
from tests.integration.served import Served

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(90)
async def test_every_attack_gets_the_only_right_answer_or_none(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.flood", "--port", str(urlsplit(server.url).port)),
            *("--origin", server.url, "--state-dir", str(tmp_path)),
            *("--seconds", "2", "--patient", "32", "--hasty", "4"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    attacks = json.loads(out)["attacks"]
    assert len(attacks) == 16
    assert {
        kind: outcomes.get("right", 0) > 0 for kind, outcomes in attacks.items()
    } == dict.fromkeys(attacks, True), attacks
    assert {one for outcomes in attacks.values() for one in outcomes} <= FIT, attacks
