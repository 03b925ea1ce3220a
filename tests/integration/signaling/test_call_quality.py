"""POST /api/v1/call-quality: only where it is wanted, only with a link, not too often."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signaling.check_rates import ROOM_BURST
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import PUBLIC_URL, Consultation, Deployment, Node
from tests.integration.signaling.raw import Answer, Raw
from waiting_room.tokens import TokenType

GOOD = {"path": "direct", "loss": 0, "first_frame": 1, "frozen": 0}


async def say(node: Node, token: str, body: Any) -> Answer:
    async with await Raw.connect(node) as raw:
        return await raw.request(
            "/api/v1/call-quality",
            method="POST",
            body=json.dumps(body).encode(),
            Authorization=f"Bearer {token}",
            Content_Type="application/json",
            Origin=PUBLIC_URL,
        )


async def wants(node: Node, consultation: Consultation) -> bool:
    async with await Raw.connect(node) as raw:
        token = consultation.token(TokenType.CLIENT)
        answer = await raw.request("/api/v1/link", Authorization=f"Bearer {token}")
        return bool(answer.json["call_quality"])


async def test_it_is_off_unless_switched_on(node: Node, consultation: Consultation) -> None:
    assert not await wants(node, consultation)
    answer = await say(node, consultation.token(TokenType.CLIENT), GOOD)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_a_call_is_counted(start: StartNode, consultation: Consultation) -> None:
    node = await start(client_quality=True)
    assert await wants(node, consultation)
    for kind in (TokenType.HOST, TokenType.CLIENT):
        assert (await say(node, consultation.token(kind), GOOD)).status == 204
    assert node.metric("konsil_client_calls_total", path="direct") == 2
    assert node.metric("konsil_client_first_frame_seconds_bucket", path="direct", le="1.0") == 2


@pytest.mark.parametrize(
    ("body", "field"), [([], ""), (GOOD | {"loss": 77}, "loss"), (GOOD | {"name": "Eve"}, "")]
)
async def test_nonsense_is_refused(
    start: StartNode, consultation: Consultation, body: Any, field: str
) -> None:
    node = await start(client_quality=True)
    answer = await say(node, consultation.token(TokenType.CLIENT), body)
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert answer.json.get("field", "") == field
    assert node.metric("konsil_client_calls_total", path="direct") == 0


async def test_a_link_is_needed(
    start: StartNode, consultation: Consultation, deployment: Deployment
) -> None:
    node = await start(client_quality=True)
    assert (await say(node, "none", GOOD)).json["code"] == "token_invalid"
    other = deployment.provider_token()
    assert (await say(node, other, GOOD)).json["code"] == "token_wrong_role"


async def test_a_room_may_not_say_too_much(start: StartNode, consultation: Consultation) -> None:
    node = await start(client_quality=True)
    token = consultation.token(TokenType.CLIENT)
    said = [(await say(node, token, GOOD)).status for _ in range(ROOM_BURST + 1)]
    assert said == [204] * ROOM_BURST + [429]
    assert node.metric("konsil_client_calls_total", path="direct") == ROOM_BURST
