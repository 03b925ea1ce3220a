"""Signing in by way of a real OpenID provider, and of one that is none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from signaling.deps import OpenIdSettings
from signaling.openid_client import ANSWER_MAX, DOWN_S, KEPT_S
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import PUBLIC_URL, Deployment, Node
from tests.integration.signaling.raw import Answer
from tests.integration.signaling.test_sign_in import Browser
from tests.openid.issuer import SECRET, Issuer, issuing
from waiting_room.openid import REQUEST_S

BACK = f"{PUBLIC_URL}/provider"


def settings(issuer: str, **more: Any) -> OpenIdSettings:
    secret = more.pop("secret", SECRET)
    return OpenIdSettings(
        **{
            "issuer": issuer,
            "client_id": "konsil",
            "secret": lambda: secret,
            "claim": "sub",
            "scope": "openid email",
            "label": "Clinic",
            **more,
        }
    )


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing(BACK, CLIENT_SECRET=SECRET) as running:
        yield running


@pytest.fixture
async def node(start: StartNode, issuer: Issuer) -> Node:
    return await start(openid=settings(issuer.url))


class Tab(Browser):
    """A tab that goes to the OpenID provider and comes back."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.verifier = secrets.token_urlsafe(32)

    async def says(self, target: str, body: Any) -> Answer:
        return await self.post(f"/api/v1/{target}", json.dumps(body).encode())

    async def goes(self) -> Answer:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return await self.says("sign-in/openid/request", {"challenge": challenge})

    async def comes(self, given: dict[str, str], **more: str) -> Answer:
        body = {"code": given["code"], "state": given["state"], "issuer": given.get("iss", "")}
        return await self.says("sign-in/openid", {**body, "verifier": self.verifier, **more})

    async def signs_in_as(self, login: str, issuer: Issuer) -> Answer:
        asked = await self.goes()
        assert asked.status == 200, asked.body
        return await self.comes(await issuer.grants(asked.json["url"], login))


def reason(answer: Answer) -> str:
    assert (answer.status, answer.json["code"]) == (403, "openid_refused")
    return str(answer.json["reason"])


async def test_who_is_known_there_and_here_is_signed_in(
    node: Node, issuer: Issuer, deployment: Deployment
) -> None:
    tab = Tab(node)
    assert (await tab.get("/api/v1/desk")).json["ways"]["openid"] == "Clinic"
    stranger = await tab.signs_in_as("ada", issuer)
    assert (stranger.status, stranger.json["code"]) == (403, "openid_unknown")
    assert tab.cookie == ""

    deployment.providers.set_openid("Dr. Okonkwo", "ada")
    answer = await Tab(node).signs_in_as("ada", issuer)
    assert answer.status == 200
    tab = Tab(node)
    await tab.signs_in_as("ada", issuer)
    assert (await tab.makes()).status == 201
    await tab.says("sign-out", {"everywhere": True})
    assert (await tab.get("/api/v1/desk")).json["provider"] is None
    assert (await Tab(node).signs_in_as("Ada", issuer)).json["code"] == "openid_unknown"

    deployment.clock.advance(1)
    assert (await Tab(node).signs_in_as("ada", issuer)).status == 200
    deployment.providers.revoke("Dr. Okonkwo")
    assert (await Tab(node).signs_in_as("ada", issuer)).json["code"] == "openid_unknown"


async def test_a_return_is_good_once_and_in_one_tab(
    start: StartNode, node: Node, issuer: Issuer, deployment: Deployment, redis_server: Any
) -> None:
    other = await start("b", openid=settings(issuer.url))
    deployment.providers.set_openid("Dr. Okonkwo", "ada")
    tab, thief = Tab(node), Tab(node)
    given = await issuer.grants((await tab.goes()).json["url"], "ada")
    assert given["place"] == "fragment", "where no access log sees it"

    # Code and state overheard are worth nothing elsewhere, and cannot be put under a victim either.
    assert reason(await thief.comes(given)) == "state"
    asked = (await thief.goes()).json
    assert reason(await thief.comes({**given, "state": asked["state"]})) == "code"
    with redis_server.admin() as redis:
        assert redis.keys("*once*") == [], "nothing of it is remembered that was not good"

    # The thief's try with a code that is not bound to it has cost the code: so the issuer has it.
    given = await issuer.grants((await tab.goes()).json["url"], "ada")
    assert reason(await tab.comes(given, issuer="https://evil.example")) == "issuer"
    assert reason(await tab.comes(given, issuer="")) == "issuer"
    assert (await tab.comes(given)).status == 200
    for tab.node in (node, other):
        assert reason(await tab.comes(given)) == "code"
    with redis_server.admin() as redis:
        [key] = redis.keys("*once*")
        assert 0 < redis.pttl(key) <= REQUEST_S * 1000

    # A fresh code for a state that was used.
    url = (await tab.goes()).json["url"]
    given = await issuer.grants(url, "ada")
    assert (await tab.comes(given)).status == 200
    again = await issuer.grants(url, "ada")
    assert reason(await tab.comes(again)) == "used"


async def test_it_does_not_last(node: Node, issuer: Issuer, deployment: Deployment) -> None:
    deployment.providers.set_openid("Dr. Okonkwo", "ada")
    tab = Tab(node)
    given = await issuer.grants((await tab.goes()).json["url"], "ada")
    deployment.clock.advance(REQUEST_S + 1)
    assert reason(await tab.comes(given)) == "too_late"
    # And an ID token that is far from our time is none.
    late = Tab(node)
    deployment.clock.jump = -7200
    assert reason(await late.signs_in_as("ada", issuer)) == "id_token"


