"""The real `konsil serve`, killed and stopped while people talk; Redis is another process."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

from tests.integration.conftest import RedisServer
from tests.integration.served import Served
from tests.integration.signaling.conftest import NewPage
from tests.integration.signaling.house import PUBLIC_URL, Deployment
from tests.ports import free_port
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


@dataclass(frozen=True)
class Address:
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"


def served(address: Address, deployment: Deployment, redis: RedisServer) -> Served:
    return Served(
        HOST="127.0.0.1",
        PORT=address.port,
        PUBLIC_URL=PUBLIC_URL,
        STATE_DIR=deployment.state_dir,
        REDIS_URL=redis.url,
    )


async def test_killed_and_started_again(
    deployment: Deployment, redis_server: RedisServer, page: NewPage
) -> None:
    address = Address(free_port())
    host, client, waiting = page(HOST), page(CLIENT), page(CLIENT, name="Ben")
    async with served(address, deployment, redis_server) as server:
        for one in (host, client, waiting):
            await one.open(address)
        await host.do("admit", participant=client.id)
        await client.status("admitted")
        await client.do("connected")
        client.acknowledges = False
        unseen = await host.signal(client, "taken by the server, and lost with it")
        await client.next(lambda m: m["type"] == "signal")
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()
        for one in (host, client, waiting):
            assert await one.closed() == 1006
    client.messages.clear()
    client.acknowledges = True
    async with served(address, deployment, redis_server):
        assert (await waiting.open(address))["room"]["place"] == 1
        for one in (client, host):
            welcome = await one.open(address)
            assert not welcome["resumed"]
        assert (await client.view())["you"] == "in_call"
        await host.signal(client, "taken by the server, and lost with it", number=unseen)
        await host.signal(client, "muted")
        await client.got("taken by the server, and lost with it", "muted")
        await client.signal(host, "seen")
        await host.got("seen")


async def test_stopped_while_another_node_runs(
    deployment: Deployment, redis_server: RedisServer, page: NewPage
) -> None:
    first, second = Address(free_port()), Address(free_port())
    host, client = page(HOST), page(CLIENT)
    async with (
        served(second, deployment, redis_server),
        served(first, deployment, redis_server) as stopping,
    ):
        for one in (host, client):
            await one.open(first)
        await host.do("admit", participant=client.id)
        await client.status("admitted")
        await client.drop()
        await host.signal(client, "kept")
        stopping.process.send_signal(signal.SIGTERM)
        assert await host.closed() == 1001
        assert host.messages[-1] == {"type": "bye", "reason": "going_away"}
        assert (await client.open(second))["resumed"]
        assert (await host.open(second))["resumed"]
        await client.got("kept")
        await host.signal(client, "and on")
        await client.got("kept", "and on")
        async with asyncio.timeout(10):
            assert await stopping.process.wait() == 0
