"""What a running server tells Prometheus is what docs/metrics.md lists."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.served import Served

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


async def test_a_server_with_all_roles_tells_all_that_is_listed(tmp_path: Path) -> None:
    settings = {"METRICS_PORT": 0, "TURN_PORT": 0, "SFU_PORT": 0, "ROLES": "signaling,turn,sfu"}
    async with Served(STATE_DIR=tmp_path, **settings) as server:
        server.printed["open"] = server.printed["metrics"]
        status, text = await server.get("")
    assert status == 200
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }
    assert set(families) == set(re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.M))
    ready = {one.labels["part"]: one.value for one in families["konsil_part_ready"].samples}
    assert ready == {"relay": 1.0, "forwarder": 1.0}
    (memory,) = families["process_resident_memory_bytes"].samples
    assert memory.value > 10_000_000
