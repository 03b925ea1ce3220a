"""Codes to be read over the telephone: nine digits that lead to a waiting room, once.

A code is there while its room is: it is made for a room that is open, and goes when the room ends,
or an hour later, or when it is replaced. Two keys hold it, since a code leads to a room (`typed`)
and a room to its code (`code`), by which ending the room finds it. They are in different slots, so
no script writes both. `code` is written first and `typed` is deleted first: whatever fails in
between, nothing of a room stays that its end does not find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from . import scripts
from .connection import persistently
from .errors import Refused, StoreUnavailable
from .store import Shared

DIGITS: Final = 9
LIFETIME_S: Final = 3600
_TRIES: Final = 5  # at a code that another room has at present: one in a million, if at all
_UNCONFIRMED_MS: Final = 10_000  # a code that nobody has been told; longer than an operation takes


class Leads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a code leads: what a client's token needs to say."""

    room: str
    provider: str
    epoch: int
    closes_at: int  # s since 1970


@dataclass(frozen=True, slots=True)
class TypedCode:
    digits: str
    expires_at: int  # s since 1970
    used: bool


_decode: Final = msgspec.json.Decoder(Leads).decode


class TypedCodes:
    """Every operation may raise StoreUnavailable."""

    def __init__(self, shared: Shared, random: Callable[[int], bytes]) -> None:
        self._shared = shared
        self._random = random

    async def make(self, leads: Leads, now: float) -> TypedCode:
        """A new code for a room; the one it had leads nowhere any more.

        Raises Refused `token_closed` or `room_ended`.
        """
        seconds = min(LIFETIME_S, leads.closes_at - int(now))
        if seconds <= 0:
            raise _closed()
        ttl = seconds * 1000
        redis, keyspace = self._shared.redis, self._shared.keyspace
        value = msgspec.json.encode(leads)
        async with self._shared.gate.operation():
            taken = ""
            for _ in range(_TRIES):
                digits = new_digits(self._random)
                await self._assign(leads.room, digits, ttl, taken)
                typed = keyspace.typed_key(digits)
                if await redis.set(typed, value, px=_UNCONFIRMED_MS, nx=True):
                    break
                taken = digits
            else:
                raise StoreUnavailable("no code is free")
            # The room may have ended since, or have been given another code.
            present: Any = await redis.get(keyspace.code_key(leads.room))
            if present != digits.encode() or not await redis.pexpire(typed, ttl):
                await self._forget(leads.room, digits)
                if present is None:
                    raise _ended()
                raise StoreUnavailable("the room has just been given another code")
        return TypedCode(digits, int(now) + seconds, used=False)

    async def _assign(self, room: str, digits: str, ttl: int, void: str) -> None:
        """Makes these the digits of the room; what others it had leads nowhere from now on.

        `void`: digits that are another room's in truth.
        """
        keyspace = self._shared.keyspace
        keys = keyspace.session_key(room), keyspace.code_key(room)
        for _ in range(_TRIES):
            call = scripts.CODE.call(keys, (digits, ttl, void))
            reply = await scripts.run(self._shared.redis, call)
            if reply == 1:
                return
            if reply == 0:
                raise _ended()
            void = reply.decode()
            await self._forget(room, void)
        raise StoreUnavailable("the room is given codes all the time")

    async def _forget(self, room: str, digits: str) -> None:
        call = scripts.FORGET.call((self._shared.keyspace.typed_key(digits),), (room,))
        await scripts.run(self._shared.redis, call)

    async def of(self, room: str, now: float) -> TypedCode | None:
        """The present code of a room, also if it has been used."""
        redis, keyspace = self._shared.redis, self._shared.keyspace
        async with self._shared.gate.operation():
            found: Any = await redis.get(keyspace.code_key(room))
            if found is None:
                return None
            key = keyspace.typed_key(found.decode())
            value, ttl = await redis.get(key), await redis.pttl(key)
        if value is None or ttl <= 0 or (value and _decode(value).room != room):
            return None
        return TypedCode(found.decode(), int(now) + ttl // 1000, used=value == b"")

    async def redeem(self, digits: str, now: float) -> Leads:
        """Where a code leads; after that it leads nowhere.

        Raises Refused `code_unknown`, `already_used`, or `token_closed`, and then it is not used
        up. One round trip whether it is right or not.
        """
        keyspace = self._shared.keyspace
        call = scripts.REDEEM.call((keyspace.typed_key(digits),), (int(now),))
        async with self._shared.gate.operation():
            value = await scripts.run(self._shared.redis, call)
        if value is None:
            raise _unknown()
        if value == b"":
            raise Refused("already_used", "this code has been used; ask for another one")
        leads = _decode(value)
        if int(now) >= leads.closes_at:
            raise _closed()
        async with self._shared.gate.operation():
            key = keyspace.code_key(leads.room)
            present: Any = await persistently(lambda: self._shared.redis.get(key))
        if present is None or present.decode() != digits:
            raise _unknown()  # the room has ended, or has another code by now
        return leads


def new_digits(random: Callable[[int], bytes]) -> str:
    """Nine digits, each number as likely as any other."""
    most = 10**DIGITS
    while True:
        number = int.from_bytes(random(4))
        if number < 2**32 // most * most:
            return f"{number % most:0{DIGITS}}"


def _closed() -> Refused:
    return Refused("token_closed", "past the planned end")


def _ended() -> Refused:
    return Refused("room_ended", "the room is not open")


def _unknown() -> Refused:
    return Refused("code_unknown", "no room has this code at present")
