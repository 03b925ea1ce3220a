"""Time as the forwarder takes it: timers by a monotonic clock, the certificate by the wall's."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds; a step of the wall clock moves no timer. `cpu` is what this process has used."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...

    def cpu(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def cpu(self) -> float:
        return time.process_time()
