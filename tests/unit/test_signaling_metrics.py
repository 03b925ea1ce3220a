"""Labels come from closed lists, so the number of series is bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from signaling.codes import CODES
from signaling.metrics import Gauges, Metrics


def test_what_is_not_a_code_is_counted_as_other() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.joined()
    for code in (*CODES, "Ada Lovelace", "203.0.113.9"):
        metrics.joined(code)
        metrics.refused(code)
    assert registry.get_sample_value("konsil_joins_total", {"code": "ok"}) == 1
    assert registry.get_sample_value("konsil_joins_total", {"code": "other"}) == 2
    assert registry.get_sample_value("konsil_errors_total", {"code": "other"}) == 2
    text = generate_latest(registry).decode()
    assert "Ada" not in text
    assert "203.0.113.9" not in text


def test_gauges_are_asked_for_at_each_scrape() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    now = [3]
    metrics.watch(lambda: Gauges(connections=now[0], rooms=1, waiting=2, mailbox_entries=0))
    assert registry.get_sample_value("konsil_connections") == 3
    now[0] = 4
    assert registry.get_sample_value("konsil_connections") == 4
    with metrics.timed():
        pass
    assert registry.get_sample_value("konsil_redis_operation_seconds_count") == 1
