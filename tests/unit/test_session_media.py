"""Which way the media goes: when a room becomes a group, when it is one no longer, and on what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.interfaces import Bounds
from waiting_room.codec import decode, encode
from waiting_room.events import (
    Admit,
    BackToWaiting,
    Disconnect,
    Event,
    Join,
    Leave,
    MoveMedia,
    PeersApart,
    PlaceMedia,
    Remove,
    Sweep,
)
from waiting_room.media import BACK_AFTER_MS, Media, MediaMode, Topology
from waiting_room.merge import merge
from waiting_room.participant import (
    Role,
    Status,
)
from waiting_room.session import (
    GROUP_MAX,
    HOST_SEATS,
    Refusal,
    Session,
    apply,
)
from waiting_room.views import view_for

NOW = 1_800_000_000_000
LATER = NOW + BACK_AFTER_MS


def fresh(topology: Topology = Topology.AUTO) -> Session:
    return Session.new("r" * 22, "provider-id1", NOW, NOW, topology)


def after(session: Session, *events: Event, at: int = NOW) -> Session:
    for event in events:
        result = apply(session, event, at)
        assert isinstance(result, Session), result
        session = result
    return session


def join(who: str, role: Role = Role.CLIENT, *, groups: bool = True) -> Join:
    return Join(who, role, who.title(), "page-1", "n1", groups)


def refused(session: Session, event: Event) -> str:
    result = apply(session, event, NOW)
    assert isinstance(result, Refusal)
    return result.code


HOST = join("host", Role.HOST)
CROWD = tuple(join(who) for who in ("anna", "bert", "cora"))
PAIR = after(fresh(), HOST, *CROWD, Admit("host", "anna"))
GROUP = after(PAIR, Admit("host", "bert"))
PLACED = after(GROUP, PlaceMedia(1, "sfu-1"))


def way(session: Session) -> tuple[str, int, str | None]:
    return session.media.mode.value, session.media.generation, session.media.node


def test_two_talk_peer_to_peer_and_three_do_not() -> None:
    assert way(PAIR) == ("p2p", 0, None)
    assert way(GROUP) == ("sfu", 1, None)
    assert way(after(GROUP, Admit("host", "cora"))) == ("sfu", 1, None)


def test_nobody_more_is_admitted_than_a_group_holds() -> None:
    crowd = [join(f"c{number}") for number in range(GROUP_MAX + 1)]
    session = after(fresh(), HOST, *crowd)
    for number in range(GROUP_MAX - 1):
        session = after(session, Admit("host", f"c{number}"))
    assert len(session.inside) == GROUP_MAX
    late = Admit("host", f"c{GROUP_MAX}")
    assert refused(session, late) == "room_full"
    assert after(session, Admit("host", "c0")) is session, "who is inside stays"
    assert late.participant in after(session, Leave("c0"), late).inside
    for number in range(HOST_SEATS):
        session = after(session, join(f"h{number}", Role.HOST))
    assert len(session.inside) == GROUP_MAX + HOST_SEATS, "no crowd locks a host out"


def test_without_a_forwarder_nothing_is_bounded_by_what_it_holds() -> None:
    crowd = [join(f"c{number}") for number in range(GROUP_MAX + 1)]
    session = after(
        fresh(Topology.P2P), HOST, *crowd, *(Admit("host", c.participant) for c in crowd)
    )
    assert len(session.inside) == GROUP_MAX + 2


def test_a_forwarder_holds_everybody_who_is_let_in() -> None:
    assert Bounds().participants == GROUP_MAX + HOST_SEATS


def test_who_waits_makes_no_group_and_sees_none() -> None:
    waiting = after(fresh(), HOST, *CROWD)
    assert way(waiting) == ("p2p", 0, None)
    seen = view_for(PLACED, "cora")
    assert seen is not None
    assert (seen.media.mode, seen.media.generation) == (MediaMode.P2P, 0)
    seen = view_for(PLACED, "anna")
    assert seen is not None
    assert (seen.media.mode, seen.media.generation) == (MediaMode.SFU, 1)


@pytest.mark.parametrize(
    "event", [Leave("bert"), Remove("host", "bert"), BackToWaiting("host", "bert")]
)
def test_back_to_peer_to_peer_when_two_have_remained_for_five_seconds(event: Event) -> None:
    left = after(PLACED, event)
    assert way(left) == ("sfu", 1, "sfu-1")
    assert apply(left, Sweep(), LATER - 1) is left
    assert way(after(left, Sweep(), at=LATER)) == ("p2p", 2, None)


def test_who_comes_back_in_time_moves_nobody() -> None:
    left = after(PLACED, BackToWaiting("host", "bert"))
    again = after(left, Admit("host", "bert"), at=LATER - 1)
    assert way(again) == ("sfu", 1, "sfu-1")
    assert again.media.few_since is None
    gone = after(again, Leave("bert"), at=LATER)
    assert apply(gone, Sweep(), LATER + BACK_AFTER_MS - 1) is gone


def test_who_is_away_for_a_moment_is_still_inside() -> None:
    away = after(PLACED, Disconnect("bert", "page-1", "n1"))
    assert way(after(away, Sweep(), at=LATER)) == ("sfu", 1, "sfu-1")


def test_a_forced_topology_stays() -> None:
    mesh = after(fresh(Topology.P2P), HOST, *CROWD, Admit("host", "anna"), Admit("host", "bert"))
    assert way(mesh) == ("p2p", 0, None)
    assert apply(mesh, PeersApart("anna", "bert"), NOW) is mesh
    forced = after(fresh(Topology.SFU), HOST)
    assert way(forced) == ("sfu", 1, None)
    assert way(after(forced, Sweep(), at=LATER)) == ("sfu", 1, None)


# --- two who cannot reach one another ---


def test_two_who_are_apart_are_brought_together_by_a_forwarder() -> None:
    apart = after(PAIR, PeersApart("host", "anna"))
    assert way(apart) == ("sfu", 1, None)
    assert way(after(apart, Sweep(), at=LATER)) == ("sfu", 1, None)
    # Bert comes and goes: the other two are where they were.
    assert way(
        after(apart, Admit("host", "bert"), Leave("bert"), Sweep(), at=LATER + BACK_AFTER_MS)
    ) == ("sfu", 1, None)
    # Without one of them it says nothing any more.
    alone = after(apart, Leave("anna"))
    assert way(after(alone, Sweep(), at=LATER)) == ("p2p", 2, None)
    other = after(alone, Admit("host", "bert"))
    assert way(after(other, Sweep(), at=LATER)) == ("p2p", 2, None)


def test_being_apart_is_for_two_who_are_inside() -> None:
    assert refused(PAIR, PeersApart("host", "bert")) == "not_allowed"
    assert refused(PAIR, PeersApart("bert", "host")) == "not_allowed"
    assert refused(PAIR, PeersApart("anna", "anna")) == "not_allowed"
    assert refused(PAIR, PeersApart("anna", "nobody")) == "unknown_participant"
    assert apply(GROUP, PeersApart("anna", "host"), NOW) is GROUP


# --- browsers that cannot ---


def test_a_browser_that_cannot_be_in_a_group_is_not_let_into_one() -> None:
    session = after(fresh(), HOST, join("anna"), join("old", groups=False))
    with_two = after(session, Admit("host", "anna"))
    assert refused(with_two, Admit("host", "old")) == "group_unsupported"
    with_old = after(session, Admit("host", "old"))
    assert way(with_old) == ("p2p", 0, None)
    assert refused(with_old, Admit("host", "anna")) == "group_unsupported"
    assert refused(with_old, PeersApart("host", "old")) == "group_unsupported"
    # A host is not let in by anybody, so it is its hello that is refused.
    assert refused(with_two, join("two", Role.HOST, groups=False)) == "group_unsupported"
    assert way(after(with_two, join("two", Role.HOST))) == ("sfu", 1, None)
    # Who is inside stays, whatever it says when it comes back.
    back = after(GROUP, replace(join("anna", groups=False), instance="page-2"))
    assert back.find("anna") is not None
    assert way(back) == ("sfu", 1, None)


def test_one_browser_is_enough_where_the_forwarder_is_forced() -> None:
    assert refused(fresh(Topology.SFU), join("h", Role.HOST, groups=False)) == "group_unsupported"
    forced = after(fresh(Topology.SFU), HOST, join("old", groups=False))
    assert refused(forced, Admit("host", "old")) == "group_unsupported"
    mesh = after(fresh(Topology.P2P), HOST, *(join(who, groups=False) for who in ("a", "b", "c")))
    assert len(after(mesh, Admit("host", "a"), Admit("host", "b")).inside) == 3


# --- forwarders ---


def test_the_first_choice_of_a_forwarder_counts() -> None:
    assert way(PLACED) == ("sfu", 1, "sfu-1")
    assert apply(PLACED, PlaceMedia(1, "sfu-2"), NOW) is PLACED
    assert apply(GROUP, PlaceMedia(2, "sfu-2"), NOW) is GROUP
    assert apply(PAIR, PlaceMedia(0, "sfu-2"), NOW) is PAIR


def test_a_forwarder_that_is_gone_is_left_once() -> None:
    moved = after(PLACED, MoveMedia(1, "sfu-1"))
    assert way(moved) == ("sfu", 2, None)
    # The second of two nodes that notice changes nothing, nor does a late one.
    assert apply(moved, MoveMedia(1, "sfu-1"), NOW) is moved
    placed = after(moved, PlaceMedia(2, "sfu-2"))
    assert apply(placed, MoveMedia(1, "sfu-1"), NOW) is placed
    assert apply(placed, MoveMedia(2, "sfu-1"), NOW) is placed
    assert apply(GROUP, MoveMedia(1, "sfu-1"), NOW) is GROUP


def test_what_takes_time_goes_on_over_a_move() -> None:
    left = after(PLACED, Leave("bert"))
    moved = after(left, MoveMedia(1, "sfu-1"), at=LATER - 1)
    assert way(moved) == ("sfu", 2, None)
    assert way(after(moved, Sweep(), at=LATER - 1 + BACK_AFTER_MS)) == ("p2p", 3, None)


def test_it_is_part_of_what_is_stored() -> None:
    apart = after(PAIR, PeersApart("host", "anna"), PlaceMedia(1, "sfu-1"))
    assert decode(encode(apart)) == apart
    assert decode(encode(PLACED)) == PLACED


# --- Redis had lost something ---


def test_the_later_way_wins() -> None:
    back = after(after(PLACED, Leave("bert")), Sweep(), at=LATER)
    assert merge(PLACED, back).media == back.media
    assert merge(back, PLACED) is back
    assert merge(GROUP, PLACED).media == PLACED.media
    assert merge(PLACED, GROUP) is PLACED


def test_a_room_on_two_forwarders_is_on_neither() -> None:
    one, two = (after(GROUP, PlaceMedia(1, node)) for node in ("sfu-1", "sfu-2"))
    assert way(merge(one, two)) == way(merge(two, one)) == ("sfu", 2, None)
    assert merge(merge(one, two), one).media == merge(one, two).media


def test_a_session_without_it_is_peer_to_peer() -> None:
    assert Session.new("r" * 22, "p", NOW, NOW).media == Media()
    assert after(fresh(), HOST).find("host") is not None
    assert {p.status for p in GROUP.participants} == {Status.ADMITTED, Status.WAITING}
