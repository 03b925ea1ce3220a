"""The reception over HTTP, on real nodes: what it sees and does, and no way leads into a call."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

import pytest

from signaling import messages
from signaling.commands import SHOW_RATE
from signaling.reception_api import LOOK_RATE, RATE
from signaling.room_search import ANSWER, QUESTION
from tests.integration.signaling.conftest import NewPage, StartNode
from tests.integration.signaling.house import PUBLIC_URL, Consultation, Deployment, Node
from tests.integration.signaling.page import Page, new_secret
from tests.integration.signaling.raw import Answer
from tests.integration.signaling.test_arrival_rates import Still
from tests.integration.signaling.test_http_api import ask
from tests.integration.signaling.test_sign_in import Browser
from waiting_room.bus import message
from waiting_room.invitations import reception_claims
from waiting_room.keyspace import Keyspace
from waiting_room.links import new_id
from waiting_room.providers import Provider
from waiting_room.tokens import TokenType, mint

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT
OPEN_TO_IT = {
    "/api/v1/link",
    "/api/v1/reception",
    "/api/v1/reception/tell",
    "/api/v1/reception/pass-on",
}


def reception_token(deployment: Deployment, provider: Provider | None = None) -> str:
    of = provider or deployment.provider
    claims = reception_claims(
        of.id,
        of.epoch,
        audience=PUBLIC_URL,
        jti=new_id(secrets.token_bytes(16)),
        now=deployment.clock.wall(),
        hours=12,
    )
    return mint(claims, deployment.keyring.current)


class Desk:
    """A reception of one provider, at one node."""

    def __init__(
        self, node: Node, deployment: Deployment, provider: Provider | None = None
    ) -> None:
        self.node = node
        self.token = reception_token(deployment, provider)

    async def looks(self) -> dict[str, Any]:
        answer = await ask(self.node, "/api/v1/reception", self.token)
        assert answer.status == 200, answer.body
        seen: dict[str, Any] = answer.json
        return seen

    async def rooms(self) -> dict[str, Any]:
        return {room["room"]: room for room in (await self.looks())["rooms"]}

    async def tells(self, page: Page, text: str, *, everybody: bool = False) -> Answer:
        body = {"room": page.consultation.room, "text": text}
        if not everybody:
            body["participant"] = page.id
        return await ask(self.node, "/api/v1/reception/tell", self.token, method="POST", body=body)

    async def passes(self, page: Page, to: str | None, token: str | None = None) -> Answer:
        body: dict[str, Any] = {
            "room": page.consultation.room, "participant": page.id, "to": to, "token": token,
        }  # fmt: skip
        return await ask(
            self.node, "/api/v1/reception/pass-on", self.token, method="POST", body=body
        )


async def goes_on(
    node: Node, page: Page, secret: str | None = None, *, there: str | None = None
) -> Answer:
    headers = {"Konsil_Participant": secret or page.secret}
    body = {} if there is None else {"secret": there}
    return await ask(node, "/api/v1/onward", page.token, method="POST", body=body, **headers)


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


@pytest.fixture
def colleague(deployment: Deployment) -> Provider:
    return deployment.providers.add("Dr. Weber")


def consultation_of(deployment: Deployment, provider: Provider) -> Consultation:
    one = deployment.consultation()
    return Consultation(
        deployment, replace(one.invitation, provider=provider.id, epoch=provider.epoch)
    )


async def test_it_sees_who_waits_on_every_node_and_of_a_call_only_that_there_is_one(
    start: StartNode, page: NewPage, deployment: Deployment, colleague: Provider
) -> None:
    one, other = await start("a"), await start("b")
    desk = Desk(other, deployment)
    assert await desk.rooms() == {}
    host, ada, bob = page(HOST), page(CLIENT, name="Ada"), page(CLIENT, name="Bob")
    elsewhere = page(CLIENT, consultation=consultation_of(deployment, colleague), name="Eve")
    await ada.open(one)
    await elsewhere.open(one)
    room = (await desk.rooms())[ada.consultation.room]
    assert (room["host_present"], room["in_call"], room["locked"]) == (False, False, False)
    (waiting,) = room["waiting"]
    assert (waiting["participant"], waiting["name"], waiting["connected"]) == (ada.id, "Ada", True)

    await host.open(other)
    await bob.open(other)
    await host.do("admit", participant=ada.id)
    (room,) = (await desk.rooms()).values()
    assert (room["host_present"], room["in_call"]) == (True, True)
    assert [p["name"] for p in room["waiting"]] == ["Bob"]
    assert ada.id not in str(room)
    theirs = await Desk(one, deployment, colleague).looks()
    assert theirs["provider"] == "Dr. Weber"
    assert [p["name"] for r in theirs["rooms"] for p in r["waiting"]] == ["Eve"]


async def test_looking_stores_nothing_and_what_has_ended_is_not_seen_any_more(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: Any
) -> None:
    one, other = await start("a"), await start("b")
    host, desk = page(HOST), Desk(other, deployment)
    await host.open(one)
    with redis_server.admin() as redis:
        before = set(redis.keys("*"))
        assert len(await desk.rooms()) == 1
        assert set(redis.keys("*")) == before
    await host.do("end")
    assert await desk.rooms() == {}


async def test_a_node_that_says_nothing_keeps_nobody_waiting_for_long(
    start: StartNode, page: NewPage, deployment: Deployment, redis_server: Any
) -> None:
    node = await start("a")
    ada, desk = page(CLIENT), Desk(node, deployment)
    await ada.open(node)
    with redis_server.admin() as redis, redis.pubsub() as silent:
        silent.subscribe(Keyspace().everybody_channel)
        assert silent.get_message(timeout=5)["type"] == "subscribe"
        assert list(await desk.rooms()) == [ada.consultation.room]
        # What it says without having been asked, or that is none of our messages, hurts nobody.
        for payload in (b"", b"x", b"\x93\x01\x90", b"\x92\x01\x92\xa1x\x02"):
            for kind in (QUESTION, ANSWER):
                redis.publish(Keyspace().everybody_channel, message(kind, "", payload))
        assert list(await desk.rooms()) == [ada.consultation.room]


async def test_only_so_many_may_look_at_once(
    node: Node, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.room_search.SEARCHES_MAX", 0)
    answer = await ask(node, "/api/v1/reception", Desk(node, deployment).token)
    assert refusal(answer) == (429, "slow_down")


async def test_no_hello_takes_its_token(
    node: Node, consultation: Consultation, page: NewPage, deployment: Deployment
) -> None:
    host = page(HOST)
    await host.open(node)
    for fields in ({}, {"reopen": True}, {"groups": False}):
        desk = page(CLIENT, token=reception_token(deployment))
        error, code = await desk.refused(node, **fields)
        assert (error["code"], code) == ("token_wrong_role", 4403)
    # Whatever else it says, it gets nothing but the same close.
    for kind in (
        {"type": "admit", "id": 1, "participant": host.id},
        {"type": "signal", "id": 1, "to": host.id, "data": "x"},
        {"type": "group_offer", "id": 1, "generation": 0, "sdp": "v=0", "tracks": []},
        {"type": "invite_guest", "id": 1},
        {"type": "tell", "id": 1, "text": "x"},
        {"type": "show_devices", "id": 1, "camera": "works", "microphone": "works"},
        {"type": "connected", "id": 1},
    ):
        messages.parse(str(kind).replace("'", '"').encode())
        desk = page(CLIENT, token=reception_token(deployment))
        await desk.connect(node)
        await desk.send(kind)
        assert await desk.closed() == 4401
        assert [m["code"] for m in desk.messages] == ["hello_expected"]
    assert [p["id"] for p in (await host.view())["participants"]] == []


async def test_nothing_of_the_api_takes_its_token_but_what_is_for_it(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host = page(HOST)
    await host.open(node)
    token = reception_token(deployment)
    codes: dict[str, set[str]] = {}
    for route in node.server._runner.app.router.routes():
        target = route.resource.canonical if route.resource else ""
        if not target.startswith("/api/v1/") or target in OPEN_TO_IT:
            continue
        for headers in ({}, {"Konsil_Participant": host.secret}):
            body = None if route.method == "GET" else {}
            answer = await ask(node, target, token, method=route.method, body=body, **headers)
            if answer.status != 200:
                codes.setdefault(answer.json["code"], set()).add(target)
            else:
                codes.setdefault("200", set()).add(target)
    # These ask nobody who they are, or look for the cookie alone.
    assert codes.pop("200") == {
        "/api/v1/openapi.json", "/api/v1/receipt-keys", "/api/v1/desk", "/api/v1/sign-out",
    }  # fmt: skip
    assert codes.pop("bad_request") == {"/api/v1/codes/redeem", "/api/v1/receipts/verify"}
    assert codes.pop("not_signed_in") == {"/api/v1/sign-in-links"}
    # Numbers of a call are sent by pages of calls, without any token, where that is switched on.
    assert codes.pop("not_found") == {"/api/v1/call-quality"}
    assert set(codes) == {"token_wrong_role"}
    assert {"/api/v1/ice-servers", "/api/v1/queue", "/api/v1/onward"} <= codes["token_wrong_role"]


async def test_its_words_reach_one_or_all_who_wait_and_nobody_inside(
    start: StartNode, page: NewPage, deployment: Deployment
) -> None:
    one, other = await start("a"), await start("b")
    host, inside, near, far = page(HOST), page(CLIENT), page(CLIENT), page(CLIENT)
    await host.open(one)
    for client, node in ((inside, one), (near, one), (far, other)):
        await client.open(node)
    await host.view(lambda view: len(view["participants"]) == 3)
    await host.do("admit", participant=inside.id)
    desk = Desk(one, deployment)
    assert (await desk.tells(far, "Can I help you?")).json == {"reached": 1}
    told = await far.next(lambda m: m["type"] == "told")
    assert (told["text"], told["by"]) == ("Can I help you?", "reception")
    assert (await desk.tells(near, "Five minutes.", everybody=True)).json == {"reached": 2}
    await near.next(lambda m: m["type"] == "told" and m["text"] == "Five minutes.")
    await far.next(lambda m: m["type"] == "told" and m["text"] == "Five minutes.")
    assert refusal(await desk.tells(inside, "Hello")) == (404, "not_found")
    assert not [m for m in (*inside.messages, *host.messages) if m["type"] == "told"]
    assert len([m for m in near.messages if m["type"] == "told"]) == 1


async def test_it_is_slowed_down(node: Node, page: NewPage, deployment: Deployment) -> None:
    client, desk = page(CLIENT), Desk(node, deployment)
    await client.open(node)
    answers = [(await desk.tells(client, "x")).status for _ in range(RATE[1] + 3)]
    assert answers[: RATE[1]] == [200] * RATE[1]
    assert 429 in answers[RATE[1] :]
    assert (await Desk(node, deployment).tells(client, "x")).status == 200, "others go on"
    assert await desk.rooms(), "and so does looking"


async def test_looking_has_a_rate_that_several_pages_keep_to(
    start: StartNode, page: NewPage, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Still()
    monkeypatch.setattr(deployment.clock, "monotonic", still)
    node = await start("a")
    client, desk = page(CLIENT), Desk(node, deployment)
    await client.open(node)
    for _ in range(12):
        await asyncio.gather(*(desk.looks() for _ in range(12)))
        still.now += 3
    still.now += LOOK_RATE[1]

    async def looks() -> Answer:
        return await ask(node, "/api/v1/reception", desk.token)

    answers = await asyncio.gather(*(looks() for _ in range(LOOK_RATE[1] + 20)))
    refused = [answer for answer in answers if answer.status != 200]
    assert {refusal(answer) for answer in refused} == {(429, "slow_down")}
    assert len(refused) == 20
    assert {answer.json["retry_after"] for answer in refused} == {1 / LOOK_RATE[0]}
    assert await Desk(node, deployment).rooms(), "others go on"
    assert (await desk.tells(client, "x")).status == 200, "and so does doing"


async def test_who_is_passed_on_decides_and_waits_in_the_other_room(
    start: StartNode, page: NewPage, deployment: Deployment, colleague: Provider
) -> None:
    one, other = await start("a"), await start("b")
    there = consultation_of(deployment, colleague)
    host, ada = page(HOST), page(CLIENT, name="Ada")
    weber = page(HOST, consultation=there)
    await host.open(one)
    await ada.open(other)
    await weber.open(one)
    desk, theirs = Desk(one, deployment), Desk(one, deployment, colleague)

    # Of a colleague's room nothing is said without the colleague's own reception.
    assert refusal(await desk.passes(ada, there.room)) == (410, "room_ended")
    assert refusal(await goes_on(one, ada)) == (403, "not_allowed")
    assert (await desk.passes(ada, there.room, theirs.token)).json == {"onward": "Dr. Weber"}
    await ada.view(lambda view: view.get("onward") == "Dr. Weber")
    seen = await host.view(lambda v: any(p.get("onward") for p in v["participants"]))
    assert [(p["id"], p["onward"]) for p in seen["participants"]] == [(ada.id, "Dr. Weber")]
    (room,) = (await desk.rooms()).values()
    assert room["waiting"][0]["onward"] == {"room": there.room, "to": "Dr. Weber"}

    # Only that person, with the own secret, gets the token; and nobody has moved by then.
    assert refusal(await goes_on(one, ada, "s" * 22)) == (403, "not_allowed")
    assert refusal(await goes_on(one, page(CLIENT))) == (403, "not_allowed")
    made = await goes_on(one, ada)
    assert made.status == 200
    assert (await ada.view())["you"] == "waiting"

    moved = page(CLIENT, consultation=there, name="Ada", token=made.json["token"])
    welcome = await moved.open(other)
    assert (welcome["role"], welcome["provider"]) == ("client", "Dr. Weber")
    assert welcome["room"]["you"] == "waiting"
    assert "participants" not in made.json
    await ada.do("leave")
    await weber.view(lambda view: [p["name"] for p in view["participants"]] == ["Ada"])
    assert refusal(await goes_on(one, ada)) == (403, "not_allowed")


async def test_the_time_that_one_has_waited_counts_in_another_room_of_the_same_provider(
    start: StartNode, page: NewPage, deployment: Deployment, colleague: Provider
) -> None:
    one, other = await start("a"), await start("b")
    there, theirs = deployment.consultation(), consultation_of(deployment, colleague)
    ada, bob = page(CLIENT, name="Ada"), page(CLIENT, consultation=there, name="Bob")
    cleo = page(CLIENT, consultation=theirs, name="Cleo")
    first = (await ada.open(one))["server_time"]
    for late in (bob, cleo):
        deployment.clock.advance(60)
        await late.open(other)
    desk, colleagues = Desk(one, deployment), Desk(one, deployment, colleague)

    async def token(secret: str | None, to: Consultation) -> str:
        brought = colleagues.token if to is theirs else None
        assert (await desk.passes(ada, to.room, brought)).status == 200
        made = await goes_on(one, ada, there=secret)
        assert made.status == 200
        given: str = made.json["token"]
        return given

    # A colleague's patients have nothing to do with it; nor does anybody whom the token is not of.
    secret = new_secret()
    for to, said, used in (
        (theirs, secret, secret),
        (there, None, secret),
        (there, secret, new_secret()),
    ):
        late = page(CLIENT, consultation=to, token=await token(said, to), secret=used)
        assert (await late.open(other))["room"]["place"] == 2
        await late.do("leave")

    secret = new_secret()
    moved = page(CLIENT, consultation=there, token=await token(secret, there), secret=secret)
    assert (await moved.open(other))["room"]["place"] == 1
    await bob.view(lambda view: view["place"] == 2)
    (room,) = [r for r in (await desk.looks())["rooms"] if r["room"] == there.room]
    assert [p["participant"] for p in room["waiting"]] == [moved.id, bob.id]
    assert abs(room["waiting"][0]["since"] - first) < 5000

    assert (await goes_on(one, ada, there="no secret")).json["field"] == "secret"


async def test_passing_on_is_taken_back_by_the_reception_or_by_an_admission(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    target, host, ada = page(HOST, consultation=deployment.consultation()), page(HOST), page(CLIENT)
    for one in (target, host, ada):
        await one.open(node)
    desk, to = Desk(node, deployment), target.consultation.room
    assert (await desk.passes(ada, to)).json == {"onward": "Dr. Okonkwo"}
    assert (await desk.passes(ada, None)).json == {"onward": None}
    await ada.view(lambda view: view["version"] > 2 and "onward" not in view)
    assert refusal(await goes_on(node, ada)) == (403, "not_allowed")
    await desk.passes(ada, to)
    await host.do("admit", participant=ada.id)
    view = await ada.view(lambda view: view["you"] == "admitted")
    assert "onward" not in view
    assert refusal(await goes_on(node, ada)) == (403, "not_allowed")
    assert refusal(await desk.passes(ada, to)) == (404, "not_found")


async def test_nobody_is_sent_where_there_is_no_place(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    target, ada = page(HOST, consultation=deployment.consultation()), page(CLIENT)
    await target.open(node)
    await ada.open(node)
    desk, to = Desk(node, deployment), target.consultation.room
    assert refusal(await desk.passes(ada, ada.consultation.room)) == (400, "bad_request")
    assert refusal(await desk.passes(ada, "n" * 22)) == (410, "room_ended")
    assert refusal(await desk.passes(ada, to, "no.token.here")) == (401, "token_invalid")
    host_token = target.token
    assert refusal(await desk.passes(ada, to, host_token)) == (403, "token_wrong_role")
    assert (await desk.passes(ada, to)).status == 200
    await target.do("lock", locked=True)
    assert refusal(await desk.passes(ada, to)) == (423, "room_locked")
    assert refusal(await goes_on(node, ada)) == (423, "room_locked")
    await target.do("end")
    assert refusal(await goes_on(node, ada)) == (410, "room_ended")


async def test_how_devices_do_is_seen_when_it_is_shown(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    host, ada = page(HOST), page(CLIENT)
    await host.open(node)
    await ada.open(node)
    desk = Desk(node, deployment)

    async def shown() -> Any:
        (room,) = (await desk.rooms()).values()
        return [p["devices"] for p in room["waiting"]]

    assert await shown() == [None]
    await ada.do("show_devices", camera="refused", microphone="works")
    assert await shown() == [{"camera": "refused", "microphone": "works"}]
    assert "refused" not in str(host.messages), "it is for the reception"
    await host.do("admit", participant=ada.id)
    answer = await ada.command("show_devices", camera="works", microphone="works")
    assert answer["code"] == "not_allowed"
    answer = await host.command("show_devices", camera="works", microphone="works")
    assert answer["code"] == "not_allowed"


async def test_saying_how_devices_do_has_a_rate_of_its_own_and_the_newest_is_seen(
    node: Node, page: NewPage, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Still()
    monkeypatch.setattr(deployment.clock, "monotonic", clock)
    ada, ben = page(CLIENT), page(CLIENT)
    await ada.open(node)
    await ben.open(node)
    rate, burst = SHOW_RATE
    words = ("works", "refused")
    for number in range(burst):
        await ada.do("show_devices", camera=words[number % 2], microphone="works")
    version = await changes(node, ada)
    for number in range(20):
        answer = await ada.command("show_devices", camera=words[number % 2], microphone="missing")
        assert (answer["code"], answer["retry_after"]) == ("slow_down", 1 / rate)
    assert await changes(node, ada) == version, "which costs nobody anything"
    await ben.do("show_devices", camera="works", microphone="works")
    clock.now += answer["retry_after"]
    await ada.do("show_devices", camera="missing", microphone="missing")
    (room,) = (await Desk(node, deployment).rooms()).values()
    shown = {p["participant"]: p["devices"] for p in room["waiting"]}
    assert shown[ada.id] == {"camera": "missing", "microphone": "missing"}


async def changes(node: Node, page: Page) -> int:
    """How often the session has changed."""
    session = await node.store.load(page.consultation.room)
    assert session is not None
    return session.version


async def test_a_link_for_the_desk_is_made_by_the_signed_in_and_voided_by_signing_out_everywhere(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    browser = Browser(node)
    body = b'{"hours": 24}'
    assert (await browser.post("/api/v1/reception-links", body)).json["code"] == "not_signed_in"
    await browser.signs_in(deployment.provider_token())
    made = await browser.post("/api/v1/reception-links", body)
    assert made.status == 201
    left = made.json["closes_at"] / 1000 - deployment.clock.wall()
    assert 24 * 3600 - 60 < left <= 24 * 3600
    assert (await browser.post("/api/v1/reception-links", b'{"hours": 0}')).json["field"] == "hours"
    token = made.json["token"]
    link = await ask(node, "/api/v1/link", token)
    assert (link.json["role"], link.json["room"]) == ("reception", "")
    assert (await ask(node, "/api/v1/reception", token)).status == 200

    deployment.clock.advance(2)
    await browser.post("/api/v1/sign-out", b'{"everywhere": true}')
    for target in ("/api/v1/reception", "/api/v1/link"):
        assert refusal(await ask(node, target, token)) == (401, "token_revoked")
    other = deployment.consultation()
    host, ada = page(HOST), page(CLIENT)
    await host.open(node)
    await ada.open(node)
    await page(HOST, consultation=other).open(node)
    deployment.clock.advance(2)
    fresh = Desk(node, deployment)
    assert refusal(await fresh.passes(ada, other.room, token)) == (401, "token_revoked")
    deployment.clock.advance(13 * 3600)
    assert refusal(await ask(node, "/api/v1/reception", fresh.token)) == (401, "token_closed")
    deployment.providers.revoke("Dr. Okonkwo")
    late = Desk(node, deployment)
    assert refusal(await ask(node, "/api/v1/reception", late.token)) == (401, "token_revoked")
