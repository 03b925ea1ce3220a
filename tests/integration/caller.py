"""Somebody in a group of a real server: the protocol over a WebSocket, media through aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)
from msgspec import to_builtins

from sfu.control import Answer, Code, Done, Offer, Refused, Request, Result, Source
from tests.integration.served import Served
from tests.integration.sfu.peers import Peer
from waiting_room import links

BOTH = (Source.MICROPHONE, Source.CAMERA)
Message = dict[str, Any]


class Caller:
    """`async with Caller(server, link) as caller:` has been welcomed; reads all that comes."""

    def __init__(self, server: Served, link: str, name: str = "", shade: int = 40) -> None:
        parts = links.parse(link)
        assert parts is not None
        self.token = parts.token
        self.secret = secrets.token_urlsafe(16)
        self.name = name
        self.shade = shade
        self.id = ""
        self.messages: list[Message] = []
        self.peer: Peer | None = None
        self._server = server
        self._number = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        await self.connect(self._server)
        return self

    async def connect(self, server: Served) -> None:
        self._server = server
        url = server.url
        self._socket = await self._session.ws_connect(
            f"{url}/ws", protocols=["konsil.v1"], origin=url
        )
        self._reading = asyncio.create_task(self._read())
        hello = {"type": "hello", "token": self.token, "secret": self.secret, "groups": True}
        hello["instance"] = secrets.token_urlsafe(12)
        if self.name:
            hello["name"] = self.name
        await self._socket.send_json(hello)
        welcome = await self.next(lambda m: m["type"] == "welcome", since=len(self.messages))
        self.id = welcome["participant"]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.peer is not None:
            await self.peer.close()
        await self._socket.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._session.close()

    async def _read(self) -> None:
        async for message in self._socket:
            self.messages.append(json.loads(message.data))
            self._news.set()

    async def next(
        self, wanted: Callable[[Message], bool], *, since: int = 0, within: float = 15.0
    ) -> Message:
        async with asyncio.timeout(within):
            while True:
                for message in self.messages[since:]:
                    if wanted(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def command(self, kind: str, **fields: object) -> Message:
        self._number += 1
        number, since = self._number, len(self.messages)
        await self._socket.send_json({"type": kind, "id": number, **fields})
        return await self.next(lambda m: m.get("id") == number, since=since)

    async def do(self, kind: str, **fields: object) -> None:
        answer = await self.command(kind, **fields)
        assert answer["type"] == "ok", answer

    def media(self) -> tuple[str, int]:
        views = (m if m["type"] == "room" else m.get("room") for m in reversed(self.messages))
        view = next(view for view in views if view is not None)
        return view["media"]["mode"], view["media"]["generation"]

    async def goes(self, mode: str, generation: int, within: float = 15.0) -> None:
        async with asyncio.timeout(within):
            while self.media() != (mode, generation):
                self._news.clear()
                await self._news.wait()

    async def sees_waiting(self, name: str) -> str:
        """The id of somebody who waits."""

        def waiting(message: Message) -> list[str]:
            return [
                one["id"]
                for one in message.get("participants", ())
                if one["name"] == name and one["status"] == "waiting"
            ]

        return waiting(await self.next(lambda m: bool(waiting(m))))[0]

    # --- media ---

    async def connect_media(self, *others: Caller, relay_only: bool = False) -> None:
        """A new connection for the present generation; publishes both and receives all others'."""
        if self.peer is not None:
            await self.peer.close()
        pc = RTCPeerConnection(await self._configuration(relay_only=relay_only))
        self.peer = Peer(self.id, self._ask, self.media()[1], self.shade, pc=pc)
        self.peer.publish(*BOTH)
        for other in others:
            if other is not self:
                self.peer.subscribe(other.id, *BOTH)
        deadline = time.monotonic() + 10
        while True:
            result = await self.peer.negotiate()
            if isinstance(result, Answer):
                return
            assert isinstance(result, Refused)
            assert result.code is Code.SFU_UNAVAILABLE, result
            assert time.monotonic() < deadline
            await asyncio.sleep(min(result.retry_after, 1))

    async def sees(self, *others: Caller, more: int = 3) -> None:
        assert self.peer is not None
        for other in others:
            if other is not self:
                await self.peer.sees(other.id, *BOTH, more=more)

    async def _configuration(self, *, relay_only: bool) -> RTCConfiguration:
        if not relay_only:
            return RTCConfiguration(bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        headers = {"Authorization": f"Bearer {self.token}", "Konsil-Participant": self.secret}
        url = f"{self._server.url}/api/v1/ice-servers"
        async with self._session.get(url, headers=headers) as answer:
            (relay,) = (one for one in (await answer.json())["ice_servers"] if "username" in one)
        server = RTCIceServer(relay["urls"][0], relay["username"], relay["credential"])
        return RTCConfiguration(
            [server], RTCIceTransportPolicy.RELAY, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
        )

    async def _ask(self, request: Request) -> Result:
        assert isinstance(request, Offer)
        answer = await self.command(
            "group_offer",
            generation=request.generation,
            sdp=request.sdp,
            tracks=[to_builtins(track) for track in request.tracks],
        )
        if answer["type"] == "group_answer":
            return Answer(answer["sdp"])
        with contextlib.suppress(ValueError):
            retry_after = int(answer.get("retry_after", 0))
            return Refused(Code(answer["code"]), answer.get("field", ""), retry_after=retry_after)
        return Done()
