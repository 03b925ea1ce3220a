"""A connection of bytes: what no library would send."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any, Self

from signaling.frames import encode_masked
from tests.integration.signaling.house import PUBLIC_URL, Node

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass
class Answer:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Raw:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    texts: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    async def connect(
        cls, node: Node, *, receive_buffer: int | None = None, source: str = "127.0.0.1"
    ) -> Self:
        """From the address `source`. With a `receive_buffer` (bytes) it reads nothing by itself
        that does not fit in there."""
        one = socket.socket()
        one.setblocking(False)
        one.bind((source, 0))
        if receive_buffer is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", node.port))
        reader, writer = await asyncio.open_connection(sock=one, limit=2**16)
        if receive_buffer is not None:
            writer.transport.pause_reading()
        return cls(reader, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, within: float = 15.0) -> Answer:
        async with asyncio.timeout(within):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")[:-2]
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(first.split()[1]), headers, body)

    async def closed(self, within: float = 15.0) -> bytes:
        """Waits until the server has closed the connection; gives what came before."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def request(
        self, target: str, *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", "Host: konsil.test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if method == "HEAD":
            async with asyncio.timeout(15):
                head = await self.reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").split("\r\n")[:-2]
            fields = (line.partition(":") for line in rest)
            return Answer(int(first.split()[1]), {n.lower(): v.strip() for n, _, v in fields}, b"")
        return await self.answer()

    # --- WebSocket ---

    @classmethod
    async def websocket(cls, node: Node) -> Self:
        raw = await cls.connect(node)
        answer = await raw.upgrade()
        assert answer.status == 101, answer
        return raw

    async def upgrade(self, **changes: str | None) -> Answer:
        headers: dict[str, str | None] = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec_WebSocket_Protocol": "konsil.v1",
            "Origin": PUBLIC_URL,
            **changes,
        }
        return await self.request("/ws", **{n: v for n, v in headers.items() if v is not None})

    def frame(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.write(encode_masked(opcode, payload, os.urandom(4), fin=fin))

    def text(self, message: Any) -> None:
        self.frame(TEXT, message if isinstance(message, bytes) else json.dumps(message).encode())

    async def receive(self, within: float = 10.0) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        async with asyncio.timeout(within):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server's frames are not masked"
            length = second
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> dict[str, Any]:
        """The next text message."""
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        message: dict[str, Any] = json.loads(payload)
        return message

    async def close_code(self, within: float = 10.0) -> tuple[int, str]:
        """Code and reason of the close frame, after whatever else comes."""
        while True:
            opcode, payload = await self.receive(within)
            if opcode == CLOSE:
                return int.from_bytes(payload[:2]), payload[2:].decode()
            if opcode == TEXT:
                self.texts.append(json.loads(payload))
