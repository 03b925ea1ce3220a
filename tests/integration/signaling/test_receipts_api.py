"""Receipts over HTTP: of a consent, and that nothing is left of a session."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from signaling import receipt_api
from signaling.credentials import Credentials
from signaling.receipt_api import LOOK_BURST
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import PUBLIC_URL, Deployment, Node
from tests.integration.signaling.page import Page
from tests.integration.signaling.raw import Answer
from tests.integration.signaling.test_http_api import ask
from waiting_room.inventory import holds_anything
from waiting_room.receipts import verify
from waiting_room.store import Shared
from waiting_room.tokens import Claims, TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT
NOTICE, AGREED = "Picture and sound …", "I agree."
TEXT = f"{NOTICE}\n{AGREED}"
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.fixture(autouse=True)
def _texts(deployment: Deployment) -> None:
    words = deployment.web_root / "i18n"
    words.mkdir()
    (words / "en.json").write_text(json.dumps({"setup.notice": NOTICE, "setup.consent": AGREED}))


async def consent(node: Node, page: Page, **changes: Any) -> Answer:
    body = {"language": "en", "text_sha256": DIGEST, **changes}
    return await ask(
        node,
        "/api/v1/receipts/consent",
        page.token,
        method="POST",
        body=body,
        Konsil_Participant=page.secret,
    )


async def test_a_consent_is_signed_with_text_time_and_session(
    start: StartNode, page: NewPage, deployment: Deployment
) -> None:
    node = await start()
    client = page(CLIENT)
    answer = await consent(node, client)
    assert answer.status == 200
    found = verify(answer.body, deployment.keyring.public_keys.find)
    assert found.ours
    receipt = found.receipt
    assert receipt.konsil_receipt == "consent"
    assert (receipt.server, receipt.provider) == (PUBLIC_URL, "Dr. Okonkwo")
    assert (receipt.session, receipt.participant) == (client.consultation.room, client.id)
    assert (receipt.text, receipt.text_sha256, receipt.language) == (TEXT, DIGEST, "en")
    assert client.secret not in answer.body.decode()

    async def verified(text: str) -> bool:
        body = {"receipt": text}
        answer = await ask(node, "/api/v1/receipts/verify", "-", method="POST", body=body)
        return bool(answer.json["verified"])

    text = answer.body.decode()
    assert await verified(text)
    assert not await verified(text.replace(DIGEST[:8], "0" * 8))
    assert not await verified("{}")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text_sha256": "0" * 64}, "text_sha256"),
        ({"text_sha256": DIGEST.upper()}, "text_sha256"),
        ({"language": "de"}, "text_sha256"),
        ({"language": "x" * 17}, "language"),
    ],
)
async def test_only_our_own_texts(
    start: StartNode, page: NewPage, changes: dict[str, str], field: str
) -> None:
    answer = await consent(await start(), page(CLIENT), **changes)
    assert (answer.status, answer.json["field"]) == (400, field)


async def test_consent_is_the_clients_to_give(start: StartNode, page: NewPage) -> None:
    node = await start()
    answer = await consent(node, page(HOST))
    assert (answer.status, answer.json["code"]) == (403, "token_wrong_role")
    nameless = page(CLIENT)
    nameless.secret = "short"
    answer = await consent(node, nameless)
    assert (answer.status, answer.json["code"]) == (403, "not_allowed")


async def deletion(node: Node, page: Page) -> Answer:
    return await ask(node, "/api/v1/receipts/deletion", page.token)


async def test_a_deletion_is_signed_when_nothing_is_left_and_not_before(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: Any
) -> None:
    node, other = await start("a"), await start("b")
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(other)
    await ask(node, "/api/v1/codes", host.token, method="POST", body={})
    for one, where in ((host, node), (client, other), (client, node)):
        answer = await deletion(where, one)
        assert (answer.status, answer.json["code"]) == (409, "not_ended")
    await host.do("end")
    await client.closed()
    for one, where in ((host, node), (client, other)):
        answer = await deletion(where, one)
        assert answer.status == 200, answer.json
        found = verify(answer.body, deployment.keyring.public_keys.find)
        assert found.ours
        assert found.receipt.konsil_receipt == "deletion"
        assert found.receipt.session == client.consultation.room
        assert "found nothing" in found.receipt.statement
        assert found.receipt.participant == "", "says nothing of who was there"
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0
        # Anything of this room that should not be there is found.
        redis.set(f"konsil:{{{client.consultation.room}}}:forgotten", "x", px=60_000)
    assert (await deletion(node, host)).json["code"] == "not_ended"


async def test_other_rooms_do_not_matter(start: StartNode, page: NewPage) -> None:
    node = await start()
    host = page(HOST)
    await host.open(node)
    stranger = page(HOST, consultation=host.consultation.deployment.consultation())
    assert (await deletion(node, stranger)).status == 200
    await host.do("end")
    assert (await deletion(node, host)).status == 200


async def test_one_look_is_for_all_who_ask_meanwhile(
    start: StartNode, page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a room, however many ask for it, takes one of the places there are."""
    monkeypatch.setattr(receipt_api, "MAX_LOOKING", 1)
    looks, known, go_on = [], [], asyncio.Event()
    read_claims = Credentials.claims

    async def claims(self: Credentials, *given: Any, **more: Any) -> Claims:
        found = await read_claims(self, *given, **more)
        known.append(found.room)
        return found

    async def slowly(shared: Shared, room: str) -> bool:
        looks.append(room)
        await go_on.wait()
        return await holds_anything(shared, room)

    monkeypatch.setattr(Credentials, "claims", claims)
    monkeypatch.setattr(receipt_api, "holds_anything", slowly)
    node = await start()
    ours = page(HOST)
    other = page(HOST, consultation=ours.consultation.deployment.consultation())
    asked = [asyncio.create_task(deletion(node, ours)) for _ in range(2 * LOOK_BURST)]
    await until(lambda: len(known) == len(asked))
    refused = await deletion(node, other)
    assert (refused.status, refused.json["code"]) == (429, "slow_down")
    go_on.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert looks == [ours.consultation.room]
    assert (await deletion(node, other)).status == 200


async def test_a_room_may_be_looked_for_so_often(
    start: StartNode, page: NewPage, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = deployment.clock.monotonic()
    monkeypatch.setattr(deployment.clock, "monotonic", lambda: at)
    node = await start()
    ours = page(HOST)
    other = page(HOST, consultation=ours.consultation.deployment.consultation())
    statuses = [(await deletion(node, ours)).status for _ in range(LOOK_BURST + 1)]
    assert statuses == [200] * LOOK_BURST + [429]
    refused = await deletion(node, ours)
    assert refused.json["code"] == "slow_down"
    assert (await deletion(node, other)).status == 200
    at += refused.json["retry_after"]
    assert (await deletion(node, ours)).status == 200


async def test_without_redis_nothing_is_claimed(
    start: StartNode, page: NewPage, redis_server: Any
) -> None:
    node = await start()
    host = page(HOST)
    await host.open(node)
    await host.do("end")
    redis_server.kill()
    answer = await deletion(node, host)
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    redis_server.restart_empty()

    async def back() -> bool:
        return (await deletion(node, host)).status == 200

    await until(back)


async def test_the_keys_are_public(start: StartNode, deployment: Deployment) -> None:
    node = await start()
    answer = await ask(node, "/api/v1/receipt-keys", "-")
    kids = [key["kid"] for key in answer.json["keys"]]
    assert kids == [deployment.keyring.current.kid]
