"""The same over TLS: another transport below, whose limits and ends are its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

from konsil import tls as certificates
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import PUBLIC_URL, Node
from tests.integration.signaling.page import Message, Page
from waiting_room.tokens import TokenType


@pytest.fixture
async def node(start: StartNode, tmp_path: Path) -> Node:
    chain = certificates.self_signed(tmp_path / "tls", dt.datetime.now(dt.UTC), [])
    return await start("a", tls=certificates.context(*chain))


class SecurePage(Page):
    """A page that takes any certificate."""

    async def over_tls(self, node: Node) -> Message:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = await ws_connect(
            f"wss://localhost:{node.port}/ws",
            host="127.0.0.1",
            ssl=context,
            origin=PUBLIC_URL,
            subprotocols=["konsil.v1"],
            ping_interval=None,
            proxy=None,
        )
        await self.hello()
        return dict(json.loads(await self.socket.recv()))


async def test_joining_talking_and_being_cut_off(node: Node, page: NewPage) -> None:
    consultation = page().consultation
    host = SecurePage(consultation, TokenType.HOST)
    client = SecurePage(consultation, TokenType.CLIENT)
    assert (await host.over_tls(node))["type"] == "welcome"
    assert (await client.over_tls(node))["type"] == "welcome"
    assert host.socket is not None
    assert client.socket is not None
    await host.send({"type": "admit", "id": 1, "participant": client.id})
    room = node.server.hub.rooms.get(consultation.room)
    assert room is not None
    await until(lambda: client.id in room.inside)
    await host.signal(client, "over TLS", number=2)
    async with asyncio.timeout(5):
        while True:
            message = json.loads(await client.socket.recv())
            if message["type"] == "signal":
                break
    assert message["data"] == "over TLS"

    client.socket.transport.pause_reading()
    slow = room.members[client.id].socket
    assert slow is not None
    number = 2
    while slow.is_open:
        number += 1
        await host.signal(client, "x" * 60_000, number=number)
        if number % 8 == 0:
            room.members[client.id].mailbox.ack(room.members[client.id].mailbox.seq)
        await asyncio.sleep(0.03)
        assert number < 1000, "never cut off"
    client.socket.transport.resume_reading()
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.socket.recv()
    assert client.socket.close_code == 4408
    await host.socket.close()
