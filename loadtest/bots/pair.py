"""One pair in a process of its own: reads an order as JSON on stdin, writes its figures to stdout.

{"url", "origin", "room", "host_token", "client_token", "secret", "path", "seconds", "fps",
 "relay_url"}  ->  {"figures": [host's, client's], "series": …, "machine": …}  or  {"error": "…"}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiortc import RTCPeerConnection

from loadtest.bots.connection import Connection, Path, configuration
from loadtest.bots.leisure import Leisure
from loadtest.bots.media import now_ms
from loadtest.bots.page import BotError, Page, opened
from loadtest.viewing import Viewing, percentile
from signaling.group_messages import P2pFailed
from signaling.messages import Admit, Connected, End

SET_UP_S: Final = 60.0
FIRST_S: Final = 15.0


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
    relay_url: str = ""


async def run(order: Order) -> dict[str, Any]:
    """The figures of both. Raises BotError and TimeoutError."""
    async with (
        aiohttp.ClientSession() as session,
        opened(session, order.url, order.client_token, "Bot") as client,
        opened(session, order.url, order.host_token) as host,
    ):
        async with asyncio.timeout(SET_UP_S):
            began = await _admitted(host, client)
            if order.path == "sfu":
                await _moved(host, client)
        async with (
            _connection(session, order, host, began) as one,
            _connection(session, order, client, began) as other,
        ):
            async with asyncio.timeout(SET_UP_S):
                await _connected(order, one, other)
            leisure = Leisure()
            watching = asyncio.create_task(leisure.watch())
            traffic = await _talked(order.seconds, (one, other), began)
            watching.cancel()
            machine = leisure.machine().document()
            figures = [await one.figures(), await other.figures()]
            series = [_series(side, began, traffic[side]) for side in (one, other)]
        await host.command(End)
    told = [each.document() for each in figures]
    return {"figures": told, "series": series, "machine": machine}


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


def main() -> int:
    print(flush=True)
    order = Order(**json.loads(sys.stdin.read()))
    try:
        answer = asyncio.run(run(order))
    except (BotError, TimeoutError, aiohttp.ClientError, ExceptionGroup, OSError) as error:
        answer = {"error": _words(error)}
    json.dump(answer, sys.stdout)
    return 1 if "error" in answer else 0


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
