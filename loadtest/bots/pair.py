"""Pairs that share a process: reads their orders as JSON on stdin, writes their figures to stdout.

{"orders": [{"url", "room", "host_token", "client_token", "secret", "path", "seconds", "fps",
             "size", "relay_url"}]}
  ->  [{"figures": [host's, client's], "series": …, "machine": …} or {"error": "…"}]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiortc import RTCPeerConnection

from loadtest.bots.connection import Connection, Path, configuration
from loadtest.bots.leisure import Leisure
from loadtest.bots.media import SIZE, now_ms
from loadtest.bots.page import BotError, Page, opened
from loadtest.viewing import Viewing, percentile
from signaling.group_messages import P2pFailed
from signaling.messages import Admit, Connected, End

SET_UP_S: Final = 60.0
FIRST_S: Final = 15.0
SET_UPS_AT_ONCE: Final = 2
"""In one process. Each takes a tenth of a second of a core, and its first picture says how long the
server made it wait, not how long its neighbours did."""


@dataclass(frozen=True, slots=True)
class Order:
    url: str
    room: str
    host_token: str
    client_token: str
    secret: str
    path: Path
    seconds: float
    fps: int
    size: tuple[int, int] = SIZE
    relay_url: str = ""


class Gate:
    """Where the pairs of a process meet when their calls are set up: what that costs the machine is
    in none of their figures but the first picture's."""

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs
        self.leisure = Leisure()
        self._setting_up = asyncio.Semaphore(SET_UPS_AT_ONCE)
        self._coming, self._open = pairs, asyncio.Event()

    @contextlib.asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """One pair is set up, or fails to."""
        try:
            async with asyncio.timeout(SET_UP_S):
                await self._setting_up.acquire()
            try:
                yield
            finally:
                self._setting_up.release()
        finally:
            self._coming -= 1
            if not self._coming:
                # What is there now stays to the end: nobody need go through it for garbage.
                gc.collect()
                gc.freeze()
                self.leisure.begin()
                self._open.set()

    async def opens(self) -> None:
        async with asyncio.timeout(2 * SET_UP_S):
            await self._open.wait()

    def machine(self) -> dict[str, Any]:
        """As one of the pairs had it."""
        return self.leisure.machine(shared_by=self.pairs).document()


async def run(order: Order, gate: Gate) -> dict[str, Any]:
    """The figures of both. Raises BotError and TimeoutError."""
    async with contextlib.AsyncExitStack() as stack:
        async with gate.arriving():
            host, began, sides = await _set_up(order, stack)
        await gate.opens()
        for side in sides:
            side.viewing.begin()
        traffic = await _talked(order.seconds, sides, began)
        machine = gate.machine()
        figures = [await side.figures() for side in sides]
        series = [_series(side, began, traffic[side]) for side in sides]
        await asyncio.gather(*(side.close() for side in sides))
        await host.command(End)
    told = [each.document() for each in figures]
    return {"figures": told, "series": series, "machine": machine}


async def _set_up(
    order: Order, stack: contextlib.AsyncExitStack
) -> tuple[Page, float, tuple[Connection, Connection]]:
    """The host, when it admitted, and both ends of a call that goes on until the stack ends."""
    session = await stack.enter_async_context(aiohttp.ClientSession())
    client = await stack.enter_async_context(opened(session, order.url, order.client_token, "Bot"))
    host = await stack.enter_async_context(opened(session, order.url, order.host_token))
    async with asyncio.timeout(SET_UP_S):
        began = await _admitted(host, client)
        if order.path == "sfu":
            await _moved(host, client)
    one = await stack.enter_async_context(_connection(session, order, host, began))
    other = await stack.enter_async_context(_connection(session, order, client, began))
    async with asyncio.timeout(SET_UP_S):
        await _connected(order, one, other)
    return host, began, (one, other)


async def _admitted(host: Page, client: Page) -> float:
    """When the host admitted, in ms."""
    await host.until(lambda: (other := host.other()) is not None and other.status == "waiting")
    began = now_ms()
    await host.command(lambda number: Admit(number, client.participant))
    await client.until(lambda: client.view is not None and client.view.you == "admitted")
    await client.until(lambda: client.other() is not None)
    return began


