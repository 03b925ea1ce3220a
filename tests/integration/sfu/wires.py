"""Pages of our own on real sockets, where a test needs to send what no browser would."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Protocol

from sfu.control import Answer
from sfu.node import SfuNode
from sfu.supervisor import SfuProcess
from tests.unit.sfu_page import Page


class Wire(Protocol):
    """Datagrams to a node and back."""

    async def send(self, datagram: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class UdpWire:
    """From a socket of its own; `host` may be any of 127.0.0.0/8."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((host, 0))
        self.sock.connect(("127.0.0.1", port))

    async def send(self, datagram: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, datagram)

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65_536)

    def close(self) -> None:
        self.sock.close()


class TcpWire:
    """One stream, framed by RFC 4571."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> TcpWire:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, datagram: bytes) -> None:
        self.writer.write(len(datagram).to_bytes(2) + datagram)
        await self.writer.drain()

    async def receive(self) -> bytes:
        async with asyncio.timeout(5):
            size = int.from_bytes(await self.reader.readexactly(2))
            return await self.reader.readexactly(size)

    async def ended(self) -> bool:
        """Whether the other side has ended the stream, after what it still had to say."""
        async with asyncio.timeout(15):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                pass
        return True

    async def close(self) -> None:
        self.writer.close()


async def join(page: Page, node: SfuNode | SfuProcess, wire: Wire) -> None:
    """Offer, check, shake hands."""
    result = node.handle(page.offer())
    result = await result if isinstance(result, Awaitable) else result
    assert isinstance(result, Answer), result
    page.take(result.sdp)
    await wire.send(page.check())
    assert (await wire.receive())[:2] == b"\x01\x01"
    back: list[bytes] = []
    while not page.connected:
        for datagram in page.shake(back):
            await wire.send(datagram)
        if not page.connected:
            back = [await answering(page, wire)]


async def answering(page: Page, wire: Wire) -> bytes:
    """What comes next that is no STUN; questions are answered meanwhile."""
    while (datagram := await wire.receive())[0] < 4:
        if datagram[:2] == b"\x00\x01":
            await wire.send(page.answer_check(datagram))
    return datagram
