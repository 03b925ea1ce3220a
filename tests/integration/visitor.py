"""Somebody with a link at a real server: comes in over the WebSocket, and asks for a relay."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.integration.served import Served
from waiting_room import links


@dataclass(frozen=True, slots=True)
class Given:
    """The TURN server of an answer of /api/v1/ice-servers."""

    urls: tuple[str, ...]
    username: str
    password: str
    ttl: int

    @property
    def expires_at(self) -> int:
        return int(self.username.partition(":")[0])

    def port(self, scheme: str, transport: str) -> int:
        wanted = f"?transport={transport}"
        url = next(u for u in self.urls if u.startswith(f"{scheme}:") and u.endswith(wanted))
        return int(url.removesuffix(wanted).rpartition(":")[2])


class Visitor:
    """`async with Visitor(server, link) as visitor:` has been welcomed."""

    def __init__(self, server: Served, link: str, name: str = "") -> None:
        parts = links.parse(link)
        assert parts is not None
        self.token = parts.token
        self.secret = secrets.token_urlsafe(16)
        self.name = name
        self.id = ""
        self.view: dict[str, Any] = {}
        self._server = server
        self._number = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        url = self._server.url
        self._socket = await self._session.ws_connect(
            f"{url}/ws", protocols=["konsil.v1"], origin=url
        )
        hello = {"type": "hello", "token": self.token, "secret": self.secret}
        hello["instance"] = secrets.token_urlsafe(12)
        if self.name:
            hello["name"] = self.name
        await self._socket.send_json(hello)
        welcome = await self._next("welcome")
        self.id, self.view = welcome["participant"], welcome["room"]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._socket.close()
        await self._session.close()

    async def do(self, verb: str, **fields: object) -> None:
        self._number += 1
        await self._socket.send_json({"type": verb, "id": self._number, **fields})
        while (await self._next("ok"))["id"] != self._number:
            pass

    async def becomes(self, status: str) -> None:
        while self.view["you"] != status:
            await self._next("room")

    async def sees_waiting(self, name: str) -> str:
        """The id of somebody who waits."""
        while True:
            for one in self.view["participants"]:
                if one["name"] == name and one["status"] == "waiting":
                    return str(one["id"])
            await self._next("room")

    async def _next(self, wanted: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                message = json.loads(await self._socket.receive_str())
                assert message["type"] != "error", message
                if message["type"] == "room":
                    self.view = message
                if message["type"] == wanted:
                    return dict(message)

    async def ask(self, **headers: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of /api/v1/ice-servers."""
        sent = {"Authorization": f"Bearer {self.token}", "Konsil-Participant": self.secret}
        url = f"{self._server.url}/api/v1/ice-servers"
        async with self._session.get(url, headers=sent | headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def check(self) -> tuple[str, list[Given]]:
        """What /api/v1/network-checks gives: which relay, and each way to it."""
        sent = {"Authorization": f"Bearer {self.token}"}
        url = f"{self._server.url}/api/v1/network-checks"
        async with self._session.post(url, headers=sent, json={}) as answer:
            body = await answer.json()
            assert answer.status == 201, body
        ways = [turn_server_of({**body, "ice_servers": [one]}) for one in body["ice_servers"]]
        return body["relay"], ways

    async def given(self) -> Given:
        status, body = await self.ask()
        assert status == 200, body
        return turn_server_of(body)


def turn_server_of(body: dict[str, Any]) -> Given:
    (entry,) = (entry for entry in body["ice_servers"] if "username" in entry)
    return Given(tuple(entry["urls"]), entry["username"], entry["credential"], body["ttl"])
