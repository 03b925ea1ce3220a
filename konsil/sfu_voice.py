"""What a forwarder says in Redis, in the order of saying it, without anybody waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

UNSENT_MAX: Final = 4096
"""Answers and events that Redis has not yet taken; one more is lost."""

_BATCH: Final = 64
_REDIS_S: Final = 2.0
_PAUSE_S: Final = 0.2


class Voice:
    """Publishes from a queue. `run` it as one task."""

    def __init__(
        self, redis: Redis, said: Callable[[str, bool], None], lost: Callable[[], None]
    ) -> None:
        """`said(channel, heard)`: something was said there, and whether anybody listens. `lost`:
        something was lost and can be said again now, as it is by now."""
        self._redis = redis
        self._said = said
        self._told_of_loss = lost
        self._unsent: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(UNSENT_MAX)
        self._lost = False

    def say(self, channel: str, text: bytes) -> None:
        """Publish that soon."""
        try:
            self._unsent.put_nowait((channel, text))
        except asyncio.QueueFull:
            self._lost = True

    async def run(self) -> None:
        """Returns only by being cancelled."""
        while True:
            batch = [await self._unsent.get()]
            while len(batch) < _BATCH and not self._unsent.empty():
                batch.append(self._unsent.get_nowait())
            try:
                async with asyncio.timeout(_REDIS_S):
                    pipeline = self._redis.pipeline(transaction=False)
                    for channel, text in batch:
                        pipeline.publish(channel, text)
                    ears = await pipeline.execute()
            except (RedisError, OSError):
                await self._until_redis_answers()
                # Whoever waited for one of these has given up by now.
                while not self._unsent.empty():
                    self._unsent.get_nowait()
                self._told_of_loss()
                continue
            for (channel, _), number in zip(batch, ears, strict=True):
                self._said(channel, bool(number))
            if self._lost:
                self._lost = False
                self._told_of_loss()

    async def _until_redis_answers(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            with contextlib.suppress(RedisError, OSError):
                async with asyncio.timeout(_REDIS_S):
                    await self._redis.ping()
                return
