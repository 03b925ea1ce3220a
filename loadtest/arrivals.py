"""How many users there are at each moment of a run: the load shapes. Pure; times in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

Shape = Callable[[float, float, int, float], tuple[int, float]]
"""(elapsed, duration, users, rate) -> (users now, users that may be started per second)."""

EARLY: Final = 0.2  # of those who come on a Monday: before the full hour, evenly
SHARP: Final = 0.6  # at the full hour; the rest is late, evenly
HOUR: Final = 0.4  # of the duration has passed at the full hour
CROWD: Final = 0.1  # of the duration, in which those come who come at the full hour


def steady(elapsed: float, duration: float, users: int, rate: float) -> tuple[int, float]:
    """All of them, `rate` new ones a second."""
    return users, rate


def join_storm(elapsed: float, duration: float, users: int, rate: float) -> tuple[int, float]:
    """All of them at once, as after a restart of the server."""
    return users, float(max(users, 1))


def monday_morning(elapsed: float, duration: float, users: int, rate: float) -> tuple[int, float]:
    """Few come early, most at the full hour and within a short time of it, the rest late."""
    part = min(max(elapsed / duration, 0.0), 1.0)
    if part < HOUR:
        here = EARLY * part / HOUR
    elif part < HOUR + CROWD:
        here = EARLY + SHARP * (part - HOUR) / CROWD
    else:
        late = 1.0 - EARLY - SHARP
        here = EARLY + SHARP + late * min(1.0, (part - HOUR - CROWD) / CROWD)
    # A runner that is told a number starts the missing ones at once: they are spread by the second.
    return max(1, math.ceil(users * here)), float(max(users, 1))


SHAPES: Final[dict[str, Shape]] = {
    "steady": steady,
    "monday_morning": monday_morning,
    "join_storm": join_storm,
}
