"""The connection to Redis: how it is made, how long it may take, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from .errors import ConfigError, StoreUnavailable

OPERATION_TIMEOUT: Final = 2.0  # seconds, for all that one operation takes
CONNECTIONS_MAX: Final = 16  # per process; beyond it operations queue within their own timeout
RETRY_AFTER: Final = 2.0  # seconds

T = TypeVar("T")


def connect(url: str) -> Redis:
    """A client for `redis://`, `rediss://` or `unix://`, which connects when first used.

    Raises ConfigError for a URL of another form. Never says the URL: there is a password in it.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            # The one deadline of an operation is set around it; several in a row would add up.
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            # What may be done twice is: see `persistently`. Mail must not be posted twice.
            retry=Retry(NoBackoff(), 0),
            # RESP2 and no driver name: nothing is sent that the ACL of keyspace.py does not know.
            protocol=2,
            driver_info=None,
        )
    except (ValueError, TypeError) as exc:
        raise ConfigError(
            "KONSIL_REDIS_URL: is not of the form redis://[user:password@]host:port/db, "
            "rediss://… or unix:///path/to/socket"
        ) from exc
    return Redis.from_pool(pool)


async def persistently(operation: Callable[[], Awaitable[T]]) -> T:
    """Runs what may run twice, a second time if the connection turned out to be dead.

    A connection that Redis closed while it lay in the pool says nothing about Redis now.
    """
    try:
        return await operation()
    except ConnectionError:
        return await operation()


class Gate:
    """Bounds what a Redis that does not answer can cost.

    Every operation has `OPERATION_TIMEOUT`. Once one has failed for want of an answer, a single
    operation at a time goes on trying, and all others are told `store_unavailable` at once, so
    that nothing piles up.
    """

    def __init__(self) -> None:
        self._down = False
        self._trying = False

    @contextlib.asynccontextmanager
    async def operation(self) -> AsyncIterator[None]:
        """Raises StoreUnavailable in place of everything that can go wrong with Redis inside."""
        if self._down and self._trying:
            raise StoreUnavailable("Redis does not answer (KONSIL_REDIS_URL)", RETRY_AFTER)
        trying = self._trying = self._down
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT):
                yield
            self._down = False
        except (RedisError, OSError) as exc:  # OSError: TimeoutError is one
            self._down = not _answered(exc)
            raise StoreUnavailable(explain(exc), RETRY_AFTER) from exc
        finally:
            if trying:
                self._trying = False


def _answered(exc: Exception) -> bool:
    """Whether Redis said this itself, so that asking again costs nobody any waiting."""
    return isinstance(exc, RedisError) and not isinstance(exc, ConnectionError | RedisTimeoutError)


# What an error's type or text tells; the first row that fits. The texts are those of older
# servers, and of errors that redis-py wraps into a ConnectionError while connecting.
_MEANINGS: Final[tuple[tuple[type[Exception] | None, tuple[str, ...], str], ...]] = (
    (
        AuthenticationError,
        ("username-password", "invalid password", "Authentication required"),
        "Redis refuses the user or password",
    ),
    (
        NoPermissionError,
        ("no permissions", "user executing the script can"),
        "the Redis user lacks a permission (see ACL_COMMANDS in waiting_room/keyspace.py)",
    ),
    (ReadOnlyError, ("READONLY", "read only"), "this is a read-only replica; name the primary"),
    (OutOfMemoryError, ("OOM",), "Redis is out of memory; raise its maxmemory"),
    (None, ("certificate", "CERTIFICATE"), "the TLS certificate of Redis does not fit the URL"),
    (BusyLoadingError, (), "Redis is still loading its data"),
)


def explain(exc: Exception) -> str:
    """What is wrong with Redis, in one line that names the setting to look at."""
    text = str(exc)
    for kind, texts, what in _MEANINGS:
        if (kind is not None and isinstance(exc, kind)) or any(part in text for part in texts):
            return f"{what} (KONSIL_REDIS_URL)"
    if _answered(exc):
        return f"Redis cannot do what is asked: {type(exc).__name__} (KONSIL_REDIS_URL)"
    return "Redis does not answer (KONSIL_REDIS_URL)"
