"""Who sees whom."""

from waiting_room.events import (
    Admit,
    Decline,
    Disconnect,
    EnterCall,
    Event,
    Join,
    Leave,
    Lock,
)
from waiting_room.participant import (
    Role,
    Status,
)
from waiting_room.session import (
    Session,
    apply,
)
from waiting_room.views import RoomView, view_for

NOW = 1_800_000_000_000


def after(*events: Event) -> Session:
    session = Session.new("r" * 22, "provider-id1", NOW, NOW)
    for event in events:
        result = apply(session, event, NOW)
        assert isinstance(result, Session)
        session = result
    return session


def join(who: str, role: Role = Role.CLIENT) -> Join:
    return Join(who, role, who.title(), "page-1", "n1")


SESSION = after(
    join("host", Role.HOST),
    *(join(who) for who in ("anna", "bert", "cora", "dora", "emil", "fred")),
    Admit("host", "anna"),
    Admit("host", "bert"),
    EnterCall("bert"),
    Decline("host", "cora"),
    Leave("dora"),
    Disconnect("emil", "page-1", "n1"),
    Lock("host"),
)


def view(session: Session, who: str) -> RoomView:
    seen = view_for(session, who)
    assert seen is not None
    return seen


def ids(session: Session, who: str) -> list[str]:
    return [p.id for p in view(session, who).participants]


def test_a_host_sees_everybody_else_in_the_order_of_the_line() -> None:
    assert ids(SESSION, "host") == ["anna", "bert", "cora", "dora", "emil", "fred"]
    shown = {p.id: p for p in view(SESSION, "host").participants}
    assert shown["cora"].status is Status.DECLINED
    assert (shown["emil"].connected, shown["fred"].connected) == (False, True)
    assert (shown["anna"].name, shown["anna"].instance, shown["anna"].since) == (
        "Anna",
        "page-1",
        NOW,
    )


def test_who_is_inside_sees_who_is_inside() -> None:
    assert ids(SESSION, "anna") == ["host", "bert"]
    assert ids(SESSION, "bert") == ["host", "anna"]


def test_who_waits_or_is_gone_sees_nobody() -> None:
    for who in ("cora", "dora", "emil", "fred"):
        assert ids(SESSION, who) == []


def test_the_place_in_line_counts_those_who_wait() -> None:
    assert [view(SESSION, who).place for who in ("anna", "emil", "fred", "dora", "host")] == [
        None,
        1,
        2,
        None,
        None,
    ]


def test_the_room_itself() -> None:
    seen = view(SESSION, "emil")
    assert (seen.version, seen.you, seen.host_present, seen.locked) == (
        SESSION.version,
        Status.WAITING,
        True,
        True,
    )
    alone = apply(SESSION, Disconnect("host", "page-1", "n1"), NOW)
    assert isinstance(alone, Session)
    assert not view(alone, "emil").host_present


def test_a_stranger_has_no_view() -> None:
    assert view_for(SESSION, "nobody") is None
