"""Deadlines of many things, the earliest first."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

_Item = TypeVar("_Item", bound=Hashable)


class Timers(Generic[_Item]):
    """One deadline for each item, in monotonic seconds.

    A deadline that is moved leaves its old entry behind, to be skipped when it comes up; when these
    are the larger part they are swept out, so the heap stays within twice what it watches.
    """

    __slots__ = ("_deadlines", "_heap", "_serial")

    def __init__(self) -> None:
        self._deadlines: dict[_Item, float] = {}
        self._heap: list[tuple[float, int, _Item]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, item: _Item, deadline: float | None) -> None:
        """Watch an item, move its deadline, or with None forget it."""
        if deadline is None:
            self._deadlines.pop(item, None)
            return
        if self._deadlines.get(item) == deadline:
            return
        self._deadlines[item] = deadline
        self._serial += 1
        heapq.heappush(self._heap, (deadline, self._serial, item))
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._deadlines):
            self._heap = [e for e in self._heap if self._deadlines.get(e[2]) == e[0]]
            heapq.heapify(self._heap)

    def next(self) -> float | None:
        """When to look again."""
        heap = self._heap
        while heap and self._deadlines.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> _Item | None:
        """One item whose deadline has come, watched no longer; None when there is no more."""
        upcoming = self.next()
        if upcoming is None or upcoming > now:
            return None
        item = heapq.heappop(self._heap)[2]
        del self._deadlines[item]
        return item
