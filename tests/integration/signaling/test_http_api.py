"""The HTTP API, and what becomes of tokens that are not good."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from importlib import resources
from ipaddress import ip_network
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from signaling.deps import OpenIdSettings
from signaling.limits import FIRST_DELAY, FREE_FAILURES
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import PUBLIC_URL, Consultation, Deployment, Node
from tests.integration.signaling.page import Page
from tests.integration.signaling.raw import Answer, Raw
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.tokens import TokenType

HOST, CLIENT, PROVIDER = TokenType.HOST, TokenType.CLIENT, TokenType.PROVIDER


async def ask(
    node: Node, target: str, token: str, *, method: str = "GET", body: Any = None, **headers: str
) -> Answer:
    async with await Raw.connect(node) as raw:
        if body is not None:
            headers["Content_Type"] = "application/json"
        return await raw.request(
            target,
            method=method,
            body=b"" if body is None else json.dumps(body).encode(),
            Authorization=f"Bearer {token}",
            **headers,
        )


async def test_what_a_link_is_good_for(
    node: Node, consultation: Consultation, deployment: Deployment
) -> None:
    answer = await ask(node, "/api/v1/link", consultation.token(CLIENT))
    assert answer.status == 200
    assert answer.json == {
        "role": "client",
        "room": consultation.room,
        "provider": "Dr. Okonkwo",
        "opens_at": consultation.invitation.opens_at * 1000,
        "closes_at": consultation.invitation.closes_at * 1000,
        "server_time": answer.json["server_time"],
        "call_quality": False,
    }
    assert abs(answer.json["server_time"] - deployment.clock.wall() * 1000) < 5000
    assert answer.headers["cache-control"] == "no-store"
    provider = await ask(node, "/api/v1/link", deployment.provider_token())
    assert (provider.json["role"], provider.json["room"]) == ("provider", "")


async def test_a_provider_makes_a_consultation_that_works(
    node: Node, deployment: Deployment, page: NewPage, redis_server: Any
) -> None:
    body = {"starts_at": "now", "minutes": 30}
    answer = await ask(
        node, "/api/v1/consultations", deployment.provider_token(), method="POST", body=body
    )
    assert answer.status == 201, answer.json
    made = answer.json
    assert made["opens_at"] == made["starts_at"] - 15 * 60_000
    assert made["closes_at"] == made["starts_at"] + 30 * 60_000
    for token, role in ((made["host_token"], "host"), (made["client_token"], "client")):
        link = await ask(node, "/api/v1/link", token)
        assert (link.json["role"], link.json["room"]) == (role, made["room"])
    with redis_server.admin() as redis:
        assert redis.dbsize() == 0
    host = page(HOST, token=made["host_token"])
    assert (await host.open(node))["role"] == "host"


async def test_a_group_gets_a_link_each(node: Node, deployment: Deployment) -> None:
    body = {"starts_at": "now", "minutes": 30, "opens_before": 0, "links": 8}
    answer = await ask(
        node, "/api/v1/consultations", deployment.provider_token(), method="POST", body=body
    )
    made = answer.json
    assert made["opens_at"] == made["starts_at"]
    assert made["client_tokens"][0] == made["client_token"]
    assert len(set(made["client_tokens"])) == 8
    for token in made["client_tokens"]:
        link = (await ask(node, "/api/v1/link", token)).json
        assert (link["role"], link["room"]) == ("client", made["room"])


async def test_a_host_sees_who_waits_without_going_in(node: Node, page: NewPage) -> None:
    host, client, other = page(HOST), page(CLIENT), page(CLIENT, name="Ben")
    queue = (await ask(node, "/api/v1/queue", host.token)).json
    assert (queue["open"], queue["waiting"], queue["host_present"]) == (False, [], False)
    await client.open(node)
    await other.open(node)
    queue = (await ask(node, "/api/v1/queue", host.token)).json
    assert [one["name"] for one in queue["waiting"]] == ["Ada", "Ben"]
    assert all(one["connected"] for one in queue["waiting"])
    assert (queue["open"], queue["inside"], queue["host_present"]) == (True, 0, False)
    await host.open(node)
    await host.do("admit", participant=client.id)
    queue = (await ask(node, "/api/v1/queue", host.token)).json
    assert [one["name"] for one in queue["waiting"]] == ["Ben"]
    assert (queue["inside"], queue["host_present"]) == (1, True)
    refused = await ask(node, "/api/v1/queue", client.token)
    assert (refused.status, refused.json["code"]) == (403, "token_wrong_role")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"starts_at": "now", "minutes": 30, "links": 0}, "links"),
        ({"starts_at": "now", "minutes": 30, "links": 9}, "links"),
        ({"starts_at": "now", "minutes": 30, "links": "2"}, "links"),
        ({"minutes": 30}, "starts_at"),
        ({"starts_at": "now"}, "minutes"),
        ({"starts_at": "now", "minutes": "30"}, "minutes"),
        ({"starts_at": "now", "minutes": 4}, "minutes"),
        ({"starts_at": "now", "minutes": 10**30}, "minutes"),
        ({"starts_at": "now", "minutes": 30, "opens_before": 61}, "opens_before"),
        ({"starts_at": "2020-01-01T00:00:00Z", "minutes": 30}, "starts_at"),
        ({"starts_at": "2999-01-01T00:00:00Z", "minutes": 30}, "starts_at"),
        ({"starts_at": "2030-01-01T00:00:00", "minutes": 30}, "starts_at"),
        ({"starts_at": "tomorrow", "minutes": 30}, "starts_at"),
        ({"starts_at": "9999-12-31T23:59:59-23:59", "minutes": 30}, "starts_at"),
    ],
)
async def test_a_bad_consultation_names_the_field(
    node: Node, deployment: Deployment, body: dict[str, Any], field: str
) -> None:
    answer = await ask(
        node, "/api/v1/consultations", deployment.provider_token(), method="POST", body=body
    )
    assert (answer.status, answer.json["code"], answer.json["field"]) == (
        400,
        "bad_request",
        field,
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b"\xff", b'{"canary":1}'])
async def test_a_body_that_is_no_consultation(
    node: Node, deployment: Deployment, body: bytes
) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.request(
            "/api/v1/consultations",
            method="POST",
            body=body,
            Authorization=f"Bearer {deployment.provider_token()}",
            Content_Type="application/json",
        )
    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert b"canary" not in answer.body


async def ice_servers(node: Node, page: Page, **headers: str) -> Answer:
    headers = {"Konsil_Participant": page.secret, **headers}
    return await ask(node, "/api/v1/ice-servers", page.token, **headers)


async def test_ice_servers_are_for_those_who_are_admitted_and_name_nobody(
    node: Node, page: NewPage
) -> None:
    host, client, other = page(HOST), page(CLIENT), page(CLIENT, name="Ben")
    for one in (host, client, other):
        await one.open(node)
    answer = await ice_servers(node, client)
    assert (answer.status, answer.json["code"]) == (403, "not_allowed")
    for one in (client, other):
        await host.do("admit", participant=one.id)
    answer = await ice_servers(node, client)
    assert answer.json["ttl"] == 600
    [server] = answer.json["ice_servers"]
    assert server["urls"] == ["turn:turn.test:3478"]
    assert client.id not in server["username"]
    assert client.consultation.room not in server["username"]
    assert (await ice_servers(node, client)).json == answer.json
    names = {
        (await ice_servers(node, one)).json["ice_servers"][0]["username"]
        for one in (host, client, other)
    }
    assert len(names) == 3
    await host.do("remove", participant=client.id)
    assert (await ice_servers(node, client)).status == 403


async def test_a_host_gets_ice_servers_before_the_room_is_open(
    node: Node, consultation: Consultation
) -> None:
    answer = await ask(node, "/api/v1/ice-servers", consultation.token(HOST))
    assert answer.status == 200
    for kind in (CLIENT, TokenType.GUEST):
        answer = await ask(node, "/api/v1/ice-servers", consultation.token(kind))
        assert (answer.status, answer.json["code"]) == (403, "not_allowed")


async def test_the_api_describes_itself(start: StartNode, deployment: Deployment) -> None:
    node = await start(
        passkeys=PasskeyFiles(deployment.state_dir),
        # Nobody is asked before somebody signs in.
        openid=OpenIdSettings(
            issuer="https://login.invalid", client_id="c", secret=str,
            claim="sub", scope="openid", label="L",
        ),
    )  # fmt: skip
    async with await Raw.connect(node) as raw:
        answer = await raw.request("/api/v1/openapi.json")
    assert answer.json["openapi"].startswith("3.1")
    described = set(answer.json["paths"])
    routes = node.server._runner.app.router.resources()
    served = {r.canonical for r in routes if r.canonical.startswith(("/api/", "/healthz", "/r"))}
    assert described == served
    assert answer.body == resources.files("signaling").joinpath("openapi.json").read_bytes()


# --- tokens ---


async def test_the_wrong_role(
    node: Node, consultation: Consultation, deployment: Deployment, page: NewPage
) -> None:
    body = {"starts_at": "now", "minutes": 30}
    for kind in (HOST, CLIENT):
        answer = await ask(
            node, "/api/v1/consultations", consultation.token(kind), method="POST", body=body
        )
        assert (answer.status, answer.json["code"]) == (403, "token_wrong_role")
    answer = await ask(node, "/api/v1/ice-servers", deployment.provider_token())
    assert (answer.status, answer.json["code"]) == (403, "token_wrong_role")
    error, code = await page(HOST, token=deployment.provider_token()).refused(node)
    assert (error["code"], code) == ("token_wrong_role", 4403)


async def test_one_second_before_opening_and_the_second_of_closing(
    node: Node, deployment: Deployment, page: NewPage
) -> None:
    consultation = deployment.consultation(starts_in=3600)
    token, opens_at = consultation.token(CLIENT), consultation.invitation.opens_at
    clock = deployment.clock

    def at(second: float) -> None:
        clock.jump += second - clock.wall()

    at(opens_at - 1)
    answer = await ask(node, "/api/v1/link", token)
    assert (answer.status, answer.json["code"]) == (403, "token_not_open_yet")
    assert answer.json["opens_at"] == opens_at * 1000
    error, code = await page(CLIENT, consultation=consultation, token=token).refused(node)
    assert (error["code"], error["opens_at"], code) == (
        "token_not_open_yet",
        opens_at * 1000,
        4403,
    )
    at(opens_at)
    assert (await ask(node, "/api/v1/link", token)).status == 200
    at(consultation.invitation.closes_at)
    answer = await ask(node, "/api/v1/link", token)
    assert (answer.status, answer.json["code"]) == (401, "token_closed")
    error, code = await page(CLIENT, consultation=consultation, token=token).refused(node)
    assert (error["code"], code) == ("token_closed", 4401)


async def test_a_revoked_epoch(
    node: Node, consultation: Consultation, deployment: Deployment, page: NewPage
) -> None:
    token = consultation.token(CLIENT)
    deployment.providers.revoke(deployment.provider.name)
    answer = await ask(node, "/api/v1/link", token)
    assert (answer.status, answer.json["code"]) == (401, "token_revoked")
    error, code = await page(CLIENT, token=token).refused(node)
    assert (error["code"], code) == ("token_revoked", 4401)


def forgeries(consultation: Consultation, deployment: Deployment) -> dict[str, tuple[str, str]]:
    """name -> (token, reason)"""
    good = consultation.token(CLIENT)
    header, claims, signature = good.split(".")
    key = deployment.keyring.current
    public = key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def encoded(content: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    payload = json.loads(base64.urlsafe_b64decode(claims + "=="))
    flipped = ("B" if signature[5] != "B" else "C").join((signature[:5], signature[6:]))
    unsigned = f"{encoded({'alg': 'none', 'typ': 'JWT', 'kid': key.kid})}.{claims}."
    hmac = jwt.api_jws.PyJWS().encode(
        b"{}", base64.b64encode(public), "HS256", headers={"kid": key.kid}
    )
    return {
        "none": (unsigned, "wrong_algorithm"),
        "hmac": (hmac, "wrong_algorithm"),
        "flipped": (f"{header}.{claims}.{flipped}", "bad_signature"),
        "padded": (good + "=", "malformed"),
        "other claims": (
            f"{header}.{encoded({**payload, 'typ': 'host'})}.{signature}",
            "bad_signature",
        ),
        "unknown key": (
            f"{encoded({'alg': 'EdDSA', 'kid': 'x' * 16, 'typ': 'JWT'})}.{claims}.{signature}",
            "malformed",
        ),
        "garbage": ("garbage", "malformed"),
    }


async def test_forged_tokens(
    node: Node, consultation: Consultation, deployment: Deployment, page: NewPage
) -> None:
    for name, (token, reason) in forgeries(consultation, deployment).items():
        answer = await ask(node, "/api/v1/link", token)
        assert (answer.status, answer.json["code"]) == (401, "token_invalid"), name
        assert answer.json["reason"] == reason, name
        assert answer.headers["www-authenticate"] == "Bearer"
    error, code = await page(CLIENT, token="garbage").refused(node)
    assert (error["code"], error["reason"], code) == ("token_invalid", "malformed", 4401)


async def test_no_token_at_all(node: Node) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.request("/api/v1/link")
        assert (answer.status, answer.json["code"]) == (401, "token_invalid")


async def test_bad_tokens_are_answered_slower_and_slower_for_that_address_only(
    start: StartNode, consultation: Consultation, page: NewPage
) -> None:
    node = await start("a", trusted_proxies=(ip_network("127.0.0.0/8"),))

    async def bad(address: str) -> float:
        begun = time.monotonic()
        answer = await ask(node, "/api/v1/link", "garbage", X_Forwarded_For=address)
        assert answer.status == 401
        return time.monotonic() - begun

    for number in range(FREE_FAILURES):
        await bad(f"2001:db8::{number}")
    assert await bad("2001:db8::ffff") >= FIRST_DELAY
    assert await bad("2001:db8::1") >= 2 * FIRST_DELAY
    slow = asyncio.create_task(bad("2001:db8::1"))
    for _ in range(3):
        await bad("2001:db8:0:1::1")
    answer = await ask(
        node, "/api/v1/link", consultation.token(CLIENT), X_Forwarded_For="2001:db8::1"
    )
    assert answer.status == 200
    assert not slow.done()
    assert await slow >= 4 * FIRST_DELAY


async def test_bad_tokens_are_answered_slower_over_the_websocket_too(
    node: Node, page: NewPage
) -> None:
    for _ in range(FREE_FAILURES):
        await page(CLIENT, token="garbage").refused(node)
    begun = time.monotonic()
    await page(CLIENT, token="garbage").refused(node)
    assert time.monotonic() - begun >= FIRST_DELAY


@pytest.mark.parametrize("origin", ["http://evil.test", "null"])
async def test_pages_of_other_origins_may_not_post(
    node: Node, deployment: Deployment, origin: str
) -> None:
    answer = await ask(
        node,
        "/api/v1/consultations",
        deployment.provider_token(),
        method="POST",
        body={"starts_at": "now", "minutes": 30},
        Origin=origin,
    )
    assert (answer.status, answer.json["code"]) == (403, "origin_refused")


async def test_our_own_pages_may_post(node: Node, deployment: Deployment) -> None:
    answer = await ask(
        node,
        "/api/v1/consultations",
        deployment.provider_token(),
        method="POST",
        body={"starts_at": "now", "minutes": 30},
        Origin=PUBLIC_URL,
    )
    assert answer.status == 201
