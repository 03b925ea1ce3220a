"""One heap of deadlines for everything that expires in the core."""

from __future__ import annotations

import heapq
from typing import Protocol


class Expiring(Protocol):
    """Something with a deadline in monotonic seconds, which may be moved later or to the past."""

    expires: float


class Deadlines:
    """Finds what has expired without a timer for each.

    Every item has exactly one entry, however often it is refreshed: an entry that turns up
    before its item's deadline is put back at that deadline. So the heap is as large as the
    tables it watches, and a client that refreshes in a loop makes nothing grow.
    """

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Expiring]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def watch(self, item: Expiring) -> None:
        """Watch a new item. One that is over early stays until its entry comes up."""
        self._serial += 1
        heapq.heappush(self._heap, (item.expires, self._serial, item))

    def next(self) -> float | None:
        """When to look again."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Expiring]:
        """Items whose deadline has passed; they are watched no longer."""
        expired: list[Expiring] = []
        while self._heap and self._heap[0][0] <= now:
            _, _, item = heapq.heappop(self._heap)
            if item.expires <= now:
                expired.append(item)
            else:
                self.watch(item)
        return expired
