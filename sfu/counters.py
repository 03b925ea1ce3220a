"""What the transports count. Reasons are protocol words, never an address, a name or an id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class TransportCounters:
    """Totals of a node since its start."""

    dropped: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    connections: Counter[str] = field(default_factory=Counter)
    datagrams_in: int = 0
    datagrams_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def drop(self, reason: str) -> None:
        self.dropped[reason] += 1
