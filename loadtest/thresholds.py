"""Whether a run was good enough: what its exit code says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MISSED_EXIT_CODE: Final = 3
JOIN: Final = "join"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """`join_…`: milliseconds, None for no bound. `error_rate`: from 0 to 1."""

    join_p95_ms: float | None
    join_p99_ms: float | None
    error_rate: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has measured. `percentiles_ms`: of joins, by part (0.95, 0.99)."""

    requests: int
    failures: int
    joins: int
    percentiles_ms: Mapping[float, float]


def missed(thresholds: Thresholds, outcome: Outcome, *, joins_expected: bool) -> list[str]:
    """One line for each that was missed. A run that measured nothing has missed, too."""
    return list(_missed(thresholds, outcome, joins_expected))


def _missed(thresholds: Thresholds, outcome: Outcome, joins_expected: bool) -> Iterable[str]:
    if outcome.requests == 0:
        yield "nothing was measured"
        return
    rate = outcome.failures / outcome.requests
    if rate > thresholds.error_rate:
        yield f"error rate {rate:.4f} is above {thresholds.error_rate:g}"
    if outcome.joins == 0:
        if joins_expected:
            yield "nobody has joined"
        return
    for part, bound in ((0.95, thresholds.join_p95_ms), (0.99, thresholds.join_p99_ms)):
        if bound is not None and (took := outcome.percentiles_ms[part]) > bound:
            yield f"join p{part * 100:.0f} {took:.0f} ms is above {bound:g} ms"
