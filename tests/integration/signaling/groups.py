"""People of a group on the wire, and what they offer and are told."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage
from tests.integration.signaling.house import Node
from tests.integration.signaling.page import Message, Page
from waiting_room.tokens import TokenType

HOST, CLIENT, GUEST = TokenType.HOST, TokenType.CLIENT, TokenType.GUEST
SDP = "v=0\r\n"


async def group(
    node: Node, page: NewPage, *others: Node, number: int = 2, admit: bool = True
) -> list[Page]:
    """A host and `number` clients inside, spread over the nodes."""
    nodes = [node, *others]
    host = page(HOST)
    await host.open(node)
    clients = [page(CLIENT, name=f"Client {index}") for index in range(number)]
    for index, client in enumerate(clients):
        await client.open(nodes[(index + 1) % len(nodes)])
    if admit:
        for client in clients:
            await host.view(lambda view, one=client: one.id in ids_of(view))  # type: ignore[misc]
            await host.do("admit", participant=client.id)
    return [host, *clients]


def ids_of(view: Message) -> set[str]:
    """Everybody whom a view of the room shows."""
    return {one["id"] for one in view["participants"]}


async def in_mode(mode: str, generation: int, *pages: Page) -> None:
    for page in pages:
        await page.view(lambda view: view["media"] == {"mode": mode, "generation": generation})


async def offer(page: Page, generation: int = 1, **fields: Any) -> Message:
    tracks = [{"mid": "0", "send": "camera"}]
    return await page.command(
        "group_offer", generation=generation, sdp=SDP, tracks=tracks, **fields
    )


async def offering(node: Node, page: NewPage, *others: Node) -> list[Page]:
    """A group of whom each has made its first offer to the forwarder."""
    pages = await group(node, page, *others)
    await in_mode("sfu", 1, *pages)
    for one in pages:
        await offer(one)
    return pages


async def answered(page: Page, generation: int = 1) -> Message:
    """The answer to an offer that is made again as long as it is to be made again."""
    async with asyncio.timeout(10):
        while True:
            answer = await offer(page, generation)
            if answer["type"] == "group_answer":
                return answer
            assert answer["code"] in ("sfu_unavailable", "slow_down", "store_unavailable"), answer
            await asyncio.sleep(min(answer["retry_after"], 0.3))


def of(page: Page, kind: str) -> list[Message]:
    return [message for message in page.messages if message["type"] == kind]


async def sources(page: Page, *present: Page, generation: int = 1) -> None:
    """Wait until the newest list has exactly these."""
    wanted = {one.id for one in present}

    def newest() -> bool:
        told = [m for m in of(page, "group_sources") if m["generation"] == generation]
        return bool(told) and {one["participant"] for one in told[-1]["sources"]} == wanted

    await until(newest)
