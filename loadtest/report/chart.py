"""Line charts as SVG. Pure: numbers in, text out; no script, no font, no image from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 560
HEIGHT: Final = 230
LEFT: Final = 58
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 34
POINTS_MOST: Final = 600  # of one line; more would not be seen, and are thinned out
# Told apart without colours, too: each line has a dash of its own.
STYLES: Final = (
    ("#1b6ac9", ""),
    ("#c2410c", "6 3"),
    ("#15803d", "2 3"),
    ("#7e22ce", "8 3 2 3"),
    ("#0f766e", "1 4"),
    ("#b91c1c", "12 4"),
    ("#525252", "4 2"),
)


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    points: tuple[tuple[float, float], ...]


def chart(title: str, lines: Sequence[Line], *, x: str, unit: str, log_x: bool = False) -> str:
    """A figure with its legend. `x`, `unit`: words at the axes. Without points it says so."""
    drawn = [Line(one.label, _thinned(one.points)) for one in lines if one.points]
    head = f"<figure><figcaption>{escape(title)}</figcaption>"
    if not drawn:
        return f"{head}<p>nothing was measured</p></figure>"
    xs = [_x(at, log_x) for one in drawn for at, _ in one.points]
    ys = [value for one in drawn for _, value in one.points]
    left, right = min(xs), max(xs)
    ticks = _ticks(min(0.0, *ys), max(ys))
    low, high = ticks[0], ticks[-1]

    def across(at: float) -> float:
        part = (_x(at, log_x) - left) / (right - left) if right > left else 0.5
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'{head}<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {HEIGHT}">',
        *(_grid(down(tick), _number(tick)) for tick in ticks),
        *(_mark(across(at), _number(at)) for at in _marks(drawn, log_x)),
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x)}</text>',
    ]
    for line, (colour, dash) in zip(drawn, _styles(len(drawn)), strict=True):
        points = " ".join(f"{across(at)},{down(value)}" for at, value in line.points)
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.8"'
            f' stroke-dasharray="{dash}" points="{points}"/>'
        )
        if len(line.points) <= 12:
            parts += (
                f'<circle r="2.5" fill="{colour}" cx="{across(at)}" cy="{down(value)}"/>'
                for at, value in line.points
            )
    parts.append("</svg><p>")
    for line, (colour, dash) in zip(drawn, _styles(len(drawn)), strict=True):
        parts.append(
            '<svg class="key" viewBox="0 0 28 8" aria-hidden="true"><line x1="0" x2="28" y1="4"'
            f' y2="4" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/></svg>'
            f"{escape(line.label)} "
        )
    parts.append(f"({escape(unit)})</p></figure>")
    return "".join(parts)


def _styles(count: int) -> list[tuple[str, str]]:
    return [STYLES[number % len(STYLES)] for number in range(count)]


def _x(at: float, log_x: bool) -> float:
    return math.log10(max(at, 1e-9)) if log_x else at


def _thinned(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    step = -(-len(points) // POINTS_MOST)
    return points[::step] if step > 1 else points


def _ticks(low: float, high: float) -> list[float]:
    """Four to seven round numbers that hold both."""
    span = high - low or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _marks(lines: Sequence[Line], log_x: bool) -> list[float]:
    if log_x:
        return sorted({at for line in lines for at, _ in line.points})
    ats = [at for line in lines for at, _ in line.points]
    return [tick for tick in _ticks(min(ats), max(ats)) if min(ats) <= tick <= max(ats)]


def _grid(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>'
    )


def _mark(x: float, text: str) -> str:
    return f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>'


def _number(value: float) -> str:
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
