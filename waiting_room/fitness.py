"""Whether a Redis is of use as it is: everything that is ever asked of it is tried once.

A user who lacks one permission would let the server start, and then nobody in.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError

from . import scripts
from .connection import OPERATION_TIMEOUT, explain
from .errors import UnusableError
from .keyspace import Keyspace

_PROBE: Final = scripts.Script.named("probe", repeatable=True)


async def check(redis: Redis, keyspace: Keyspace, node: str) -> None:
    """Raises UnusableError, which names the setting. Leaves nothing there."""
    try:
        async with asyncio.timeout(OPERATION_TIMEOUT):
            await _write(redis, keyspace, node)
            await _listen(redis, keyspace, node)
    except (RedisError, OSError) as exc:
        raise UnusableError(explain(exc)) from exc


async def _write(redis: Redis, keyspace: Keyspace, node: str) -> None:
    key = keyspace.probe_key()
    execute: scripts.Execute = redis.execute_command
    await redis.ping()
    await redis.info("server")
    await redis.set(key, b"", px=1000)
    await redis.delete(key)
    call = _PROBE.call((key,), (_channel(keyspace, node),))
    for by_text in (True, False):  # the first has Redis know the script
        await execute(*call.command(by_text=by_text))


async def _listen(redis: Redis, keyspace: Keyspace, node: str) -> None:
    channel = _channel(keyspace, node)
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        confirmed = await pubsub.get_message(timeout=OPERATION_TIMEOUT)
        if confirmed is None or confirmed["type"] != "subscribe":
            raise ConnectionError("no confirmation of a subscription")
    await redis.pubsub_numsub(channel)


def _channel(keyspace: Keyspace, node: str) -> str:
    """One that no node takes messages from."""
    return keyspace.node_channel(f"{node}-probe")
