"""Sign-ins that were ended before their cookie was void by itself, in Redis."""

from __future__ import annotations

from typing import Final

from .connection import persistently
from .sign_ins import SignIn
from .store import Shared

# Longer than any cookie of it is good: one that is made anew counts from before it was looked up
# here (Credentials.keep), and so from before the sign-out. Nothing stays in Redis for longer.
REMEMBERED_S: Final = 3600


class SignOuts:
    """Every operation may raise StoreUnavailable."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def add(self, sign_in: SignIn) -> None:
        key = self._shared.keyspace.signed_out_key(sign_in.sid)
        async with self._shared.gate.operation():
            await persistently(lambda: self._shared.redis.set(key, b"", px=REMEMBERED_S * 1000))

    async def has(self, sign_in: SignIn) -> bool:
        key = self._shared.keyspace.signed_out_key(sign_in.sid)
        async with self._shared.gate.operation():
            return await persistently(lambda: self._shared.redis.get(key)) is not None
