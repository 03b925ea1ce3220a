"""Whether anything of a room is left in Redis: by looking, not by what is remembered of it."""

from __future__ import annotations

from .store import SCANNED_AT_ONCE, Shared


async def holds_anything(shared: Shared, room: str) -> bool:
    """Whether there is any key of this room at all; walks the whole database.

    Raises StoreUnavailable.
    """
    cursor = None
    while cursor != 0:
        async with shared.gate.operation():
            cursor, some = await shared.redis.scan(
                cursor or 0, shared.keyspace.all_keys_of(room), SCANNED_AT_ONCE
            )
        if some:
            return True
    return False
