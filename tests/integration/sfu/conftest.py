"""A node on loopback, in this process; and one in a process of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from sfu.clock import SystemClock
from sfu.config import NodeConfig
from sfu.control import Event, NodeLoad
from sfu.node import SfuNode
from sfu.supervisor import SfuProcess

LOOPBACK = NodeConfig(listen=("127.0.0.1",), port=0)


class Told(list[Event]):
    """Events, but for the load, which comes every second."""

    def add(self, event: Event) -> None:
        if not isinstance(event, NodeLoad):
            self.append(event)

    async def of(self, kind: type[Event], within: float = 10.0) -> Event:
        """The first event of a kind, which is taken out."""
        async with asyncio.timeout(within):
            while True:
                for event in self:
                    if isinstance(event, kind):
                        self.remove(event)
                        return event
                await asyncio.sleep(0.01)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def node(told: Told) -> AsyncIterator[SfuNode]:
    made = SfuNode(LOOPBACK, SystemClock(), os.urandom, told.add)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def process(told: Told) -> AsyncIterator[SfuProcess]:
    async with SfuProcess(LOOPBACK, told.add) as made:
        yield made
