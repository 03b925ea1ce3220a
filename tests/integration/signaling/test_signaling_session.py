"""Join, wait, be admitted, talk, leave: over real sockets and a real Redis."""

from __future__ import annotations

from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import NewPage
from tests.integration.signaling.house import Node
from tests.integration.signaling.page import Page
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


async def admitted(node: Node, page: NewPage) -> tuple[Page, Page]:
    """A host and an admitted client on `node`."""
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    await host.do("admit", participant=client.id)
    await client.status("admitted")
    return host, client


async def test_a_client_waits_is_admitted_and_exchanges_signals(node: Node, page: NewPage) -> None:
    host, client = page(HOST, name="Dr. O"), page(CLIENT, name="Ada")
    welcome = await host.open(node)
    assert (welcome["participant"], welcome["role"]) == (host.id, "host")
    assert (welcome["provider"], welcome["resumed"]) == ("Dr. Okonkwo", False)
    assert welcome["closes_at"] == host.consultation.invitation.closes_at * 1000

    welcome = await client.open(node)
    assert welcome["room"]["you"] == "waiting"
    assert welcome["room"]["place"] == 1
    assert welcome["room"]["participants"] == []

    view = await host.view(lambda v: len(v["participants"]) == 1)
    assert view["participants"][0]["name"] == "Ada"
    assert view["participants"][0]["status"] == "waiting"

    await host.do("admit", participant=client.id)
    await client.status("admitted")
    number = await client.signal(host, "offer")
    await host.got("offer")
    delivered = await client.next(lambda m: m["type"] == "delivered")
    assert (delivered["to"], delivered["id"]) == (host.id, number)
    await host.signal(client, "answer")
    await client.got("answer")
    await client.do("connected")
    await host.view(lambda v: v["participants"][0]["status"] == "in_call")


async def test_ending_deletes_everything_at_once(
    node: Node, page: NewPage, redis_server: RedisServer
) -> None:
    host, client = await admitted(node, page)
    await host.do("end")
    for one in (host, client):
        assert await one.closed() == 4410
        assert one.messages[-1] == {"type": "bye", "reason": "ended"}
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0
    await until(lambda: len(node.server.hub.rooms) == 0)