async def _moved(host: Page, client: Page) -> None:
    """As two pages that cannot reach one another get to a forwarder."""
    await host.command(lambda number: P2pFailed(number, client.participant))
    for page in (host, client):
        await page.until(lambda page=page: page.view.media.mode == "sfu")  # type: ignore[misc]


async def _connected(order: Order, one: Connection, other: Connection) -> None:
    """Media flows both ways, and each has seen a picture."""
    async with asyncio.TaskGroup() as group:
        if order.path == "sfu":
            group.create_task(one.offer_to_forwarder())
            group.create_task(other.offer_to_forwarder())
        else:
            group.create_task(one.negotiate(initiator=True))
            group.create_task(other.negotiate(initiator=False))
    for side in (one, other):
        await side.page.command(Connected)
    async with asyncio.timeout(FIRST_S):
        for side in (one, other):
            await side.seen()


@contextlib.asynccontextmanager
async def _connection(
    session: aiohttp.ClientSession, order: Order, page: Page, began: float
) -> AsyncIterator[Connection]:
    given = await configuration(session, order.url, page, order.path, order.relay_url)
    made = Connection(
        page,
        order.room,
        order.secret,
        order.path,
        order.fps,
        Viewing(began, order.fps),
        RTCPeerConnection(given),
        order.size,
    )
    try:
        yield made
    finally:
        await made.close()


Traffic = dict[int, tuple[int, int]]
"""By second since admission: packets sent to a bot until then, and those that did not come."""


async def _talked(
    seconds: float, sides: tuple[Connection, ...], began: float
) -> dict[Connection, Traffic]:
    """The call goes on for that long, and is looked at every second."""
    seen: dict[Connection, Traffic] = {side: {} for side in sides}
    end = now_ms() + seconds * 1000
    while (left := end - now_ms()) > 0:
        await asyncio.sleep(min(1.0, left / 1000))
        second = int((now_ms() - began) / 1000)
        for side in sides:
            packets, lost, _ = await side.traffic()
            seen[side][second] = packets, lost
    return seen


def _series(side: Connection, began: float, traffic: Traffic) -> list[dict[str, float | None]]:
    """By second since admission: frames shown, median delay, packets and losses of that second."""
    viewing = side.viewing
    frames = Counter(int((at - began) / 1000) for at in viewing.at_ms)
    delays: dict[int, list[float]] = {}
    for at, delay in zip(viewing.read_at_ms, viewing.delays_ms, strict=True):
        delays.setdefault(int((at - began) / 1000), []).append(delay)
    rows: list[dict[str, float | None]] = []
    former = (0, 0)
    for second in sorted({*frames, *traffic}):
        packets, lost = traffic.get(second, former)
        rows.append(
            {
                "second": second,
                "frames": frames[second],
                "delay_ms": percentile(delays.get(second, []), 0.5),
                "packets": packets - former[0],
                "lost": lost - former[1],
            }
        )
        former = (packets, lost)
    return rows


async def run_all(orders: Sequence[Order]) -> list[dict[str, Any]]:
    """In their order. A pair that failed has `error` in place of its figures."""
    gate = Gate(len(orders))

    async def one(order: Order) -> dict[str, Any]:
        try:
            return await run(order, gate)
        except (BotError, TimeoutError, aiohttp.ClientError, ExceptionGroup, OSError) as error:
            return {"error": _words(error)}

    watching = asyncio.create_task(gate.leisure.watch())
    try:
        return await asyncio.gather(*map(one, orders))
    finally:
        watching.cancel()


def main() -> int:
    print(flush=True)
    given = json.loads(sys.stdin.read())["orders"]
    orders = [Order(**one | {"size": tuple(one["size"])}) for one in given]
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        answers = asyncio.run(run_all(orders))
    else:
        answers = uvloop.run(run_all(orders))
    json.dump(answers, sys.stdout)
    return 1 if any("error" in answer for answer in answers) else 0


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
