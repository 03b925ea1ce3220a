"""A server that lies: stands between the pages and Konsil and changes the signals it passes on.

It is the page's origin and passes HTTP through. On WebSockets it hands every signal on its way to a
page to an `Attack`, and numbers what the attack makes of it anew, as a lying server would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-encoding"}
# aiohttp's client has unpacked the body by then, so neither its packing nor its length holds.
DROPPED = HOP_BY_HOP | {"content-length", "date", "server"}


class Attack(Protocol):
    def passes(self, data: str, role: str) -> Sequence[str]:
        """What the page of `role` gets in place of the signal `data` (section 7.1)."""


class Honest:
    def passes(self, data: str, role: str) -> Sequence[str]:
        return (data,)


class Numbering:
    """The page's numbers of signals against the server's, for one socket."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._server: list[int] = []

    def give(self, server_seq: int) -> int:
        """The page's number of one more message that stands for the server's `server_seq`."""
        self._server.append(server_seq)
        return self._start + len(self._server)

    def taken(self, page_seq: int) -> int:
        """Up to where the server may forget when the page has taken `page_seq`."""
        return max((self._start, *self._server[: max(0, page_seq - self._start)]))


class HostileProxy:
    """Listens on `port`; `attack` may be set at any time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.backend = ""
        self.attack: Attack = Honest()
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None

    async def start(self, backend: str) -> None:
        self.backend = backend
        self._client = aiohttp.ClientSession(auto_decompress=True)
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_route("*", "/{path:.*}", self._page)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        assert self._client is not None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP | {"accept-encoding"}
        }
        async with self._client.request(
            request.method,
            self.backend + request.path_qs,
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in DROPPED]
            response = web.Response(status=answer.status, body=await answer.read())
            response.headers.clear()
            response.headers.extend(kept)
            return response

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        assert self._client is not None
        page = web.WebSocketResponse(protocols=("konsil.v1",))
        await page.prepare(request)
        async with self._client.ws_connect(
            self.backend + "/ws",
            protocols=("konsil.v1",),
            headers={"Host": request.host, "Origin": request.headers["Origin"]},
        ) as server:
            passage = _Passage(self, page, server)
            up, down = asyncio.create_task(passage.up()), asyncio.create_task(passage.down())
            try:
                await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (up, down):
                    task.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await page.close(code=server.close_code or 1001)
        return page


class _Passage:
    """One page's socket and its other half to the server."""

    def __init__(
        self,
        proxy: HostileProxy,
        page: web.WebSocketResponse,
        server: aiohttp.ClientWebSocketResponse,
    ) -> None:
        self._proxy = proxy
        self._page = page
        self._server = server
        self._numbering = Numbering(0)
        self._role = ""

    async def up(self) -> None:
        async for message in self._page:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            content: dict[str, Any] = json.loads(message.data)
            if content["type"] == "ack":
                content["seq"] = self._numbering.taken(content["seq"])
            await self._server.send_str(json.dumps(content))

    async def down(self) -> None:
        async for message in self._server:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            content: dict[str, Any] = json.loads(message.data)
            if content["type"] == "welcome":
                self._role = content["role"]
                if not content["resumed"]:
                    self._numbering = Numbering(content["seq"])
            if content["type"] != "signal":
                await self._page.send_str(message.data)
                continue
            seq = content["seq"]
            for data in self._proxy.attack.passes(content["data"], self._role):
                made = {**content, "data": data, "seq": self._numbering.give(seq)}
                await self._page.send_str(json.dumps(made))
