"""A report is one page that needs nothing else, and shows the figures it was given."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from loadtest.report.chart import POINTS_MOST, Line, chart
from loadtest.report.page import GROWTH, page

HOSTILE = '</script><script src="https://elsewhere.example/x.js">'

RUN: dict[str, Any] = {
    "kind": "run",
    "title": f"Client {HOSTILE}",
    "samples": [
        {
            "second": second,
            "users": 10 * second,
            "joins": 5.0,
            "failures": 0.0,
            "join_p50_ms": 10.0,
            "join_p95_ms": None,
            "join_p99_ms": 30.0,
            "waiting": None,
            "redis_operations": 12.5,
        }
        for second in range(1, 20)
    ],
    "processes": {"python 12": [{"second": 1.0, "cpu": None, "memory_mb": 51.2}]},
    "steps": [
        {
            "name": "join",
            "requests": 95,
            "failures": 0,
            "p50_ms": 10.0,
            "p95_ms": 20.0,
            "p99_ms": 31234.0,
        }
    ],
    "missed": ["join p95 20 ms is above 10 ms"],
}
BOTS: dict[str, Any] = {
    "kind": "bots",
    "plan": {"pairs": 1, "path": "relay", "seconds": 4.0, "size": [320, 240], "fps": 15},
    "summary": {
        "pairs": 1,
        "failed": 0,
        "first_frame_p50_ms": 300.0,
        "first_frame_p95_ms": 400.0,
        "delay_p05_ms": 70.0,
        "delay_p50_ms": 71.0,
        "delay_p95_ms": 93.25,
        "transit_p50_ms": 4.0,
        "transit_p95_ms": 26.25,
        "frames_per_second": 15.0,
        "freezes": 0,
        "lost": 3,
        "packets": 300,
        "kbit_per_s": 220.0,
    },
    "pairs": [
        {"series": [[{"second": 0, "frames": 9, "delay_ms": None, "packets": 60, "lost": 3}]]},
        {"error": "timeout"},
    ],
}
GROWN: dict[str, Any] = {
    "kind": "growth",
    "levels": [{"rooms": rooms, **dict.fromkeys(GROWTH, 7.5)} for rooms in (10, 100, 1000)],
    "slopes": {"cpu_us_per_join": 0.125},
}


class _Outline(HTMLParser):
    """Checks that elements are closed in the order of their opening."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag not in ("meta", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(text: str) -> _Outline:
    outline = _Outline()
    outline.feed(text)
    outline.close()
    assert outline.open == []
    return outline


def test_a_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    text = page("Report", [RUN, BOTS, GROWN])
    outline = _parsed(text)
    assert outline.scripts == [{"type": "application/json", "id": "data"}]
    assert not {"link", "img", "iframe", "object", "embed"} & set(outline.tags)
    assert not re.search(r"(?:src|href)=", text.partition("<script")[0].replace("src=&quot;", ""))
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_holds_the_documents_it_was_made_of() -> None:
    text = page("Report", [RUN, BOTS, GROWN])
    data = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert data is not None
    assert json.loads(data[1]) == [RUN, BOTS, GROWN]


def test_figures_are_shown() -> None:
    text = page("Report", [RUN, BOTS, GROWN])
    for shown in ("31,234", "join p95 20 ms is above 10 ms", "93.2", "+12 %", "1,000 rooms"):
        assert shown in text, shown


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        page("Report", [{"kind": "dream"}])


def _points(svg: str) -> list[tuple[float, float]]:
    match = re.search(r' points="([^"]*)"', svg)
    assert match is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in match[1].split())]


def test_a_line_goes_where_its_numbers_say() -> None:
    (x0, y0), (x1, y1), (x2, y2) = _points(
        chart("t", [Line("l", ((0, 0), (1, 50), (2, 100)))], x="s", unit="ms")
    )
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2


def test_a_logarithmic_axis_has_even_tens() -> None:
    points = ((10, 1.0), (100, 1.0), (1000, 1.0))
    xs = [x for x, _ in _points(chart("t", [Line("l", points)], x="r", unit="", log_x=True))]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


def test_a_long_line_is_thinned_out_and_none_is_said_to_be_none() -> None:
    long = Line("l", tuple((float(n), float(n % 7)) for n in range(10 * POINTS_MOST)))
    assert len(_points(chart("t", [long], x="s", unit=""))) <= POINTS_MOST
    assert "nothing was measured" in chart("t", [Line("l", ())], x="s", unit="")


@pytest.mark.parametrize("value", [0.0, 1e-6, -3.0, 1e12])
def test_any_one_number_can_be_drawn(value: float) -> None:
    assert len(_points(chart("t", [Line("l", ((1, value),))], x="s", unit=""))) == 1
