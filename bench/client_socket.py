"""A WebSocket client that costs little: RFC 6455 over asyncio's protocol class, text frames only.

It is the load client of every measured server, so what it spares is spared for all of them alike.
The masking key is one random value per process: a server cannot tell, and unmasks at full price.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import cast

_KEY = os.urandom(4)
_MASKS: dict[int, int] = {}


def _mask(length: int) -> int:
    known = _MASKS.get(length)
    if known is None:
        known = int.from_bytes((_KEY * (length // 4 + 1))[:length], "little")
        _MASKS[length] = known
    return known


def client_frame(payload: bytes, opcode: int = 1) -> bytes:
    """One final masked frame of at most 65,535 bytes (RFC 6455 section 5.2)."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    else:
        head = bytes((0x80 | opcode, 0xFE)) + length.to_bytes(2, "big")
    masked = int.from_bytes(payload, "little") ^ _mask(length)
    return head + _KEY + masked.to_bytes(length, "little")


class ClientSocket(asyncio.Protocol):
    """One connection: `on_text(payload)` per text message, `on_close(reason)` once."""

    __slots__ = (
        "_close_code",
        "_on_close",
        "_rest",
        "_transport",
        "_upgraded",
        "on_text",
        "opened",
    )

    def __init__(
        self, on_text: Callable[[bytes], None], on_close: Callable[[str], None] | None = None
    ) -> None:
        self.on_text = on_text
        self._on_close = on_close
        self._rest = b""
        self._upgraded = False
        self._close_code = 0
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        target: str,
        *,
        origin: str,
        subprotocol: str | None,
        on_text: Callable[[bytes], None],
        on_close: Callable[[str], None] | None = None,
    ) -> ClientSocket:
        """Connects and upgrades. Raises ConnectionError when the server refuses."""
        loop = asyncio.get_running_loop()
        transport, socket = await loop.create_connection(lambda: cls(on_text, on_close), host, port)
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {origin.partition('//')[2]}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: a29uc2lsLWJlbmNoLWtleQ==",
            f"Origin: {origin}",
        ]
        if subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await socket.opened
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by shape only.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not self._upgraded:
            data = self._upgrade(data)
        position, size = 0, len(data)
        while size - position >= 2:
            length = data[position + 1]
            start = position + 2
            if length >= 126:
                width = 2 if length == 126 else 8
                start += width
                if size < start:
                    break
                length = int.from_bytes(data[start - width : start], "big")
            end = start + length
            if size < end:
                break
            opcode = data[position] & 0x0F
            payload = data[start:end]
            position = end
            if opcode == 1:
                self.on_text(payload)
            elif opcode == 9:
                self._write(client_frame(payload, 10))
            elif opcode == 8:
                self._close_code = int.from_bytes(payload[:2], "big")
        if position < size:
            self._rest = data[position:]

    def _upgrade(self, data: bytes) -> bytes:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            self._rest = data
            return b""
        status = head.partition(b"\r\n")[0].decode("latin-1")
        if " 101 " not in f"{status} ":
            self.opened.set_exception(ConnectionError(f"not upgraded: {status}"))
            self._on_close = None  # there was nothing that could be lost
            assert self._transport is not None
            self._transport.close()
            return b""
        self._upgraded = True
        self.opened.set_result(None)
        return rest

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"closed with {self._close_code}" if self._close_code else f"lost: {exc}"
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))
        elif self._on_close is not None:
            self._on_close(reason)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def send(self, payload: bytes) -> None:
        self._write(client_frame(payload))

    def close(self) -> None:
        self._on_close = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(client_frame(b"\x03\xe8", 8))
            self._transport.close()
