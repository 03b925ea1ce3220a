"""Whether a machine had time for its bots: if not, their figures are its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from loadtest.viewing import percentile

BUSY: Final = 0.9  # part of all cores
LATE_MS: Final = 20.0
"""One packet of sound: whoever is woken later than that sends unevenly."""


@dataclass(frozen=True, slots=True)
class Machine:
    """While one pair talked: `busy` is the part of all `cores` of the machine that worked, `own`
    how many of them the pair took, as its share of its process; `late_p95_ms` is by how much that
    was woken too late."""

    busy: float
    own: float
    late_p95_ms: float
    cores: int

    def document(self) -> dict[str, Any]:
        return asdict(self)


def judged(machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all pairs the median of what they had of the machine, and whether that was too little."""
    busy = percentile([one["busy"] for one in machines], 0.5)
    late = percentile([one["late_p95_ms"] for one in machines], 0.5)
    return {
        "machine_busy": busy,
        "bots_busy": sum(one["own"] / one["cores"] for one in machines) if machines else None,
        "cores_per_pair": percentile([one["own"] for one in machines], 0.5),
        "late_p95_ms": late,
        "saturated": (busy or 0.0) >= BUSY or (late or 0.0) >= LATE_MS,
    }


def warning(summary: Mapping[str, Any]) -> str:
    """For a person, or "" where the machine had time enough."""
    if not summary.get("saturated"):
        return ""
    return (
        "this machine is the bottleneck:"
        f" its cores were {100 * summary['machine_busy']:.0f} % busy,"
        f" {100 * summary['bots_busy']:.0f} % by the bots, and of twenty times"
        f" that a bot was to be woken one was {summary['late_p95_ms']:.0f} ms late;"
        " the figures say what it can do with so many pairs, and nothing of the server"
    )
