"""Waiting for a condition; the only way in which these tests wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")
PAUSE = 0.05


async def until(look: Callable[[], Awaitable[Seen]], what: str, *, seconds: float = 15) -> Seen:
    """Looks until it sees something true, and returns that. AssertionError names `what` else."""
    limit = time.monotonic() + seconds
    while True:
        seen = await look()
        if seen:
            return seen
        assert time.monotonic() < limit, f"waited {seconds} s in vain: {what}; last seen {seen!r}"
        await asyncio.sleep(PAUSE)
