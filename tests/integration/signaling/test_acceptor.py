"""Connections are counted from the moment they are accepted: all of them, and those of an address.

Under both event loops: what a transport does with a handshake that never ends is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import uvloop

from konsil import tls as certificates
from signaling.door import Door
from signaling.guard import HURRIED_IDLE_DEADLINE, IDLE_DEADLINE
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import Deployment, Node, start_node
from tests.integration.signaling.raw import Raw

REFUSED = "konsil_refused_connections_total"
BEGUN = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # of a ClientHello

RunNode: TypeAlias = Callable[[Callable[[Node], Awaitable[None]]], None]


@contextlib.contextmanager
def strangers(node: Node, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as opened:
        made = []
        for _ in range(count):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", node.port)))
            one.sendall(sent)
            one.setblocking(False)
            made.append(one)
        yield made


async def closed(one: socket.socket) -> None:
    async with asyncio.timeout(10):
        try:
            assert await asyncio.get_running_loop().sock_recv(one, 1) == b""
        except ConnectionResetError:
            return


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def secure(
    request: pytest.FixtureRequest,
    deployment: Deployment,
    redis_server: RedisServer,
    tmp_path: Path,
) -> Callable[..., None]:
    chain = certificates.self_signed(tmp_path / "tls", dt.datetime.now(dt.UTC), [])

    def run(test: Callable[[Node], Awaitable[None]], **overrides: Any) -> None:
        async def main() -> None:
            context = certificates.context(*chain)
            node = await start_node(deployment, redis_server.url, "a", tls=context, **overrides)
            try:
                await test(node)
            finally:
                await node.stop()

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run


async def healthy(node: Node) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=context)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer[:12]


@pytest.mark.parametrize("sent", [b"", BEGUN])
def test_a_handshake_has_a_seat(secure: Callable[..., None], sent: bytes) -> None:
    async def test(node: Node) -> None:
        seats = node.server.seats
        before = len(os.listdir("/proc/self/fd"))
        with strangers(node, 30, sent) as ours:
            await until(lambda: node.metric(REFUSED, reason="node") == 10)
            assert seats.open == 20
            assert len(os.listdir("/proc/self/fd")) - before == len(ours) + 20
            for one in ours[20:]:
                await closed(one)
        await until(lambda: seats.open == 0)
        assert await healthy(node) == b"HTTP/1.1 200"
        await until(lambda: seats.open == 0)
        assert len(seats) == 0

    secure(test, max_connections=20)


def test_what_is_no_handshake_gives_its_seat_back(secure: Callable[..., None]) -> None:
    async def test(node: Node) -> None:
        with strangers(node, 3, b"GET / HTTP/1.1\r\n\r\n") as ours:
            await until(lambda: node.metric(REFUSED, reason="handshake") == 3)
            assert node.server.seats.open == 0
            for one in ours:
                while await asyncio.get_running_loop().sock_recv(one, 100):
                    pass  # an alert

    secure(test)


def test_a_handshake_that_never_ends_is_ended(
    secure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.acceptor.HANDSHAKE_S", 60.0)
    monkeypatch.setattr("signaling.acceptor.HURRIED_HANDSHAKE_S", 0.1)

    async def test(node: Node) -> None:
        with strangers(node, 4, BEGUN) as ours:
            await until(lambda: node.metric(REFUSED, reason="handshake") == 1)
            await closed(ours[3])
            assert node.server.seats.open == 3, "the others have all the time they need"

    secure(test, connections_per_address=4)


def test_a_node_stops_in_the_middle_of_handshakes(secure: Callable[..., None]) -> None:
    async def test(node: Node) -> None:
        with strangers(node, 3, BEGUN) as ours:
            await until(lambda: node.server.seats.open == 3)
            await node.server.drain(1)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", node.port))
            await node.stop()
            for one in ours:
                await closed(one)
            assert node.server.seats.open == 0

    secure(test)


def test_without_files_it_waits_and_goes_on(
    secure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(node: Node) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as one:
            one.setblocking(False)
            free = os.dup(one.fileno())
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", node.port))
                await until(lambda: node.metric(REFUSED, reason="accept_failed") == 2)
                assert node.server.seats.open == 0
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: node.server.seats.open == 1)
        # It was not asked again and again meanwhile.
        assert node.metric(REFUSED, reason="accept_failed") <= 3
        assert [one.reason for one in caplog.records if one.msg == "accept_failed"] == ["EMFILE"]
        await until(lambda: node.server.seats.open == 0)
        assert await healthy(node) == b"HTTP/1.1 200"

    secure(test)


async def test_who_has_left_before_being_accepted_takes_nothing(
    start: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start()
    met = list[str]()
    monkeypatch.setattr(Door, "connection_made", lambda *_: met.append("somebody"))
    # The event loop has no turn until all of them are gone again, with a request sent or without.
    with strangers(node, 150), strangers(node, 150, b"GET / HTTP/1.1\r\n\r\n"):
        pass
    await until(lambda: node.metric(REFUSED, reason="left") + len(met) == 300)
    assert len(met) < 10, "the first of each look only"
    await until(lambda: node.server.seats.open == 0)


# --- of one address ---


@pytest.fixture
async def narrow(start: StartNode) -> Node:
    return await start(connections_per_address=4)


async def test_one_address_does_not_take_all(narrow: Node) -> None:
    with strangers(narrow, 6) as ours:
        await until(lambda: narrow.metric(REFUSED, reason="address") == 2)
        await closed(ours[5])
        async with await Raw.connect(narrow, source="127.0.0.2") as other:
            assert (await other.request("/healthz")).status == 200
            assert (await other.upgrade()).status == 101
        ours[0].close()
        await until(lambda: narrow.server.seats.open == 3)
        async with await Raw.connect(narrow) as late:
            assert (await late.request("/healthz")).status == 200


async def test_a_websocket_keeps_its_seat_to_the_end(narrow: Node) -> None:
    async with await Raw.websocket(narrow), await Raw.websocket(narrow):
        with strangers(narrow, 3) as ours:
            await until(lambda: narrow.metric(REFUSED, reason="address") == 1)
            await closed(ours[2])
    await until(lambda: narrow.server.seats.open == 0)
    assert len(narrow.server.seats) == 0


async def test_behind_a_proxy_those_count_who_are_behind_it(start: StartNode) -> None:
    node = await start(connections_per_address=2, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with contextlib.AsyncExitStack() as opened:

        async def websocket(address: str) -> int:
            raw = await opened.enter_async_context(await Raw.connect(node))
            answer = await raw.upgrade(X_Forwarded_For=address)
            if answer.status != 101:
                assert (answer.status, answer.json["code"]) == (429, "slow_down")
                assert await raw.closed() == b""
            return answer.status

        statuses = [await websocket("192.0.2.1") for _ in range(3)]
        assert statuses == [101, 101, 429]
        assert await websocket("192.0.2.2") == 101
        assert node.metric(REFUSED, reason="address") == 1
    await until(lambda: node.server.seats.open == 0)
    assert len(node.server.seats) == 0


async def test_an_idle_connection_makes_room_where_it_is_crowded(
    narrow: Node, deployment: Deployment
) -> None:
    assert HURRIED_IDLE_DEADLINE + 3 < IDLE_DEADLINE
    async with await Raw.connect(narrow) as idle, await Raw.connect(narrow) as other:
        for one in (idle, other):
            assert (await one.request("/healthz")).status == 200
        deployment.clock.advance(HURRIED_IDLE_DEADLINE + 3)
        narrow.tick()
        assert (await other.request("/healthz")).status == 200, "there is room for all"
        with strangers(narrow, 2):
            await until(lambda: narrow.server.seats.open == 4)
            deployment.clock.advance(3)
            narrow.tick()
            assert await idle.closed() == b""
            assert (await other.request("/healthz")).status == 200
