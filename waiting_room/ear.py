"""Listening to channels of Redis for ever, over every interruption of the connection."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError, RedisError

from .connection import OPERATION_TIMEOUT

_BACKOFF_S: Final = (0.05, 1.0)
"""The first wait after a failure, doubled with every further one, and the longest."""


class Ear:
    """One connection that listens. What is said while it does not is lost: it learns of that."""

    def __init__(
        self,
        redis: Redis,
        channels: tuple[str, ...],
        take: Callable[[str, bytes], None],
        *,
        begins: Callable[[], Awaitable[None]],
        ends: Callable[[], None],
        silence_s: float,
        log: logging.Logger,
    ) -> None:
        """`take(channel, data)` gets every message, in order, and must not block.

        `begins` is awaited whenever it listens from now on, before the first message is taken; a
        RedisError or OSError (so a TimeoutError, too) from it is an interruption. `ends` is called
        after every interruption and every attempt that failed. `silence_s`: without a message
        until a ping, and from it until giving up.
        """
        self._redis = redis
        self._channels = channels
        self._take = take
        self._begins = begins
        self._ends = ends
        self._silence_s = silence_s
        self._log = log
        self.heard_at = float("-inf")
        """When it was last known to listen, on the loop's clock."""

    async def run(self) -> None:
        """Listen; returns only by being cancelled."""
        backoff, longest = _BACKOFF_S
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    async with asyncio.timeout(OPERATION_TIMEOUT):
                        await self._subscribe(pubsub)
                        await self._begins()
                    backoff = _BACKOFF_S[0]
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                self._log.warning("channel_lost", extra={"kind": type(error).__name__})
            finally:
                self._ends()
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff = min(backoff * 2, longest)

    async def _subscribe(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(*self._channels)
        for _ in self._channels:
            confirmed = await pubsub.get_message(timeout=OPERATION_TIMEOUT)
            if confirmed is None or confirmed["type"] != "subscribe":
                raise ConnectionError("no confirmation of a subscription")

    async def _listen(self, pubsub: PubSub) -> None:
        asked = False
        clock = asyncio.get_running_loop().time
        while True:
            self.heard_at = clock()
            received = await pubsub.get_message(timeout=self._silence_s)
            if received is None:
                if asked:
                    raise TimeoutError
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if received["type"] != "message":
                continue
            try:
                self._take(received["channel"].decode(), received["data"])
            except Exception:
                # A fault in one message must not cost all that follow.
                self._log.exception("channel_message_not_handled")
            # Whoever waited for an answer goes on before the next message is looked at.
            await asyncio.sleep(0)
