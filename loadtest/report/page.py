"""Documents of measurements to one HTML page. Pure.

A document is what a measurement wrote as JSON; its `kind` is one of RENDERERS. The documents
themselves are in the page, too, so that figures can be taken out of it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from loadtest.report.chart import Line, chart
from loadtest.saturation import warning

Document = Mapping[str, Any]

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1180px;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-top:1px solid #ccc;
padding-top:1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(430px,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600}figure p{margin:.1rem 0;font-size:.85rem}
svg{width:100%;height:auto}svg text{font-size:11px;fill:#444}.grid{stroke:#e2e2e2}
svg.key{width:28px;height:8px;margin:0 .3rem 0 .7rem;vertical-align:middle}
"""


def page(title: str, documents: Sequence[Document]) -> str:
    """Raises KeyError for a document of an unknown kind."""
    sections = "".join(RENDERERS[document["kind"]](document) for document in documents)
    # No text of a document ends the element that it is in.
    data = json.dumps(list(documents), separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{sections}"
        f'<script type="application/json" id="data">{data}</script></body></html>\n'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _section(title: str, body: str, charts: Iterable[str]) -> str:
    return f'<h2>{escape(title)}</h2>{body}<div class="charts">{"".join(charts)}</div>'


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _line(label: str, samples: Sequence[Document], x: str, y: str) -> Line:
    """Of the samples that have both."""
    points = ((one.get(x), one.get(y)) for one in samples)
    return Line(label, tuple((a, b) for a, b in points if a is not None and b is not None))


# --- a run of locust ---


def _run(document: Document) -> str:
    samples, processes = document["samples"], document.get("processes", {})

    def over_time(title: str, unit: str, *lines: tuple[str, str]) -> str:
        drawn = [_line(label, samples, "second", key) for label, key in lines]
        return chart(title, drawn, x="seconds", unit=unit)

    def by_process(title: str, unit: str, key: str) -> str:
        drawn = [_line(name, each, "second", key) for name, each in processes.items()]
        return chart(title, drawn, x="seconds", unit=unit)

    charts = (
        over_time("People", "users", ("users", "users"), ("waiting at the server", "waiting")),
        over_time("Joins", "per second", ("joins", "joins"), ("errors of all steps", "failures")),
        over_time(
            "Time to join",
            "ms, last ten seconds",
            ("median", "join_p50_ms"),
            ("95 of 100", "join_p95_ms"),
            ("99 of 100", "join_p99_ms"),
        ),
        over_time("Redis", "operations per second", ("operations", "redis_operations")),
        by_process("Processor", "cores", "cpu"),
        by_process("Memory", "MB", "memory_mb"),
    )
    steps = table(
        ("step", "requests", "failures", "median ms", "p95 ms", "p99 ms"),
        (
            [one[key] for key in ("name", "requests", "failures", "p50_ms", "p95_ms", "p99_ms")]
            for one in document["steps"]
        ),
    )
    missed = "".join(f"<li>{escape(line)}</li>" for line in document["missed"])
    verdict = (
        f"<p>Thresholds missed:</p><ul>{missed}</ul>" if missed else "<p>No threshold missed.</p>"
    )
    words = escape(document["title"])
    return f'<h2>{words}</h2>{verdict}<div class="charts">{"".join(charts)}</div>{steps}'


# --- media bots ---

_BOTS: Final = (
    ("pairs", "pairs"),
    ("failed", "failed"),
    ("first_frame_p50_ms", "first picture, median ms"),
    ("first_frame_p95_ms", "first picture, p95 ms"),
    ("delay_p05_ms", "delay p5 ms"),
    ("delay_p50_ms", "delay median ms"),
    ("delay_p95_ms", "delay p95 ms"),
    ("transit_p50_ms", "the way alone, median ms"),
    ("transit_p95_ms", "the way alone, p95 ms"),
    ("frames_per_second", "pictures per second"),
    ("freezes", "freezes"),
    ("lost", "packets lost"),
    ("packets", "of packets"),
    ("kbit_per_s", "kbit/s"),
)


def _bots(document: Document) -> str:
    plan, summary = document["plan"], document["summary"]
    bots = [series for pair in document["pairs"] for series in pair.get("series", ())]
    by_second: dict[int, list[Document]] = {}
    for sample in (sample for series in bots for sample in series):
        by_second.setdefault(sample["second"], []).append(sample)

    def line(label: str, key: str, part: float) -> Line:
        points = []
        for second, samples in sorted(by_second.items()):
            values = sorted(one[key] for one in samples if one[key] is not None)
            if values:
                points.append(
                    (float(second), values[min(len(values) - 1, int(part * len(values)))])
                )
        return Line(label, tuple(points))

    lost: dict[int, float] = {}
    sent: dict[int, float] = {}
    for second, samples in by_second.items():
        lost[second] = sum(one.get("lost", 0) for one in samples)
        sent[second] = sum(one.get("packets", 0) for one in samples)
    loss = tuple((float(s), 100 * lost[s] / sent[s]) for s in sorted(sent) if sent[s])
    delays = [line("median of all", "delay_ms", 0.5), line("worst of 20", "delay_ms", 0.95)]
    frames = [line("median of all", "frames", 0.5), line("worst of 20", "frames", 0.05)]
    charts = (
        chart("Delay from end to end", delays, x="seconds", unit="ms"),
        chart("Pictures shown", frames, x="seconds", unit="per second and bot"),
        chart("Packets lost", [Line("of all bots", loss)], x="seconds", unit="percent"),
    )
    rows = [(words, summary[key]) for key, words in _BOTS]
    width, height = plan["size"]
    words = (
        f"{plan['pairs']} pairs of media bots, {plan['path']}, {plan['seconds']:g} s,"
        f" {width} x {height} pixels, {plan['fps']} a second"
    )
    bottleneck = warning(summary)
    told = f"<p><strong>{escape(bottleneck)}</strong></p>" if bottleneck else ""
    return _section(words, told + table(("", ""), rows), charts)


# --- the cost of growth ---


def _growth(document: Document) -> str:
    levels, slopes = document["levels"], document["slopes"]
    charts = (
        chart(
            words,
            [_line(words, levels, "rooms", key)],
            x="rooms (logarithmic)",
            unit=unit,
            log_x=True,
        )
        for key, (words, unit) in GROWTH.items()
    )
    rows = (
        (f"{words}, {unit}", *(level[key] for level in levels), _percent(slopes.get(key)))
        for key, (words, unit) in GROWTH.items()
    )
    head = ("", *(f"{level['rooms']:,} rooms" for level in levels), "slope per tenfold")
    return (
        f'<h2>The cost of growth</h2>{table(head, rows)}<div class="charts">{"".join(charts)}</div>'
    )


def _percent(slope: float | None) -> str:
    return "-" if slope is None else f"{100 * slope:+.0f} %"


GROWTH: Final[dict[str, tuple[str, str]]] = {
    "cpu_us_per_join": ("processor time of the server per join", "µs"),
    "redis_cpu_us_per_join": ("processor time of Redis per join", "µs"),
    "redis_operations_per_join": ("Redis operations per join", "round trips"),
    "join_p50_ms": ("time to join, median", "ms"),
    "join_p99_ms": ("time to join, 99 of 100", "ms"),
    "memory_bytes_per_room": ("memory of the server per room", "bytes"),
    "redis_memory_bytes_per_room": ("memory of Redis per room", "bytes"),
    "cpu_us_per_room_and_minute": (
        "processor time of the server per waiting room and minute",
        "µs",
    ),
    "cpu_us_per_message": ("processor time of the server per message", "µs"),
    "redis_operations_per_message": ("Redis operations per message", "round trips"),
    "message_p99_ms": ("send to receipt, 99 of 100", "ms"),
}
"""Figures of a level of bench part `growth`: words and unit."""

RENDERERS: Final[dict[str, Callable[[Document], str]]] = {
    "run": _run,
    "bots": _bots,
    "growth": _growth,
}
