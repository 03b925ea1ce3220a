"""A UDP proxy in user space that hands on, later: the known delay which a measurement must show."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

CLIENTS_MOST = 16


class _Upstream(asyncio.DatagramProtocol):
    """From the server back to one client, at once."""

    def __init__(self, proxy: Proxy, client: tuple[str, int]) -> None:
        self._proxy, self._client = proxy, client

    def datagram_received(self, data: bytes, _: object) -> None:
        self._proxy.front.sendto(data, self._client)


@dataclass(eq=False)
class Proxy(asyncio.DatagramProtocol):
    """What the client that came first sends is `delay` seconds late; all else passes at once.

    `delays`: by how much it really was, in seconds: timers of a busy machine are late.
    """

    server: tuple[str, int]
    delay: float
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))
    front: asyncio.DatagramTransport = field(init=False)
    _upstreams: dict[tuple[str, int], asyncio.DatagramTransport] = field(default_factory=dict)
    _opening: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self.front.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is a DatagramTransport by its methods only.
        self.front = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if client in self._upstreams:
            self._hand_on(data, client)
        elif len(self._upstreams) < CLIENTS_MOST:
            task = asyncio.ensure_future(self._open(data, client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, data: bytes, client: tuple[str, int]) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Upstream(self, client), remote_addr=self.server
        )
        self._upstreams.setdefault(client, transport)
        self._hand_on(data, client)

    def _hand_on(self, data: bytes, client: tuple[str, int]) -> None:
        upstream = self._upstreams[client]
        if client == next(iter(self._upstreams)):
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay, self._late, upstream, data, loop.time())
        else:
            upstream.sendto(data)

    def _late(self, upstream: asyncio.DatagramTransport, data: bytes, since: float) -> None:
        self.delays.append(asyncio.get_running_loop().time() - since)
        upstream.sendto(data)

    def close(self) -> None:
        self.front.close()
        for upstream in self._upstreams.values():
            upstream.close()


@contextlib.asynccontextmanager
async def delaying(server: tuple[str, int], delay: float) -> AsyncIterator[Proxy]:
    _, proxy = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Proxy(server, delay), local_addr=("127.0.0.1", 0)
    )
    try:
        yield proxy
    finally:
        proxy.close()
