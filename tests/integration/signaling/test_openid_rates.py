"""Made-up codes: one address costs the OpenID provider little, and keeps nobody else out.

The issuer is of our own making, since it has to count, to wait and to fail as it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from aiohttp import web

from signaling.limits import FREE_FAILURES
from signaling.openid_api import EXCHANGE_BURST, EXCHANGE_RATE
from signaling.openid_client import AT_ONCE
from tests.integration.conftest import until
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.raw import Answer
from tests.integration.signaling.test_arrival_rates import Still
from tests.integration.signaling.test_openid import Tab, settings

ATTACKER, SOMEBODY = "198.51.100.1", "203.0.113.5"


class CountingIssuer:
    """Answers each code with `error`, while it is `going`."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.error, self.status = "invalid_grant", 400
        self.going = asyncio.Event()
        self.going.set()
        self.url = ""

    async def metadata(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                **{f"{name}_endpoint": f"{self.url}/{name}" for name in ("authorization", "token")},
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
            }
        )

    async def token(self, request: web.Request) -> web.Response:
        self.codes.append(str((await request.post())["code"]))
        await self.going.wait()
        return web.json_response({"error": self.error}, status=self.status)


@pytest.fixture
async def issuer() -> AsyncIterator[CountingIssuer]:
    one = CountingIssuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", one.metadata)
    app.router.add_post("/token", one.token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    one.going.set()
    await runner.cleanup()


@pytest.fixture
def still(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Still:
    clock = Still()
    monkeypatch.setattr(deployment.clock, "monotonic", clock)
    return clock


@pytest.fixture
async def node(start: StartNode, issuer: CountingIssuer, still: Still) -> Node:
    trusted = (ip_network("127.0.0.1"),)
    return await start(openid=settings(issuer.url), trusted_proxies=trusted)


async def brings(node: Node, code: str, address: str) -> Answer:
    tab = Tab(node)
    state = (await tab.goes()).json["state"]
    body = f'{{"code": "{code}", "state": "{state}", "verifier": "{tab.verifier}"}}'
    return await tab.post("/api/v1/sign-in/openid", body.encode(), X_Forwarded_For=address)


async def test_one_address_takes_few_codes_there_and_leaves_room_for_others(
    node: Node, issuer: CountingIssuer, still: Still
) -> None:
    issuer.going.clear()
    attack = [asyncio.create_task(brings(node, f"a{n}", ATTACKER)) for n in range(4 * AT_ONCE)]
    await until(lambda: sum(task.done() for task in attack) >= len(attack) - EXCHANGE_BURST)
    somebody = asyncio.create_task(brings(node, "good", SOMEBODY))
    await until(lambda: "good" in issuer.codes or somebody.done())
    issuer.going.set()
    answers = await asyncio.gather(*attack)
    assert (await somebody).json["code"] == "openid_refused", "the issuer has looked at it"
    refused = [answer for answer in answers if answer.json["code"] == "slow_down"]
    assert len(refused) == len(attack) - EXCHANGE_BURST
    assert {answer.json["retry_after"] for answer in refused} == {1 / EXCHANGE_RATE}
    assert len(issuer.codes) == EXCHANGE_BURST + 1
    still.now += 1 / EXCHANGE_RATE
    again = [(await brings(node, "more", ATTACKER)).json["code"] for _ in range(2)]
    assert again == ["openid_refused", "slow_down"]


@pytest.mark.parametrize(
    ("says", "code", "held_up"),
    [
        ((400, "invalid_grant"), "openid_refused", True),
        ((400, "invalid_request"), "openid_unavailable", True),
        ((404, "none that is known"), "openid_unavailable", True),
        ((401, "invalid_client"), "openid_unavailable", False),
        ((500, "server_error"), "openid_unavailable", False),
    ],
)
async def test_who_brings_codes_that_are_none_is_answered_slower(
    node: Node,
    issuer: CountingIssuer,
    *,
    still: Still,
    says: tuple[int, str],
    code: str,
    held_up: bool,
) -> None:
    issuer.status, issuer.error = says
    for _ in range(FREE_FAILURES + 1):
        still.now += 1 / EXCHANGE_RATE
        assert (await brings(node, "junk", ATTACKER)).json["code"] == code
    throttle = node.server.hub.arrivals.throttle
    assert (throttle.delay(ATTACKER, still.now) > 0) is held_up
    assert throttle.delay(SOMEBODY, still.now) == 0
