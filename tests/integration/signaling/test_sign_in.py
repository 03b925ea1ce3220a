"""Signing in and out of the desk over HTTP."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import Any

from tests.integration.conftest import until
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import PUBLIC_URL, Deployment, Node
from tests.integration.signaling.raw import Answer, Raw
from tests.integration.signaling.test_http_api import ask
from waiting_room.sign_ins import COOKIE, IDLE_S, LONGEST_MS, RENEWED_AFTER_S
from waiting_room.tokens import TokenType

NEW = {"starts_at": "now", "minutes": 30}


class Browser:
    """Keeps the cookie, as browsers do, and says where it comes from."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.cookie = ""
        self.crumbs: SimpleCookie = SimpleCookie()

    async def get(self, target: str, **headers: str) -> Answer:
        return await self._ask(target, "GET", b"", headers)

    async def post(self, target: str, body: bytes = b"", **headers: str) -> Answer:
        headers = {"Origin": PUBLIC_URL, "Content_Type": "application/json", **headers}
        return await self._ask(target, "POST", body, headers)

    async def signs_in(self, token: str) -> Answer:
        return await self.post("/api/v1/sign-in", Authorization=f"Bearer {token}")

    async def makes(self, **headers: str) -> Answer:
        body = b'{"starts_at": "now", "minutes": 30}'
        return await self.post("/api/v1/consultations", body, **headers)

    async def _ask(self, target: str, method: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self.cookie:
            headers["Cookie"] = f"{COOKIE}={self.cookie}"
        async with await Raw.connect(self.node) as raw:
            answer = await raw.request(target, method=method, body=body, **headers)
        if "set-cookie" in answer.headers:
            self.crumbs = SimpleCookie(answer.headers["set-cookie"])
            self.cookie = self.crumbs[COOKIE].value
        return answer


async def test_a_link_signs_in_once_and_then_the_cookie_is_enough(
    node: Node, deployment: Deployment
) -> None:
    browser, token = Browser(node), deployment.provider_token()
    assert (await browser.get("/api/v1/desk")).json["provider"] is None
    assert (await browser.makes()).json["code"] == "not_signed_in"

    answer = await browser.signs_in(token)
    assert answer.status == 200
    provider = {"id": deployment.provider.id, "name": "Dr. Okonkwo"}
    assert answer.json["provider"] == provider
    crumb = browser.crumbs[COOKIE]
    assert crumb["httponly"]
    assert crumb["samesite"] == "Strict"
    assert crumb["path"] == "/api/v1"
    assert not crumb["max-age"]
    assert not crumb["expires"]
    assert not crumb["secure"], "the public URL of these tests is http"

    assert (await browser.get("/api/v1/desk")).json["provider"] == provider
    assert (await browser.makes()).status == 201

    again = await Browser(node).signs_in(token)
    assert (again.status, again.json["code"]) == (409, "already_used")
    # Nor is it good for anything else any more.
    for target, method in (("/api/v1/link", "GET"), ("/api/v1/consultations", "POST")):
        body = NEW if method == "POST" else None
        answer = await ask(node, target, token, method=method, body=body)
        assert (answer.status, answer.json["code"]) == (409, "already_used")


async def test_over_https_the_cookie_is_secure(start: StartNode, deployment: Deployment) -> None:
    node = await start(public_url="https://localhost")
    token = deployment.provider_token(audience="https://localhost")
    browser = Browser(node)
    answer = await browser.post(
        "/api/v1/sign-in", Authorization=f"Bearer {token}", Origin="https://localhost"
    )
    assert answer.status == 200
    assert browser.crumbs[COOKIE]["secure"]


async def test_of_two_browsers_at_once_on_two_nodes_one_gets_in(
    start: StartNode, deployment: Deployment
) -> None:
    nodes = [await start("a"), await start("b")]
    for _ in range(5):
        token = deployment.provider_token()
        answers = await asyncio.gather(
            *(Browser(node).signs_in(token) for node in nodes for _ in range(2))
        )
        assert sorted(a.status for a in answers) == [200, 409, 409, 409]


async def test_only_a_providers_link_signs_in(node: Node, deployment: Deployment) -> None:
    token = deployment.consultation().token(TokenType.HOST)
    answer = await Browser(node).signs_in(token)
    assert (answer.status, answer.json["code"]) == (403, "token_wrong_role")


async def test_another_origin_or_none_may_not_use_the_cookie(
    node: Node, deployment: Deployment
) -> None:
    browser = Browser(node)
    await browser.signs_in(deployment.provider_token())
    foreign = await browser.makes(Origin="https://evil.example")
    assert (foreign.status, foreign.json["code"]) == (403, "origin_refused")
    async with await Raw.connect(node) as raw:
        silent = await raw.request(
            "/api/v1/consultations",
            method="POST",
            body=b'{"starts_at": "now", "minutes": 30}',
            Content_Type="application/json",
            Cookie=f"{COOKIE}={browser.cookie}",
        )
    assert (silent.status, silent.json["code"]) == (403, "origin_refused")


async def test_it_is_renewed_while_used_and_ends(node: Node, deployment: Deployment) -> None:
    browser, clock = Browser(node), deployment.clock
    await browser.signs_in(deployment.provider_token())
    first = browser.cookie
    clock.advance(RENEWED_AFTER_S - 5)
    await browser.get("/api/v1/desk")
    assert browser.cookie == first, "no new cookie with every request"
    pause, used = IDLE_S - RENEWED_AFTER_S, RENEWED_AFTER_S
    while used + pause < LONGEST_MS // 1000 - 60:
        clock.advance(pause)
        used += pause
        assert (await browser.get("/api/v1/desk")).json["provider"] is not None
    assert browser.cookie != first
    clock.advance(LONGEST_MS // 1000 - used + 10)
    assert (await browser.get("/api/v1/desk")).json["provider"] is None

    idle = Browser(node)
    await idle.signs_in(deployment.provider_token())
    clock.advance(IDLE_S)
    assert (await idle.get("/api/v1/desk")).json["provider"] is None


async def test_signing_out_ends_this_sign_in_on_every_node(
    start: StartNode, deployment: Deployment, redis_server: Any
) -> None:
    one, other = await start("a"), await start("b")
    browser, second = Browser(one), Browser(one)
    await browser.signs_in(deployment.provider_token())
    await second.signs_in(deployment.provider_token())
    copy = Browser(other)
    copy.cookie = browser.cookie
    assert (await copy.get("/api/v1/desk")).json["provider"] is not None

    answer = await browser.post("/api/v1/sign-out", b"{}")
    assert (answer.status, answer.json["provider"]) == (200, None)
    assert browser.cookie == ""
    assert (await copy.get("/api/v1/desk")).json["provider"] is None, "a copy of the cookie"
    assert (await second.get("/api/v1/desk")).json["provider"] is not None
    assert (await browser.post("/api/v1/sign-out", b"{}")).status == 200, "twice does no harm"
    with redis_server.admin() as redis:
        [key] = redis.keys("*")
        assert 0 < redis.pttl(key) <= 3_600_000


async def test_signing_out_everywhere(node: Node, deployment: Deployment) -> None:
    browser, second = Browser(node), Browser(node)
    unused = deployment.provider_token()
    await browser.signs_in(deployment.provider_token())
    await second.signs_in(deployment.provider_token())
    made = (await browser.makes()).json
    refused = await Browser(node).post("/api/v1/sign-out", b'{"everywhere": true}')
    assert refused.json["code"] == "not_signed_in"

    deployment.clock.advance(2)
    answer = await browser.post("/api/v1/sign-out", b'{"everywhere": true}')
    assert answer.status == 200
    assert (await second.get("/api/v1/desk")).json["provider"] is None
    void = await Browser(node).signs_in(unused)
    assert (void.status, void.json["code"]) == (401, "token_revoked")
    # Links to consultations stay good, and a new sign-in link works.
    assert (await ask(node, "/api/v1/link", made["client_token"])).status == 200
    deployment.clock.advance(2)
    assert (await Browser(node).signs_in(deployment.provider_token())).status == 200


async def test_a_link_for_the_next_time(node: Node, deployment: Deployment) -> None:
    browser, phone = Browser(node), Browser(node)
    refused = await phone.post("/api/v1/sign-in-links")
    assert (refused.status, refused.json["code"]) == (401, "not_signed_in")
    await browser.signs_in(deployment.provider_token())
    made = await browser.post("/api/v1/sign-in-links")
    assert made.status == 201
    assert (await phone.signs_in(made.json["token"])).status == 200


async def test_revoking_ends_sign_ins(node: Node, deployment: Deployment) -> None:
    browser = Browser(node)
    await browser.signs_in(deployment.provider_token())
    deployment.providers.revoke("Dr. Okonkwo")
    assert (await browser.get("/api/v1/desk")).json["provider"] is None


async def test_without_redis_nobody_is_taken_for_signed_in(
    node: Node, deployment: Deployment, redis_server: Any
) -> None:
    browser = Browser(node)
    await browser.signs_in(deployment.provider_token())
    redis_server.kill()
    answer = await browser.get("/api/v1/desk")
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    redis_server.restart_empty()

    async def back() -> bool:
        return (await browser.get("/api/v1/desk")).status == 200

    await until(back)
    assert (await browser.get("/api/v1/desk")).json["provider"] is not None, "still signed in"
