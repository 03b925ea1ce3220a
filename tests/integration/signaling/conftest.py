"""A deployment, its nodes, and pages, all of which end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from konsil.sfu_access import SfuAccess
from tests.integration.conftest import RedisServer
from tests.integration.signaling.forwarder import StandIn, access, knows
from tests.integration.signaling.house import (
    Consultation,
    Deployment,
    Node,
    start_node,
    web_files,
)
from tests.integration.signaling.page import Page
from waiting_room.tokens import TokenType

StartNode = Callable[..., Awaitable[Node]]
NewPage = Callable[..., Page]
StartForwarder = Callable[..., Awaitable[StandIn]]
StartGroupNode = Callable[..., Awaitable[Node]]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with web_files(tmp_path / "web") as root:
        yield Deployment(tmp_path / "state", root)


@pytest.fixture
async def start(deployment: Deployment, redis_server: RedisServer) -> AsyncIterator[StartNode]:
    """`await start("a")`: one more node."""
    nodes: list[Node] = []

    async def start(name: str = "a", **overrides: Any) -> Node:
        node = await start_node(deployment, redis_server.url, name, **overrides)
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        await node.stop()


@pytest.fixture
async def node(start: StartNode) -> Node:
    return await start()


@pytest.fixture
def consultation(deployment: Deployment) -> Consultation:
    return deployment.consultation()


@pytest.fixture
async def page(consultation: Consultation) -> AsyncIterator[NewPage]:
    """`page(TokenType.HOST)`: a page that is not yet connected."""
    pages: list[Page] = []

    def new(kind: TokenType = TokenType.CLIENT, **options: Any) -> Page:
        pages.append(Page(options.pop("consultation", consultation), kind, **options))
        return pages[-1]

    yield new
    for one in pages:
        await one.drop()


@pytest.fixture
async def forwarder(redis_server: RedisServer) -> AsyncIterator[StartForwarder]:
    """`await forwarder("f")`: one more forwarder, of the first id `f1`."""
    running: list[StandIn] = []

    async def start(name: str = "f", **fields: Any) -> StandIn:
        one = StandIn(redis_server.url, name, **fields)
        await one.start()
        running.append(one)
        return one

    yield start
    for one in running:
        await one.stop()


@pytest.fixture
async def group_node(start: StartNode, redis_server: RedisServer) -> AsyncIterator[StartGroupNode]:
    """`await group_node("a", forwarders=1)`: a node that knows so many forwarders."""
    made: list[SfuAccess] = []

    async def begin(name: str = "a", *, forwarders: int = 1, **overrides: Any) -> Node:
        made.append(await access(redis_server.url, name))
        node = await start(name, forwarders=made[-1], **overrides)
        await knows(made[-1], forwarders)
        return node

    yield begin
    for one in made:
        await one._redis.aclose()
