"""Delay in user space: a UDP proxy that brings every datagram late, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Address = tuple[str, int]


class _Late(asyncio.DatagramProtocol):
    def __init__(self, seconds: float, hand_on: Callable[[bytes, Address], None]) -> None:
        self._seconds = seconds
        self._hand_on = hand_on

    def datagram_received(self, data: bytes, addr: Address) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._hand_on, data, addr)


class LateProxy:
    """Listens on one address and speaks for each client from a socket of its own."""

    def __init__(self, listen: Address, server: Address, seconds: float) -> None:
        self._listen = listen
        self._server = server
        self._seconds = seconds
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._front, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Late(self._seconds, self._inward), local_addr=self._listen
        )

    def _inward(self, data: bytes, client: Address) -> None:
        back = self._backs.get(client)
        if back is not None:
            back.sendto(data)
            return
        # What comes before the socket is there is lost, as it may be on any network.
        task = asyncio.create_task(self._open(client))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, client: Address) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Late(self._seconds, lambda data, _: self._outward(data, client)),
            remote_addr=self._server,
        )
        self._backs[client] = transport

    def _outward(self, data: bytes, client: Address) -> None:
        if self._front is not None:
            self._front.sendto(data, client)
