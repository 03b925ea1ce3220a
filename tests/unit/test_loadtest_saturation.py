"""A run says when the machine itself was the bottleneck, and only then."""

from __future__ import annotations

import pytest

from loadtest.report.page import _BOTS, page
from loadtest.saturation import BUSY, LATE_MS, Machine, judged, warning


def machines(busy: float, late: float) -> list[dict[str, float]]:
    # One pair had a bad moment; that is not the machine's state.
    return [Machine(busy, 0.2, late, 4).document()] * 4 + [Machine(1.0, 1.0, 900.0, 4).document()]


@pytest.mark.parametrize(
    ("busy", "late", "saturated"),
    [
        (0.5, 1.0, False),
        (BUSY - 0.01, LATE_MS - 0.1, False),
        (BUSY, 1.0, True),
        (0.5, LATE_MS, True),
    ],
)
def test_it_is_judged_by_what_most_pairs_had(busy: float, late: float, saturated: bool) -> None:
    told = judged(machines(busy, late))
    assert told["saturated"] is saturated
    assert told["machine_busy"] == busy
    assert told["cores_per_pair"] == 0.2
    assert told["bots_busy"] == pytest.approx(0.45)
    assert bool(warning(told)) is saturated


def test_where_no_pair_has_talked_nothing_is_known() -> None:
    told = judged([])
    assert told["machine_busy"] is None
    assert warning(told) == ""


def test_the_report_says_so_too() -> None:
    summary = judged(machines(0.99, 250.0)) | dict.fromkeys((key for key, _ in _BOTS), 0)
    plan = {"pairs": 1, "path": "sfu", "seconds": 4.0, "size": [160, 90], "fps": 5}
    document = {"kind": "bots", "plan": plan, "summary": summary, "pairs": []}
    assert "bottleneck: its cores were 99 % busy, 45 % by the bots" in page("Report", [document])
    assert "160 x 90 pixels, 5 a second" in page("Report", [document])
    assert "bottleneck" not in page(
        "Report", [document | {"summary": summary | {"saturated": False}}]
    )
