"""Credentials to measure the way to the relay: for whom, how often, and what they are."""

from __future__ import annotations

import pytest

from signaling.check_rates import ROOM_BURST
from signaling.deps import CheckServers, IceServer
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.raw import Answer, Raw
from tests.integration.signaling.test_http_api import ask
from waiting_room.tokens import TokenType

PATH = "/api/v1/network-checks"


async def check(node: Node, token: str) -> Answer:
    return await ask(node, PATH, token, method="POST", body={})


def servers(opaque: str) -> CheckServers:
    return CheckServers("own", (IceServer(("turn:turn.test:3478",), opaque, "password"),), 60)


@pytest.mark.parametrize("role", [TokenType.HOST, TokenType.CLIENT, TokenType.GUEST])
async def test_whoever_has_a_link_may_check(
    start: StartNode, page: NewPage, role: TokenType
) -> None:
    node = await start("a", check_servers=servers)
    token = page(role).token
    first, second = await check(node, token), await check(node, token)
    assert first.status == 201
    assert first.headers["cache-control"] == "no-store"
    assert (first.json["relay"], first.json["ttl"]) == ("own", 60)
    (entry,) = first.json["ice_servers"]
    assert entry["urls"] == ["turn:turn.test:3478"]
    # Nobody is named, and two checks have nothing in common.
    assert entry["username"] != second.json["ice_servers"][0]["username"]


async def test_without_a_relay_there_is_none(node: Node, page: NewPage) -> None:
    answer = await check(node, page(TokenType.CLIENT).token)
    assert answer.json == {"relay": "none", "ice_servers": [], "ttl": 0}


async def test_who_may_not(start: StartNode, deployment: Deployment) -> None:
    node = await start("a", check_servers=servers)
    refused = {
        "token_invalid": "nonsense",
        "token_wrong_role": deployment.provider_token(),
        "token_not_open_yet": deployment.consultation(starts_in=3600).token(TokenType.CLIENT),
        "token_closed": deployment.consultation(starts_in=-7200).token(TokenType.CLIENT),
    }
    for code, token in refused.items():
        assert (await check(node, token)).json["code"] == code
    token = deployment.consultation().token(TokenType.CLIENT)
    async with await Raw.connect(node) as raw:
        answer = await raw.request(
            PATH,
            method="POST",
            body=b"{}",
            Authorization=f"Bearer {token}",
            Origin="https://elsewhere.test",
        )
    assert answer.json["code"] == "origin_refused"


async def test_too_many_of_one_room_are_told_to_wait(
    start: StartNode, deployment: Deployment
) -> None:
    node = await start("a", check_servers=servers)
    consultation = deployment.consultation()
    for number in range(ROOM_BURST):
        role = TokenType.HOST if number % 2 else TokenType.CLIENT
        assert (await check(node, consultation.token(role))).status == 201
    answer = await check(node, consultation.token(TokenType.CLIENT))
    assert (answer.status, answer.json["code"]) == (429, "slow_down")
    assert 0 < answer.json["retry_after"] <= 20
    assert (await check(node, deployment.consultation().token(TokenType.CLIENT))).status == 201
    deployment.clock.advance(answer.json["retry_after"])
    assert (await check(node, consultation.token(TokenType.CLIENT))).status == 201
