"""Passkeys over HTTP, with an authenticator in software."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from signaling.app import build
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import PUBLIC_URL, Deployment, Node
from tests.integration.signaling.raw import Answer
from tests.integration.signaling.test_sign_in import Browser
from tests.unit.soft_authenticator import Authenticator
from waiting_room.errors import ConfigError
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.passkeys import CHALLENGE_S


@pytest.fixture
async def node(start: StartNode, deployment: Deployment) -> Node:
    return await start(passkeys=PasskeyFiles(deployment.state_dir))


class Desk(Browser):
    """A browser with an authenticator."""

    def __init__(self, node: Node, deployment: Deployment) -> None:
        super().__init__(node)
        self.deployment = deployment
        self.device = Authenticator(PUBLIC_URL, "localhost", deployment.provider.id)

    async def says(self, target: str, body: Any = None) -> Answer:
        return await self.post(f"/api/v1/{target}", json.dumps(body or {}).encode())

    async def opens(self) -> None:
        assert (await self.signs_in(self.deployment.provider_token())).status == 200

    async def adds(self) -> Answer:
        asked = await self.says("passkeys/challenge")
        return await self.says("passkeys", self.device.makes(asked.json["challenge"]))

    async def assertion(self) -> dict[str, str]:
        asked = await self.says("sign-in/passkey/challenge")
        assert asked.json["rp"] == "localhost"
        return self.device.signs(asked.json["challenge"])

    async def comes_back(self) -> Answer:
        return await self.says("sign-in/passkey", await self.assertion())


@pytest.fixture
def desk(node: Node, deployment: Deployment) -> Desk:
    return Desk(node, deployment)


async def test_a_passkey_is_added_at_the_desk_and_signs_in(desk: Desk) -> None:
    assert (await desk.get("/api/v1/desk")).json["ways"]["passkey"] is True
    for target in ("passkeys", "passkeys/challenge", "passkeys/remove"):
        assert (await desk.says(target)).json["code"] == "not_signed_in"
    assert (await desk.get("/api/v1/passkeys")).json["code"] == "not_signed_in"

    await desk.opens()
    asked = (await desk.says("passkeys/challenge")).json
    provider = desk.deployment.provider
    assert asked["user"] == {"id": provider.id, "name": provider.name}
    assert asked["known"] == []
    added = await desk.adds()
    assert added.status == 201
    assert len(added.json["passkeys"]) == 1
    assert (await desk.says("passkeys/challenge")).json["known"] == [desk.device.id]
    assert (await desk.adds()).json["code"] == "already_used"

    await desk.says("sign-out")
    assert desk.cookie == ""
    answer = await desk.comes_back()
    assert answer.status == 200
    assert answer.json["provider"] == asked["user"]
    assert (await desk.makes()).status == 201
    assert (await desk.get("/api/v1/passkeys")).json["passkeys"] == added.json["passkeys"]
    # The same sign-out as after a link.
    await desk.says("sign-out", {"everywhere": True})
    assert (await desk.get("/api/v1/desk")).json["provider"] is None
    # It leaves passkeys, unless it is told to leave nothing.
    desk.deployment.clock.advance(1)
    assert (await desk.comes_back()).status == 200
    await desk.says("sign-out", {"everywhere": True, "passkeys": True})
    assert (await desk.comes_back()).json["code"] == "passkey_refused"


async def test_a_challenge_is_good_once_on_all_nodes(
    start: StartNode, desk: Desk, deployment: Deployment, redis_server: Any
) -> None:
    other = await start("b", passkeys=PasskeyFiles(deployment.state_dir))
    desk.device.counts = False  # the count would refuse it, too
    await desk.opens()
    await desk.adds()
    given = await desk.assertion()
    assert (await desk.says("sign-in/passkey", given)).status == 200
    for node in (desk.node, other):
        desk.node = node
        again = await desk.says("sign-in/passkey", given)
        assert (again.status, again.json["code"]) == (403, "passkey_refused")
        assert again.json["reason"] == "used"
    with redis_server.admin() as redis:
        keys = [key for key in redis.keys("*") if key.endswith(b":once")]
        assert len(keys) == 2, "one for each challenge that was used, none for those only asked for"
        assert all(0 < redis.pttl(key) <= CHALLENGE_S * 1000 for key in keys)


async def test_a_late_challenge_and_one_for_something_else_are_refused(desk: Desk) -> None:
    await desk.opens()
    to_add = (await desk.says("passkeys/challenge")).json["challenge"]
    await desk.adds()
    answer = await desk.says("sign-in/passkey", desk.device.signs(to_add))
    assert answer.json["reason"] == "not_ours"
    given = await desk.assertion()
    desk.deployment.clock.advance(CHALLENGE_S + 1)
    assert (await desk.says("sign-in/passkey", given)).json["reason"] == "too_late"
    body = {**given, "signature": ""}
    malformed = await desk.says("sign-in/passkey", body)
    assert (malformed.json["code"], malformed.json["field"]) == ("bad_request", "signature")


async def test_a_challenge_for_one_provider_adds_nothing_to_another(
    node: Node, desk: Desk, deployment: Deployment
) -> None:
    await desk.opens()
    asked = (await desk.says("passkeys/challenge")).json["challenge"]
    deployment.provider = deployment.providers.add("Dr. Second")
    second = Desk(node, deployment)
    await second.opens()
    answer = await second.says("passkeys", second.device.makes(asked))
    assert answer.json["code"] == "passkey_refused"
    # Nor does a passkey of the one sign the other in.
    await desk.adds()
    desk.device.user = deployment.provider.id
    assert (await desk.comes_back()).json["reason"] == "not_verified"


async def test_what_is_removed_revoked_or_barred_signs_in_no_more(desk: Desk) -> None:
    await desk.opens()
    [made] = (await desk.adds()).json["passkeys"]
    removed = await desk.says("passkeys/remove", {"id": made["id"]})
    assert removed.json["passkeys"] == []
    assert (await desk.comes_back()).json["code"] == "passkey_refused"
    gone = await desk.says("passkeys/remove", {"id": made["id"]})
    assert gone.json["code"] == "not_found"

    await desk.adds()
    assert (await desk.comes_back()).status == 200
    desk.deployment.providers.revoke("Dr. Okonkwo")
    assert (await desk.comes_back()).json["code"] == "passkey_refused"


async def test_a_page_elsewhere_cannot_use_them(desk: Desk) -> None:
    await desk.opens()
    foreign = await desk.post("/api/v1/passkeys/challenge", b"{}", Origin="https://evil.example")
    assert foreign.json["code"] == "origin_refused"
    asked = (await desk.says("passkeys/challenge")).json["challenge"]
    desk.device.origin = "https://evil.example"
    answer = await desk.says("passkeys", desk.device.makes(asked))
    assert answer.json["code"] == "passkey_refused"


async def test_a_directory_that_cannot_be_written_is_said(desk: Desk) -> None:
    await desk.opens()
    (desk.deployment.state_dir / "passkeys").write_text("a file, no directory")
    answer = await desk.says("passkeys/challenge")
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")


async def test_without_redis_nobody_can_tell_whether_it_was_used(
    node: Node, desk: Desk, deployment: Deployment, redis_server: Any
) -> None:
    await desk.opens()
    await desk.adds()
    elsewhere = Desk(node, deployment)
    elsewhere.device = desk.device
    given = await elsewhere.assertion()
    redis_server.kill()
    answer = await elsewhere.says("sign-in/passkey", given)
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    assert elsewhere.cookie == ""


async def test_without_the_setting_there_is_nothing_of_it(
    start: StartNode, deployment: Deployment
) -> None:
    plain = Browser(await start("plain"))
    assert (await plain.get("/api/v1/desk")).json["ways"]["passkey"] is False
    assert (await plain.get("/api/v1/passkeys")).status == 404
    refused = (await plain.get("/healthz")).headers["permissions-policy"]
    assert "publickey-credentials-get=()" in refused
    asked = Browser(await start("with", passkeys=PasskeyFiles(deployment.state_dir)))
    allowed = (await asked.get("/healthz")).headers["permissions-policy"]
    assert "publickey-credentials-get=(self)" in allowed
    assert "publickey-credentials-create=(self)" in allowed


async def test_an_address_stops_the_start(node: Node) -> None:
    with pytest.raises(ConfigError, match="KONSIL_PASSKEYS"):
        build(dataclasses.replace(node.server.deps, public_url="https://192.0.2.1"))
