"""What the relay counts. Labels are protocol words, never an address, user name or token."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since start. `requests` is by (method, outcome), `dropped` by reason."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    allocations_made: Counter[str] = field(default_factory=Counter)
