"""A page as far as the server can tell: speaks konsil.v1 through the `websockets` library."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from typing import Any, Protocol, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

from signaling.arrival import participant_id
from tests.integration.signaling.house import PUBLIC_URL, Consultation
from waiting_room.tokens import TokenType

Message = dict[str, Any]
ANSWERS = ("ok", "error", "group_answer", "guest_link")


class Reachable(Protocol):
    """A node, in this process or in one of its own."""

    @property
    def url(self) -> str: ...


def new_secret() -> str:
    return secrets.token_urlsafe(16)


class Page:
    """One load of a page. `open` connects; `messages` is all that has come, over all sockets."""

    def __init__(
        self,
        consultation: Consultation,
        kind: TokenType = TokenType.CLIENT,
        *,
        name: str = "Ada",
        secret: str | None = None,
        token: str | None = None,
    ) -> None:
        self.consultation = consultation
        self.kind = kind
        self.name = name
        self.secret = secret or new_secret()
        self.instance = secrets.token_urlsafe(9)
        self.token = token or consultation.token(kind)
        self.id = participant_id(consultation.room, self.secret)
        self.messages: list[Message] = []
        self.last_seq = 0
        self.socket: ClientConnection | None = None
        self.acknowledges = True
        self._next_id = 0
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def reloaded(self) -> Page:
        """The same person after a reload."""
        return Page(
            self.consultation, self.kind, name=self.name, secret=self.secret, token=self.token
        )

    async def connect(self, node: Reachable) -> None:
        await self.drop()
        self.socket = await ws_connect(
            node.url,
            origin=PUBLIC_URL,
            subprotocols=["konsil.v1"],
            compression=None,
            ping_interval=None,
            max_size=None,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read(self.socket))

    async def hello(self, **fields: Any) -> None:
        message = {
            "type": "hello",
            "token": self.token,
            "secret": self.secret,
            "instance": self.instance,
            "name": self.name,
            "last_seq": self.last_seq,
            "groups": True,
            **fields,
        }
        await self.send(message)

    async def open(self, node: Reachable, **fields: Any) -> Message:
        """Connect and say hello; gives the welcome. Fails if there is none."""
        await self.connect(node)
        mark = len(self.messages)
        await self.hello(**fields)
        answer = await self.next(lambda m: m["type"] in ("welcome", "error"), since=mark)
        assert answer["type"] == "welcome", answer
        return answer

    async def refused(self, node: Reachable, **fields: Any) -> tuple[Message, int]:
        """Connect and say hello, which is refused: the error and the close code."""
        await self.connect(node)
        mark = len(self.messages)
        await self.hello(**fields)
        answer = await self.next(lambda m: m["type"] in ("welcome", "error"), since=mark)
        assert answer["type"] == "error", answer
        return answer, await self.closed()

    async def send(self, message: Message) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps(message))

    async def command(self, kind: str, **fields: Any) -> Message:
        """Send a command; gives its answer."""
        self._next_id += 1
        number = self._next_id
        mark = len(self.messages)
        await self.send({"type": kind, "id": number, **fields})
        return await self.next(lambda m: m["type"] in ANSWERS and m.get("id") == number, since=mark)

    async def do(self, kind: str, **fields: Any) -> None:
        answer = await self.command(kind, **fields)
        assert answer["type"] == "ok", answer

    async def signal(self, to: Page, data: str, *, number: int | None = None) -> int:
        """Send a signal without waiting for anything; gives its id."""
        if number is None:
            self._next_id += 1
            number = self._next_id
        await self.send({"type": "signal", "id": number, "to": to.id, "data": data})
        return number

    async def next(
        self, wanted: Callable[[Message], bool], *, since: int = 0, within: float = 8.0
    ) -> Message:
        """The first message from index `since` on that is wanted, as soon as it is there."""
        async with asyncio.timeout(within):
            while True:
                for message in self.messages[since:]:
                    if wanted(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def view(self, wanted: Callable[[Message], bool] = lambda _: True) -> Message:
        """The newest view, once it is as wanted."""
        async with asyncio.timeout(8.0):
            while True:
                newest = self.newest_view()
                if newest is not None and wanted(newest):
                    return newest
                self._news.clear()
                await self._news.wait()

    def newest_view(self) -> Message | None:
        for message in reversed(self.messages):
            if message["type"] == "room":
                return message
            if message["type"] == "welcome":
                return message["room"]
        return None

    async def status(self, wanted: str) -> None:
        await self.view(lambda view: view["you"] == wanted)

    def signals(self) -> list[str]:
        return [m["data"] for m in self.messages if m["type"] == "signal"]

    async def got(self, *data: str) -> None:
        """Waits until exactly these signals have come, in this order."""
        async with asyncio.timeout(8.0):
            while len(self.signals()) < len(data):
                self._news.clear()
                await self._news.wait()
        assert self.signals() == list(data)

    async def closed(self) -> int:
        """Waits for the end of the socket; gives the close code."""
        assert self.socket is not None
        async with asyncio.timeout(8.0):
            await self.socket.wait_closed()
        code = self.socket.close_code
        assert code is not None
        return code

    async def drop(self) -> None:
        """Lose the connection without a word."""
        if self.socket is not None:
            self.socket.transport.abort()
            await self.socket.wait_closed()
        if self._reader is not None:
            await self._reader
        self.socket = self._reader = None

    async def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                message: Message = json.loads(text)
                self.messages.append(message)
                if message["type"] == "welcome" and not message["resumed"]:
                    self.last_seq = message["seq"]
                if message["type"] == "signal":
                    assert message["seq"] == self.last_seq + 1, "a gap or a repetition"
                    self.last_seq = message["seq"]
                    if self.acknowledges:
                        await socket.send(json.dumps({"type": "ack", "seq": self.last_seq}))
                self._news.set()
        self._news.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()
