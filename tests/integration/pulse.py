"""Time as this process has had it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

BEAT_S = 0.05


class Pulse:
    """`async with Pulse() as pulse:` counts the beats of the event loop meanwhile.

    For what is promised within so many seconds. A machine that has no time for the test has none
    for its beats, so it may be as slow as it likes; what waits too long is found out all the same.
    """

    def __init__(self) -> None:
        self._beats = 0

    @property
    def seconds(self) -> float:
        return self._beats * BEAT_S

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            self._beats += 1