async def test_another_claim(start: StartNode, issuer: Issuer, deployment: Deployment) -> None:
    node = await start(openid=settings(issuer.url, claim="email"))
    deployment.providers.set_openid("Dr. Okonkwo", "ada@clinic.example")
    assert (await Tab(node).signs_in_as("ada", issuer)).status == 200
    deployment.providers.set_openid("Dr. Okonkwo", "unproved@clinic.example")
    answer = await Tab(node).signs_in_as("unproved", issuer)
    assert reason(answer) == "email_not_verified"
    lacking = await start("b", openid=settings(issuer.url, claim="preferred_username"))
    assert reason(await Tab(lacking).signs_in_as("ada", issuer)) == "claim"


@pytest.mark.parametrize(
    ("environment", "secret"),
    [({}, ""), ({"CLIENT_SECRET": SECRET, "AUTH_METHOD": "client_secret_post"}, SECRET)],
    ids=["public", "post"],
)
async def test_other_kinds_of_client(
    start: StartNode, deployment: Deployment, environment: dict[str, str], secret: str
) -> None:
    deployment.providers.set_openid("Dr. Okonkwo", "ada")
    async with issuing(BACK, RESPONSE_MODE="query", **environment) as issuer:
        wrong = await start("w", openid=settings(issuer.url, secret="wrong"))
        refused = await Tab(wrong).signs_in_as("ada", issuer)
        assert (refused.status, refused.json["code"]) == (503, "openid_unavailable")
        if environment:
            return  # it offers client_secret_basic as well, which this client may not use
        node = await start(openid=settings(issuer.url, secret=secret))
        assert (await Tab(node).signs_in_as("ada", issuer)).status == 200


async def test_one_that_is_away_is_said_and_left_alone_for_a_moment(
    node: Node, issuer: Issuer, deployment: Deployment
) -> None:
    tab = Tab(node)
    given = await issuer.grants((await tab.goes()).json["url"], "ada")
    await issuer.dies()
    answer = await tab.comes(given)
    assert (answer.status, answer.json["code"]) == (503, "openid_unavailable")
    assert answer.json["retry_after"] == DOWN_S
    # What was known of it is good for a while, then nobody can be sent there.
    assert (await Tab(node).goes()).status == 200
    deployment.clock.advance(KEPT_S + 1)
    assert (await Tab(node).goes()).json["code"] == "openid_unavailable"


async def test_what_is_malformed_or_foreign(node: Node) -> None:
    tab = Tab(node)
    for body in ({}, {"challenge": "short"}, {"challenge": "x" * 43, "more": 1}):
        assert (await tab.says("sign-in/openid/request", body)).json["code"] == "bad_request"
    body = {"code": "c", "state": "s", "verifier": "short"}
    malformed = await tab.says("sign-in/openid", body)
    assert (malformed.json["code"], malformed.json["field"]) == ("bad_request", "verifier")
    assert reason(await tab.comes({"code": "c", "state": "s"})) == "state"
    foreign = await tab.post("/api/v1/sign-in/openid/request", b"{}", Origin="https://evil.example")
    assert foreign.json["code"] == "origin_refused"


async def test_without_the_setting_there_is_nothing_of_it(start: StartNode) -> None:
    plain = Browser(await start("plain"))
    assert (await plain.get("/api/v1/desk")).json["ways"]["openid"] is None


Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.parametrize(
    "fault", ["redirect", "long", "garbage", "other name", "error", "hangs up", "many"]
)
async def test_a_hostile_issuer_is_not_believed(
    start: StartNode, deployment: Deployment, fault: str
) -> None:
    """One of our own making, since no honest one does this."""
    asked: list[str] = []

    async def answers(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        match fault:
            case "redirect":
                raise web.HTTPFound(f"{url}/elsewhere")
            case "long":
                return web.Response(body=b" " * (ANSWER_MAX + 1))
            case "garbage":
                return web.Response(text="<html>")
            case "other name":
                return web.json_response({**document, "issuer": "https://login.example"})
            case "error":
                return web.Response(status=500)
            case "hangs up":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
        return web.json_response(document)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}"
    document = {
        "issuer": url,
        **{f"{name}_endpoint": f"{url}/{name}" for name in ("authorization", "token")},
        "jwks_uri": f"{url}/jwks",
        "response_types_supported": ["code"],
    }
    try:
        node = await start(openid=settings(url))
        answers_to = await asyncio.gather(*(Tab(node).goes() for _ in range(20)))
        if fault == "many":
            assert {answer.status for answer in answers_to} == {200}
        else:
            codes = {(answer.status, answer.json["code"]) for answer in answers_to}
            assert codes == {(503, "openid_unavailable")}
        # aiohttp tries a GET again where a connection is lost under it.
        once = 2 if fault == "hangs up" else 1
        assert len(asked) == once, "asked once for all who came at once"
        deployment.clock.advance(DOWN_S + 1)
        await Tab(node).goes()
        assert len(asked) == (once if fault == "many" else 2 * once)
        assert "/elsewhere" not in asked
    finally:
        await runner.cleanup()
