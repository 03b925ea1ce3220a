"""Sign-ins that were ended before their cookie was void by itself, in Redis."""

from __future__ import annotations

from typing import Final

from .connection import persistently
from .sign_ins import IDLE_S, SignIn
from .store import Shared

_TTL_MS: Final = IDLE_S * 1000  # a cookie made in the moment of the sign-out lives no longer


class SignOuts:
    """Every operation may raise StoreUnavailable."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def add(self, sign_in: SignIn) -> None:
        key = self._shared.keyspace.signed_out_key(sign_in.sid)
        async with self._shared.gate.operation():
            await persistently(lambda: self._shared.redis.set(key, b"", px=_TTL_MS))

    async def has(self, sign_in: SignIn) -> bool:
        key = self._shared.keyspace.signed_out_key(sign_in.sid)
        async with self._shared.gate.operation():
            return await persistently(lambda: self._shared.redis.get(key)) is not None
