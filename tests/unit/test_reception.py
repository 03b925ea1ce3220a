"""The reception is no participant: of all that can happen to a session it may do one thing."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from signaling.reception_api import room_view
from waiting_room import events, links
from waiting_room.errors import Refused, TokenError
from waiting_room.events import Admit, BackToWaiting, EnterCall, Join, Leave, PassOn, ShowDevices
from waiting_room.invitations import RECEPTION_HOURS_MAX, reception_claims
from waiting_room.keys import KeyRing
from waiting_room.participant import DeviceWord, Onward, Role, ShownDevices, Status
from waiting_room.session import AWAY_MAX_MS, REMARKS, Refusal, Session, apply
from waiting_room.tokens import ROOMLESS, Claims, TokenType, mint, verify
from waiting_room.views import view_for

NOW = 1_800_000_000_000
DESK = "d" * 22  # as a reception might call itself
WEBER = Onward("w" * 22, "Dr. Weber")
SHOWN = ShownDevices(DeviceWord.REFUSED, DeviceWord.WORKS)


def join(who: str, role: Role = Role.CLIENT, instance: str = "page-1") -> Join:
    return Join(who, role, who.title(), instance, "n1")


def after(session: Session, *happened: events.Event, now: int = NOW) -> Session:
    for event in happened:
        result = apply(session, event, now)
        assert isinstance(result, Session), (event, result)
        session = result
    return session


WAITING = after(
    Session.new("r" * 22, "provider-id1", NOW, NOW), join("host", Role.HOST), join("anna")
)


def by_the_desk(kind: type[Any], target: str) -> Any:
    """An event as a reception would have to send it, whatever its fields."""
    values: dict[str, Any] = {
        "by": DESK, "room": WAITING.room, "role": Role.CLIENT, "name": "Desk", "instance": "page-1",
        "node": "n1", "groups": True, "generation": 0, "onward": WEBER, "devices": SHOWN,
    }  # fmt: skip
    named = {field.name for field in dataclasses.fields(kind)}
    # Where an event says who does it, the reception is that one; else it is about itself.
    values["participant"] = target if "by" in named or kind is PassOn else DESK
    return kind(**{name: values[name] for name in named})


# What is done by the house itself, and not by anybody: time, nodes and forwarders.
OF_THE_HOUSE = {
    events.Sweep, events.NodeGone, events.PlaceMedia, events.MoveMedia, events.Disconnect,
}  # fmt: skip


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "way", [(), (Admit("host", "anna"),), (Admit("host", "anna"), EnterCall("anna"))]
)
def test_every_event_of_a_reception_is_refused_but_one(
    kind: type[Any], way: tuple[events.Event, ...]
) -> None:
    session = after(WAITING, *way)
    if kind in OF_THE_HOUSE:
        return
    if kind is Join:
        # There is no such role, so there is no such hello; see the test with real sockets.
        with pytest.raises(ValueError, match="reception"):
            Role(TokenType.RECEPTION)
        return
    result = apply(session, by_the_desk(kind, "anna"), NOW + 1)
    if kind is PassOn and not way:
        assert isinstance(result, Session)
        assert result.inside == session.inside
        assert result.find(DESK) is None
    else:
        assert isinstance(result, Refusal), result


def test_it_sees_of_a_call_only_that_there_is_one() -> None:
    talking = after(WAITING, join("bert"), Admit("host", "anna"), EnterCall("anna"))
    view = room_view(talking)
    assert view["in_call"] is True
    assert [p["participant"] for p in view["waiting"]] == ["bert"]
    assert "anna" not in str(view).lower()
    assert room_view(WAITING)["in_call"] is False, "a host alone is in no call"
    assert view_for(talking, DESK) is None


@pytest.mark.parametrize("event", [PassOn("anna", WEBER), ShowDevices("anna", SHOWN)])
def test_what_is_said_of_one_who_waits_is_void_with_the_next_status(event: Any) -> None:
    session = after(WAITING, event)
    anna = session.find("anna")
    assert anna is not None
    assert (anna.onward or anna.devices) is not None
    assert (anna.status, anna.since, anna.place) == (Status.WAITING, NOW, WAITING.version)
    assert apply(session, event, NOW + 1) is session, "said twice it changes nothing"
    for moved in (
        after(session, Admit("host", "anna")),
        after(session, Leave("anna"), join("anna")),
        after(session, Admit("host", "anna"), BackToWaiting("host", "anna")),
        after(
            after(session, events.Disconnect("anna", "page-1", "n1")),
            events.Sweep(),
            now=NOW + AWAY_MAX_MS + 1,
        ),
    ):
        gone = moved.find("anna")
        assert gone is not None
        assert (gone.onward, gone.devices) == (None, None)
    for status in set(Status) - {REMARKS[type(event)]}:
        ways: dict[Status, tuple[events.Change, ...]] = {
            Status.ADMITTED: (Admit("host", "anna"),),
            Status.IN_CALL: (Admit("host", "anna"), EnterCall("anna")),
            Status.LEFT: (Leave("anna"),),
            Status.DECLINED: (events.Decline("host", "anna"),),
            Status.REMOVED: (events.Remove("host", "anna"),),
        }
        refused = apply(after(WAITING, *ways[status]), event, NOW)
        assert isinstance(refused, Refusal)
        assert refused.code == "not_allowed"


def test_a_reload_keeps_where_one_is_asked_to_go_but_not_how_the_devices_were() -> None:
    session = after(WAITING, PassOn("anna", WEBER), ShowDevices("anna", SHOWN))
    same = after(session, events.Disconnect("anna", "page-1", "n1"), join("anna")).find("anna")
    assert same is not None
    assert (same.onward, same.devices) == (WEBER, SHOWN)
    other = after(session, join("anna", instance="page-2")).find("anna")
    assert other is not None
    assert (other.onward, other.devices) == (WEBER, None)


def test_the_host_and_the_one_who_is_asked_see_it_and_nobody_else() -> None:
    session = after(WAITING, join("bert"), PassOn("anna", WEBER))
    host, anna, bert = (view_for(session, who) for who in ("host", "anna", "bert"))
    assert host is not None
    assert anna is not None
    assert bert is not None
    assert [p.onward for p in host.participants if p.id == "anna"] == ["Dr. Weber"]
    assert anna.onward == "Dr. Weber"
    assert "Weber" not in str(bert)
    taken_back = view_for(after(session, PassOn("anna", None)), "anna")
    assert taken_back is not None
    assert taken_back.onward != "Dr. Weber"


def claims(**change: Any) -> Claims:
    made = reception_claims("provider-id1", 0, audience="http://x", jti="j", now=NOW, hours=12)
    return Claims(**{**{f: getattr(made, f) for f in made.__struct_fields__}, **change})


def test_its_token_is_for_no_room_and_for_no_longer_than_any_other(tmp_path: Path) -> None:
    now = time.time()
    ring = KeyRing.open(tmp_path, now)
    good = reception_claims("p", 0, audience="http://x", jti="j", now=now, hours=12)
    token = mint(good, ring.current)
    assert verify(token, ring, now, audience="http://x", epochs=lambda _: 0) == good
    rooms = set(TokenType) - ROOMLESS
    with pytest.raises(TokenError) as refused:
        verify(token, ring, now, audience="http://x", epochs=lambda _: 0, allowed=rooms)
    assert refused.value.code == "token_wrong_role"
    with pytest.raises(ValueError, match="no room"):
        mint(claims(room="r" * 22), ring.current)
    with pytest.raises(TokenError) as revoked:
        verify(token, ring, now, audience="http://x", epochs=lambda _: 1)
    assert revoked.value.code == "token_revoked"
    for hours in (0, RECEPTION_HOURS_MAX + 1):
        with pytest.raises(Refused) as outside:
            reception_claims("p", 0, audience="http://x", jti="j", now=now, hours=hours)
        assert outside.value.extra == {"field": "hours"}


def test_one_link_carries_the_tokens_of_several_providers() -> None:
    link = links.reception("https://praxis.example", ["a.b.c", "d.e.f"])
    assert link == "https://praxis.example/reception#a.b.c+d.e.f"
    for none in ([], ["a.b"], ["a.b.c", "d"]):
        with pytest.raises(ValueError, match=r"link|unpack"):
            links.reception("https://praxis.example", none)
