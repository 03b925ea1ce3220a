"""One heap of deadlines for everything that expires in the core."""

from __future__ import annotations

import heapq
import math
from typing import Protocol

_FORGOTTEN = -math.inf


class Expiring(Protocol):
    """Something with a deadline in monotonic seconds, which may be moved later or to the past."""

    expires: float


class Deadlines:
    """Finds what has expired without a timer for each.

    Every item has exactly one entry, however often it is refreshed: an entry that turns up
    before its item's deadline is put back at that deadline. Forgotten items are swept out once
    they are the larger part. So the heap stays within twice the tables it watches, and a client
    that makes and deletes in a loop makes nothing grow.
    """

    __slots__ = ("_forgotten", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Expiring]] = []
        self._serial = 0
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._heap)

    def watch(self, item: Expiring) -> None:
        """Watch an item that is not watched yet."""
        self._serial += 1
        heapq.heappush(self._heap, (item.expires, self._serial, item))

    def forget(self, item: Expiring) -> None:
        """Stop watching an item that is watched."""
        item.expires = _FORGOTTEN
        self._forgotten += 1
        if self._forgotten > 64 and self._forgotten * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].expires != _FORGOTTEN]
            heapq.heapify(self._heap)
            self._forgotten = 0

    def next(self) -> float | None:
        """When to look again."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Expiring | None:
        """One item whose deadline has passed, watched no longer; None when there is no more."""
        while self._heap and self._heap[0][0] <= now:
            _, _, item = heapq.heappop(self._heap)
            if item.expires == _FORGOTTEN:
                self._forgotten -= 1
            elif item.expires <= now:
                return item
            else:
                self.watch(item)
        return None
