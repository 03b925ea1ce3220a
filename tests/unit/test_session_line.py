"""The line of those who wait: whoever is passed on to another room of the same provider keeps the
time for which they have waited."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from signaling.arrival import Arrival, participant_id
from waiting_room.events import Admit, BackToWaiting, Change, Decline, Join, Leave
from waiting_room.invitations import guest_claims
from waiting_room.keys import KeyRing
from waiting_room.merge import merge
from waiting_room.participant import Role, Status
from waiting_room.session import Refusal, Session, apply
from waiting_room.tokens import Came, Claims, TokenType, mint, verify
from waiting_room.views import view_for

NOW = 1_800_000_000_000
EMPTY = Session.new("r" * 22, "provider-id1", NOW, NOW)


def join(who: str, *, came: int | None = None, role: Role = Role.CLIENT) -> Join:
    return Join(who, role, who.title(), "page-1", "n1", came=None if came is None else NOW + came)


def after(session: Session, *happened: tuple[int, Change]) -> Session:
    for at, event in happened:
        result = apply(session, event, NOW + at)
        assert isinstance(result, Session), (event, result)
        session = result
    return session


def line(session: Session) -> list[str]:
    """Who waits, as everybody there is told their place."""
    waiting = [p.id for p in session.participants if p.status is Status.WAITING]
    views = [view_for(session, who) for who in waiting]
    assert [view.place for view in views if view] == list(range(1, len(waiting) + 1))
    return waiting


ROOM = after(
    EMPTY, (0, join("host", role=Role.HOST)), (10, join("anna")), (20, join("bert")),
    (30, join("cora")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("came", "order"),
    [
        (-5, "dora anna bert cora"),
        (15, "anna dora bert cora"),
        (20, "anna bert dora cora"),
        (35, "anna bert cora dora"),
    ],
)
def test_who_came_first_elsewhere_goes_before_who_came_later_here(came: int, order: str) -> None:
    session = after(ROOM, (40, join("dora", came=came)))
    assert line(session) == order.split()
    dora = session.find("dora")
    assert dora is not None
    assert (dora.since, dora.status) == (NOW + came, Status.WAITING)
    # The host sees the same, with the time that each has really waited.
    view = view_for(session, "host")
    assert view is not None
    assert [p.id for p in view.participants] == order.split()


def test_several_who_are_passed_on_stand_by_when_they_came() -> None:
    session = after(
        ROOM, (40, join("dora", came=15)), (50, join("emil", came=12)), (60, join("fritz", came=17))
    )
    assert line(session) == ["anna", "emil", "dora", "fritz", "bert", "cora"]
    # Whoever is called in or goes takes nobody's place along.
    session = after(session, (70, Admit("host", "bert")), (70, Leave("dora")))
    session = after(session, (80, join("gina", came=14)))
    assert line(session) == ["anna", "emil", "gina", "fritz", "cora"]


def test_a_place_is_kept_once() -> None:
    passed = join("dora", came=-5)
    session = after(ROOM, (40, passed))
    assert line(after(session, (50, passed)))[0] == "dora", "a reload changes nothing"
    assert line(after(session, (50, Leave("dora")), (60, passed)))[-1] == "dora"
    moved = after(session, (50, Admit("host", "dora")), (60, BackToWaiting("host", "dora")))
    assert line(moved)[-1] == "dora"
    back = moved.find("dora")
    assert back is not None
    assert (back.since, back.came) == (NOW + 60, None)
    assert line(after(moved, (70, join("emil"))))[-2:] == ["dora", "emil"]
    assert isinstance(
        apply(after(session, (50, Decline("host", "dora"))), passed, NOW + 60), Refusal
    )


def test_nobody_has_come_later_than_now_and_a_host_stands_in_no_line() -> None:
    session = after(ROOM, (40, join("dora", came=10_000)))
    dora = session.find("dora")
    assert dora is not None
    assert dora.since == NOW + 40
    hosts = after(ROOM, (40, join("second", came=-5, role=Role.HOST)))
    assert [p.id for p in hosts.participants][-1] == "second"


def test_two_nodes_that_know_of_one_each_agree() -> None:
    one = after(ROOM, (40, join("dora", came=15)))
    other = after(ROOM, (40, join("emil", came=12)))
    for merged in (merge(one, other), merge(other, one)):
        assert line(merged) == ["anna", "emil", "dora", "bert", "cora"]
        assert merge(merged, one) is merged
        assert merge(merged, other) is merged


def claims(**change: Any) -> Claims:
    values: dict[str, Any] = {
        "audience": "http://x", "jti": "j", "now": time.time(), "closes_at": int(time.time()) + 60,
        "typ": TokenType.CLIENT, **change,
    }  # fmt: skip
    return guest_claims("provider-id1", 0, "r" * 22, **values)


def test_what_a_token_says_of_one_holds_for_no_other(tmp_path: Path) -> None:
    secret = "s" * 22
    ring = KeyRing.open(tmp_path, time.time())
    said = claims(came=Came(participant_id("r" * 22, secret), NOW))
    token = mint(said, ring.current)
    found = verify(token, ring, time.time(), audience="http://x", epochs=lambda _: 0)
    assert found == said
    assert arrival(found, secret).came == NOW
    assert arrival(found, "t" * 22).came is None
    assert arrival(claims(), secret).came is None
    with pytest.raises(ValueError, match="passed on"):
        mint(claims(came=said.came, typ=TokenType.GUEST), ring.current)


def test_a_token_of_one_who_was_not_passed_on_is_spelled_as_ever() -> None:
    assert b"came" not in msgspec.json.encode(claims())


def arrival(found: Claims, secret: str) -> Arrival:
    who = participant_id(found.room, secret)
    return Arrival(
        socket=cast("Any", None), claims=found, participant=who, role=Role.CLIENT, name="Dora",
        instance="page-1", last_seq=0, reopen=False, groups=True,
    )  # fmt: skip
