"""What is in Redis under our prefix: by looking, not by what is remembered of it.

Both questions walk the whole database, so neither is for every day: one is an operator's
(`konsil privacy-audit`), the other comes before a receipt says that nothing is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .keyspace import KeyKind
from .store import Shared

SCANNED_AT_ONCE: Final = 1000  # keys


@dataclass(frozen=True, slots=True)
class HeldKey:
    """One key under our prefix. `ttl_ms`: -1 when it would stay for ever."""

    key: str
    kind: KeyKind
    type: str
    ttl_ms: int


async def inventory(shared: Shared) -> list[HeldKey]:
    """Every key under our prefix, by name. Raises StoreUnavailable."""
    found = {key async for some in _walk(shared, shared.keyspace.all_keys) for key in some}
    keys = sorted(found)
    held = []
    for start in range(0, len(keys), SCANNED_AT_ONCE):
        held += await _look_at(shared, keys[start : start + SCANNED_AT_ONCE])
    return held


async def holds_anything(shared: Shared, room: str) -> bool:
    """Whether there is any key of this room at all. Raises StoreUnavailable."""
    async for some in _walk(shared, shared.keyspace.all_keys_of(room)):
        if some:
            return True
    return False


async def _walk(shared: Shared, pattern: str) -> AsyncIterator[list[bytes]]:
    cursor: Any = None
    some: Any  # of bytes; redis-py cannot know that we decode none
    while cursor != 0:
        async with shared.gate.operation():
            cursor, some = await shared.redis.scan(cursor or 0, pattern, SCANNED_AT_ONCE)
        yield some


async def _look_at(shared: Shared, keys: Sequence[bytes]) -> list[HeldKey]:
    pipeline = shared.redis.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("PTTL", key)
        pipeline.execute_command("TYPE", key)
    async with shared.gate.operation():
        replies = await pipeline.execute()
    held = []
    for key, ttl, kind in zip(keys, replies[::2], replies[1::2], strict=True):
        name = key.decode("utf-8", "replace")
        if ttl != -2:  # gone since
            held.append(HeldKey(name, shared.keyspace.kind(name), kind.decode(), ttl))
    return held
