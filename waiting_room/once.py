"""Statements of ours that are good once, and for a moment: challenges, and requests to an issuer.

Only one that has proved to be good is remembered, so that strangers put nothing into Redis.
"""

from __future__ import annotations

from typing import Final

from .connection import persistently
from .errors import Refused
from .store import Shared

LONGEST_S: Final = 3600


class Once:
    """Every operation may raise StoreUnavailable."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def use(self, statement: str, seconds: float, refusal: Refused) -> None:
        """Uses the statement of that id, which is good for `seconds` more.

        Raises `refusal` when it had been used before. After a restart of Redis that has lost
        everything one could be used again for what is left of its `seconds`.
        """
        ttl_ms = max(1, int(min(seconds, LONGEST_S) * 1000))
        key = self._shared.keyspace.once_key(statement)
        async with self._shared.gate.operation():
            # Whoever uses a thing twice is told so: a retry after a lost answer, too.
            fresh = await persistently(lambda: self._shared.redis.set(key, b"", px=ttl_ms, nx=True))
        if not fresh:
            raise refusal
