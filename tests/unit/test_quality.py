"""What browsers say of calls: few steps, and nonsense is refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from signaling.metrics import Metrics
from signaling.quality import CALL_PATHS, FIRST_FRAME_S, FROZEN, LOSS, CallQuality, QualityCounts

GOOD = {"path": "relay", "loss": 1, "first_frame": 2, "frozen": 0}


def taken(document: Any) -> CallQuality:
    return msgspec.json.decode(json.dumps(document), type=CallQuality)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "tunnel"},
        {"path": None},
        {"loss": -1},
        {"loss": len(LOSS) + 1},
        {"loss": 0.5},
        {"loss": True},
        {"loss": "1"},
        {"first_frame": len(FIRST_FRAME_S) + 1},
        {"first_frame": None},
        {"frozen": len(FROZEN) + 1},
        {"room": "somebody's"},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    assert taken(GOOD) == CallQuality("relay", 1, 2, 0)
    with pytest.raises(msgspec.ValidationError):
        taken(GOOD | change)


def test_what_a_browser_cannot_tell_is_not_counted() -> None:
    registry = CollectorRegistry()
    counts = Metrics(registry).quality
    counts.count(taken({"path": "sfu", "loss": 4}))
    counts.count(taken({"path": "sfu", "loss": 0, "first_frame": 0, "frozen": 1}))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"path": "sfu", **labels})

    assert value("konsil_client_calls_total") == 2
    assert value("konsil_client_loss_ratio_bucket", le="0.1") == 1
    assert value("konsil_client_loss_ratio_bucket", le="+Inf") == 2
    assert value("konsil_client_first_frame_seconds_bucket", le="0.5") == 1
    assert value("konsil_client_first_frame_seconds_bucket", le="+Inf") == 1
    assert value("konsil_client_frozen_ratio_bucket", le="0.0") == 0
    assert value("konsil_client_frozen_ratio_bucket", le="0.01") == 1


def test_the_series_are_the_same_whatever_is_said() -> None:
    def series(counts: QualityCounts) -> int:
        return sum(len(family.samples) for family in counts.collect())

    counts = QualityCounts()
    before = series(counts)
    for path in CALL_PATHS:
        for step in range(5):
            counts.count(CallQuality(path, step, step, step))
    assert series(counts) == before
