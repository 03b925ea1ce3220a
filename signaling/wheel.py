"""One coarse timer for all connections of a node.

A timer of the event loop for each of thousands of idle connections would cost more than the
connections do. Here an item lies in the slot of the half second in which it is due and is looked at
once then; deadlines may thus be up to `TICK` seconds late, never early.
"""

import logging
from typing import Final, Protocol

_log = logging.getLogger(__name__)

TICK: Final = 0.5
"""Seconds between two turns."""


class Due(Protocol):
    """Something with a deadline."""

    def handle_timer(self, now: float) -> float | None:
        """Do what is due at `now` (monotonic seconds); give the next deadline, None for none."""


class Wheel:
    """Items by deadline. Bounded by the connections that may be open: each is in one slot only."""

    __slots__ = ("_slots", "_turned")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, list[Due]] = {}
        self._turned = int(now / TICK)

    def add(self, item: Due, deadline: float) -> None:
        """Have `item.handle_timer` called once, at the first turn after `deadline`.

        There is no way to take it out again: an item that is done answers None.
        """
        slot = max(int(deadline / TICK) + 1, self._turned + 1)
        self._slots.setdefault(slot, []).append(item)

    def turn(self, now: float) -> None:
        """Call everything that has become due by `now`."""
        target = int(now / TICK)
        if target <= self._turned:
            return
        if target - self._turned > len(self._slots):  # a long sleep: skip the empty slots
            due = sorted(slot for slot in self._slots if slot <= target)
        else:
            due = [slot for slot in range(self._turned + 1, target + 1) if slot in self._slots]
        self._turned = target
        for slot in due:
            for item in self._slots.pop(slot):
                try:
                    deadline = item.handle_timer(now)
                except Exception:
                    # One item's fault must not stop the clock of all others.
                    _log.exception("timer_failed")
                    continue
                if deadline is not None:
                    self.add(item, deadline)
