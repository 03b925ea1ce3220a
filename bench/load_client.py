"""The load client: a process of its own on a core of its own, the same for every server.

Reads one JSON order per line on stdin and writes one JSON answer per line on stdout:

    {"do": "open", "server": "peer"|"konsil", "port": …, "size": bytes, …}   -> {}
    {"do": "prepare", "count": n}       what n connections need is made ahead  -> {}
    {"do": "idle", "count": n, "abreast": k}  n waiting connections, k at a time -> {"seconds"}
    {"do": "arrive", "count": n, "rate": r}  the same, r a second            -> how long each took
    {"do": "pairs", "count": n}         n pairs, admitted                      -> {}
    {"do": "talk", "rate": r}           every connection sends r messages/s    -> {}
    {"do": "mark"}                      counters now                          -> {"sent","received"}
    {"do": "hush"}                      stop sending, wait for the last       -> totals and delays
    {"do": "close"}                     closes all                            -> {}
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.dialects import Dialect, KonsilDialect, Member, PeerDialect

BEAT = 0.002
PATIENCE = 30.0  # seconds for one who is refused
AGAIN = 0.2


class LoadClient:
    """Owns the connections and the one task that paces their messages."""

    def __init__(self) -> None:
        self._dialect: Dialect | None = None
        self._members: list[Member] = []
        self._talk: asyncio.Task[None] | None = None

    @property
    def dialect(self) -> Dialect:
        if self._dialect is None:
            raise RuntimeError("open comes first")
        return self._dialect

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        match order["do"]:
            case "open":
                self._dialect = _dialect(order)
                return {}
            case "prepare":
                self.dialect.prepare(order["count"])
                return {}
            case "idle":
                return {"seconds": await self._idle(order["count"], order["abreast"])}
            case "arrive":
                return await self._arrive(order["count"], order["rate"])
            case "pairs":
                for index in range(order["count"]):
                    self._members += await self.dialect.pair(index)
                return {}
            case "talk":
                self._talk = asyncio.create_task(self._speak(order["rate"]))
                return {}
            case "mark":
                return self._counters()
            case "hush":
                return await self._hush()
            case "close":
                for member in self._members:
                    member.close()
                self._members = []
                await asyncio.sleep(0)
                return self._counters()
            case other:
                raise ValueError(f"unknown order {other}")

    def _counters(self) -> dict[str, Any]:
        tally = self.dialect.tally
        return {"sent": tally.sent, "received": tally.received, "faults": tally.faults}

    async def _idle(self, count: int, abreast: int) -> float:
        """Seconds for `count` connections to be taken in, `abreast` of them at any time."""
        numbers = iter(range(len(self._members), len(self._members) + count))

        async def lane() -> None:
            for number in numbers:
                self._members.append(await self.dialect.idle(number))

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(abreast):
                group.create_task(lane())
        return time.perf_counter() - start

    async def _arrive(self, count: int, rate: float) -> dict[str, Any]:
        """Each at its time, whether or not those before are in: a slow server is not spared."""
        took: list[float] = []
        start, first = time.perf_counter(), len(self._members)

        async def one(number: int) -> None:
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._members.append(await self._let_in(first + number, due + PATIENCE))
            took.append((time.perf_counter() - due) * 1000)

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))
        took.sort()
        return {
            "seconds": time.perf_counter() - start,
            **{f"p{part}_ms": took[min(count - 1, count * part // 100)] for part in (50, 95, 99)},
        }

    async def _let_in(self, number: int, until: float) -> Member:
        """Comes again when it is refused, as a page does; the time counts from the first."""
        while True:
            try:
                return await self.dialect.idle(number)
            except ConnectionError:
                if time.perf_counter() > until:
                    raise
                await asyncio.sleep(AGAIN)

    async def _speak(self, rate: float) -> None:
        """Spreads the messages evenly over time and over the connections."""
        members, total = self._members, rate * len(self._members)
        start, done = time.perf_counter(), 0
        while True:
            due = int((time.perf_counter() - start) * total)
            for number in range(done, due):
                members[number % len(members)].send()
            done = due
            await asyncio.sleep(BEAT)

    async def _hush(self) -> dict[str, Any]:
        if self._talk is not None:
            self._talk.cancel()
            self._talk = None
        tally = self.dialect.tally
        for _ in range(500):
            if tally.received >= tally.sent:
                break
            await asyncio.sleep(0.01)
        delays = sorted(tally.late)
        tally.late = tally.late[:0]
        return self._counters() | {
            "delay_median_ms": delays[len(delays) // 2] / 1e6 if delays else None,
            "delay_p99_ms": delays[len(delays) * 99 // 100] / 1e6 if delays else None,
        }


def _dialect(order: dict[str, Any]) -> Dialect:
    match order["server"]:
        case "peer":
            return PeerDialect(order["port"], order["size"])
        case "konsil":
            return KonsilDialect(
                order["port"], order["size"], Path(order["state_dir"]), order["public_url"]
            )
        case other:
            raise ValueError(f"unknown server {other}")


async def main() -> None:
    client = LoadClient()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            async with asyncio.timeout(120):
                answer = await client.obey(json.loads(line))
        except Exception as error:  # whatever went wrong is the answer
            answer = {"error": f"{type(error).__name__}: {_innermost(error)}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    uvloop.run(main())
