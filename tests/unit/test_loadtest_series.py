"""What is told by second is of that second."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from loadtest.bots.connection import Connection
from loadtest.bots.pair import _series
from loadtest.bots.run import summary
from loadtest.timecode import TimeCode
from loadtest.viewing import Viewing


def test_frames_without_a_code_do_not_shift_the_delays_of_others() -> None:
    viewing = Viewing(began_ms=1000, fps=4)
    for at, code in (
        (1100.0, TimeCode(1050, 0)),
        (1900.0, None),
        (2100.0, TimeCode(2000, 2)),
        (2400.0, None),
    ):
        viewing.see(code, at)
    side = cast(Connection, SimpleNamespace(viewing=viewing))
    rows = _series(side, 1000, {0: (10, 0), 1: (25, 2), 2: (30, 2)})
    assert rows == [
        {"second": 0, "frames": 2, "delay_ms": 50, "packets": 10, "lost": 0},
        {"second": 1, "frames": 2, "delay_ms": 100, "packets": 15, "lost": 2},
        {"second": 2, "frames": 0, "delay_ms": None, "packets": 5, "lost": 0},
    ]


def test_a_summary_counts_pairs_that_failed() -> None:
    figures: dict[str, Any] = {
        "first_frame_ms": None,
        "delay_p05_ms": None,
        "delay_p50_ms": 70.0,
        "delay_p95_ms": 90.0,
        "transit_p05_ms": None,
        "transit_p50_ms": 3.0,
        "transit_p95_ms": 9.0,
        "frames_per_second": 15.0,
        "missing_frames": 1,
        "unreadable_frames": 0,
        "freezes": 2,
        "frozen_ms": 400.0,
        "packets": 200,
        "lost": 4,
        "kbit_per_s": 200.0,
        "audible": 1.0,
    }
    done = summary([{"figures": [figures, figures]}, {"error": "timeout"}])
    assert (done["pairs"], done["failed"]) == (2, 1)
    assert (done["packets"], done["lost"], done["loss"]) == (400, 8, 0.02)
    assert done["first_frame_p50_ms"] is None
    assert summary([{"error": "x"}])["loss"] is None
