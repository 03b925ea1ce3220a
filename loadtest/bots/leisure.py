"""Looks at the machine while pairs talk: had it time for the bots?"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from loadtest.saturation import Machine
from loadtest.viewing import percentile

TICK_S: Final = 0.1
_IDLE: Final = ("idle", "iowait")
TICKS_MOST: Final = 36_000  # an hour's; of what comes later only the last count


@dataclass(eq=False)
class Leisure:
    """From when it is made, or from `begin`; `watch` is to run meanwhile."""

    _late_ms: list[float] = field(default_factory=list)
    _machine: Any = field(default_factory=psutil.cpu_times)
    _own: float = field(default_factory=time.process_time)
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """What has been until now does not count."""
        self._late_ms.clear()
        self._machine, self._own = psutil.cpu_times(), time.process_time()
        self._began = time.monotonic()

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self._late_ms.append(1000 * (time.monotonic() - due))
            del self._late_ms[:-TICKS_MOST]

    def machine(self, *, shared_by: int) -> Machine:
        """For one of so many pairs in this process."""
        now = psutil.cpu_times()
        idle = sum(getattr(now, name, 0.0) - getattr(self._machine, name, 0.0) for name in _IDLE)
        cores, passed = psutil.cpu_count() or 1, time.monotonic() - self._began
        return Machine(
            busy=min(1.0, max(0.0, 1 - idle / (cores * passed))) if passed else 0.0,
            own=(time.process_time() - self._own) / passed / shared_by if passed else 0.0,
            late_p95_ms=percentile(self._late_ms, 0.95) or 0.0,
            cores=cores,
        )
