"""The Lua scripts, each one atomic read-modify-write of the keys of one room."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from .connection import persistently

Argument = str | bytes | int
Execute = Callable[..., Awaitable[Any]]  # what redis-py leaves untyped


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a script: what `EVALSHA` takes."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]

    def command(self, *, by_text: bool = False) -> tuple[Argument, ...]:
        if by_text:
            return "EVAL", self.script.text, len(self.keys), *self.keys, *self.args
        return "EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str
    repeatable: bool  # running it a second time does no more than the first

    @classmethod
    def named(cls, name: str, *, repeatable: bool) -> Script:
        text = resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return cls(text, sha, repeatable)

    def call(self, keys: Sequence[str], args: Sequence[Argument]) -> Call:
        return Call(self, keys, args)


CHANGE: Final = Script.named("change", repeatable=True)
CODE: Final = Script.named("code", repeatable=True)
END: Final = Script.named("end", repeatable=True)
FORGET: Final = Script.named("forget", repeatable=True)
POST: Final = Script.named("post", repeatable=False)
RENEW: Final = Script.named("renew", repeatable=True)
REDEEM: Final = Script.named("redeem", repeatable=False)
TAKE: Final = Script.named(
    "take", repeatable=False
)  # what was taken and lost on the way is not "nothing"


async def run(redis: Redis, call: Call) -> Any:
    """One round trip; a second one when Redis has just been started and knows no script."""
    execute: Execute = redis.execute_command

    async def once() -> Any:
        try:
            return await execute(*call.command())
        except NoScriptError:
            return await execute(*call.command(by_text=True))

    return await (persistently(once) if call.script.repeatable else once())


async def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """All calls in one round trip, each atomic by itself; only for what is repeatable.

    Replies in the order of the calls.
    """
    replies = await persistently(lambda: _pipeline(redis, calls, by_text=False))
    if any(isinstance(reply, NoScriptError) for reply in replies):
        replies = await _pipeline(redis, calls, by_text=True)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


async def _pipeline(redis: Redis, calls: Sequence[Call], *, by_text: bool) -> list[Any]:
    pipeline = redis.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command(*call.command(by_text=by_text))
    return list(await pipeline.execute(raise_on_error=False))
