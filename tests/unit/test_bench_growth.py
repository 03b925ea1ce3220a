"""The slope says what growth costs; the page on sizing says what was measured."""

from __future__ import annotations

from typing import Any

import pytest

from bench import sizing
from bench.growth import show, slope
from loadtest.report.page import GROWTH


def _levels(*figures: tuple[int, float]) -> list[dict[str, Any]]:
    return [{"rooms": rooms, **dict.fromkeys(GROWTH, value)} for rooms, value in figures]


@pytest.mark.parametrize(
    ("figures", "right"),
    [
        (((100, 5.0), (1000, 5.0)), 0.0),
        (((100, 90.0), (1000, 100.0), (10_000, 110.0)), 0.1),
        (((10, 1e9), (100, 90.0), (1000, 100.0), (10_000, 110.0)), 0.1),  # ten rooms say little
        (((100, 0.0), (1000, 0.0)), 0.0),
        (((10, 1.0), (100, 2.0)), None),
    ],
)
def test_the_slope_is_the_change_per_tenfold(
    figures: tuple[tuple[int, float], ...], right: float | None
) -> None:
    assert slope(_levels(*figures), "cpu_us_per_join") == pytest.approx(right)


def test_sizing_is_of_the_largest_level() -> None:
    levels = _levels((100, 1.0), (5000, 250.0))
    levels[1] |= {"memory_bytes_per_room": 12_300.0, "cpu_us_per_join": 2000.0}
    slopes = {key: slope(levels, key) for key in GROWTH}
    result = {"levels": levels, "plan": {"rate": 100.0}, "slopes": slopes}
    machine = {"cpu": "a processor", "cores": 2, "python": "3.11.7", "load_average": 0.5}
    text = sizing.document(result, machine, show(result))
    for figure in ("5,000 clients", "500 a second", "12.3 kB", "123 MB", "a processor"):
        assert figure in text


def test_what_was_written_by_hand_stays() -> None:
    former = f"# Sizing\n\nold figures\n\n{sizing.BY_HAND}\n\nfive pairs\n"
    assert sizing.by_hand(former) == f"\n{sizing.BY_HAND}\n\nfive pairs\n"
    assert sizing.by_hand("# Sizing\n") == ""
