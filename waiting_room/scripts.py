"""The Lua scripts, each one atomic read-modify-write of the keys of one room."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

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

    @classmethod
    def named(cls, name: str) -> Script:
        text = resources.files(__package__).joinpath(f"{name}.lua").read_text("utf-8")
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    def call(self, keys: Sequence[str], args: Sequence[Argument]) -> Call:
        return Call(self, keys, args)


CHANGE: Final = Script.named("change")
END: Final = Script.named("end")
POST: Final = Script.named("post")
RENEW: Final = Script.named("renew")
TAKE: Final = Script.named("take")


async def run(redis: Redis, call: Call) -> Any:
    """One round trip; a second one when Redis has just been started and knows no script."""
    execute: Execute = redis.execute_command
    try:
        return await execute(*call.command())
    except NoScriptError:
        return await execute(*call.command(by_text=True))


async def run_all(redis: Redis, calls: Sequence[Call]) -> list[Any]:
    """All calls in one round trip, each atomic by itself. Replies in the order of the calls."""
    for by_text in (False, True):
        pipeline = redis.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command(by_text=by_text))
        replies = await pipeline.execute(raise_on_error=False)
        failure = next((reply for reply in replies if isinstance(reply, Exception)), None)
        if failure is None:
            return list(replies)
        if by_text or not isinstance(failure, NoScriptError):
            raise failure
    raise AssertionError("unreachable")
