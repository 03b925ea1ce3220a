"""Bench part `growth` at its smallest, against a real server."""

from __future__ import annotations

import pytest

from bench.growth import Plan, measure, show
from loadtest.report.page import GROWTH, page


@pytest.mark.timeout(120)
def test_growth_is_measured() -> None:
    plan = Plan(levels=(5, 100, 130), rate=50.0, pairs=2, message_rate=20.0, seconds=0.5)
    result = measure(plan)
    assert [level["rooms"] for level in result["levels"]] == [5, 100, 130]
    for level in result["levels"]:
        assert level["cpu_us_per_join"] > 0
        assert level["cpu_us_per_message"] > 0
        assert level["messages"] > 0
        assert 0 < level["join_p50_ms"] <= level["join_p99_ms"]
        # One round trip to make the session, and what a timer does meanwhile.
        assert 1 <= level["redis_operations_per_join"] < 3
        # Between two on one node Redis is not asked.
        assert level["redis_operations_per_message"] < 0.5
    assert set(result["slopes"]) == set(GROWTH)
    assert "130 rooms" in show(result)
    assert "The cost of growth" in page("Report", [result])
