"""A page's socket under asyncio: hello, commands, the room, signals (docs/protocol.md 3 to 5)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from loadtest.participant import new_instance, new_secret
from signaling.group_messages import GroupAnswer, GroupSources
from signaling.messages import (
    Ack,
    Bye,
    ClientMessage,
    Error,
    Hello,
    Ok,
    Person,
    Relayed,
    Room,
    RoomView,
    ServerMessage,
    Signal,
    Welcome,
    encode,
    parse_server,
)

STEP_S: Final = 20.0
_SIGNALS_MOST: Final = 256


class BotError(Exception):
    """What went wrong, in the protocol's words."""


@dataclass(eq=False)
class Page:
    """`opened` makes one. `view` is the room as last told; `signals` what others have sent."""

    socket: aiohttp.ClientWebSocketResponse
    token: str
    secret: str = field(default_factory=new_secret)
    participant: str = ""
    role: str = ""
    view: RoomView | Room | None = None
    sources: GroupSources | None = None
    signals: asyncio.Queue[Relayed] = field(default_factory=lambda: asyncio.Queue(_SIGNALS_MOST))
    over: str = ""
    _id: int = 0
    _answers: dict[int, ServerMessage] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def join(self, name: str) -> None:
        hello = Hello(self.token, self.secret, new_instance(), name, groups=True)
        await self._write(hello)
        await self.until(lambda: bool(self.participant))

    async def command(self, make: Callable[[int], ClientMessage]) -> ServerMessage:
        """The answer that is no error. Raises BotError with its code."""
        self._id += 1
        number = self._id
        await self._write(make(number))
        await self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if isinstance(answer, Error):
            raise BotError(answer.code)
        return answer

    async def signal(self, to: str, data: str) -> None:
        self._id += 1
        await self._write(Signal(self._id, to, data))

    def other(self) -> Person | None:
        """The one other person whom we see."""
        people = () if self.view is None else self.view.participants
        return next((one for one in people if one.id != self.participant), None)

    async def until(self, holds: Callable[[], bool], seconds: float = STEP_S) -> None:
        """Raises BotError when the socket is closed before, and TimeoutError."""
        async with asyncio.timeout(seconds):
            while not holds():
                if self.over:
                    raise BotError(self.over)
                self._news.clear()
                await self._news.wait()

    async def read(self) -> None:
        """Everything that comes, until the socket closes."""
        async for message in self.socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            await self._note(parse_server(message.data.encode()))
            self._news.set()
        self.over = self.over or f"closed_{self.socket.close_code}"
        self._news.set()

    async def _note(self, message: ServerMessage) -> None:
        match message:
            case Welcome():
                self.participant, self.role = message.participant, message.role
                self.view = message.room
            case Room():
                self.view = message
            case Relayed():
                self.signals.put_nowait(message)
                await self._write(Ack(message.seq))
            case GroupSources():
                self.sources = message
            case Ok() | GroupAnswer():
                self._answers[message.id] = message
            case Error() if isinstance(message.id, int):
                self._answers[message.id] = message
            case Error():
                self.over = message.code
            case Bye():
                self.over = message.reason
            case _:
                pass

    async def _write(self, message: ClientMessage) -> None:
        with contextlib.suppress(ConnectionError):  # `read` sees it, too
            await self.socket.send_str(encode(message).decode())


@contextlib.asynccontextmanager
async def opened(
    session: aiohttp.ClientSession, url: str, token: str, name: str = ""
) -> AsyncIterator[Page]:
    """A page that has been welcomed."""
    async with session.ws_connect(
        f"{url}/ws", protocols=("konsil.v1",), origin=url, max_msg_size=1 << 17
    ) as socket:
        page = Page(socket, token)
        reading = asyncio.create_task(page.read())
        try:
            await page.join(name)
            yield page
        finally:
            await socket.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
