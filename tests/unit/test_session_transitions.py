"""Who may move whom from where to where, and the bounds of a session."""

from dataclasses import replace

import pytest

from waiting_room.events import (
    Admit,
    BackToWaiting,
    Change,
    Decline,
    Disconnect,
    End,
    EnterCall,
    Event,
    Join,
    Leave,
    Lock,
    NodeGone,
    Remove,
    Sweep,
    Unlock,
)
from waiting_room.participant import (
    Participant,
    Role,
    Status,
)
from waiting_room.session import (
    AWAY_MAX_MS,
    FINAL_MAX,
    HOST_SEATS,
    LIVE_MAX,
    TRANSITIONS,
    TTL_AWAY_MS,
    TTL_CONNECTED_MS,
    TTL_EMPTY_MS,
    Refusal,
    Session,
    SessionStatus,
    Verb,
    apply,
    lapsed,
    lifetime_ms,
)

NOW = 1_800_000_000_000
EMPTY = Session.new("r" * 22, "provider-id1", NOW + 3_600_000, NOW)


def join(who: str, role: Role = Role.CLIENT, instance: str = "page-1", node: str = "n1") -> Join:
    return Join(who, role, who.title(), instance, node)


def after(session: Session, *events: Event, now: int = NOW) -> Session:
    for event in events:
        result = apply(session, event, now)
        assert isinstance(result, Session), (event, result)
        session = result
    return session


def refusal(session: Session, event: Event, now: int = NOW) -> str:
    result = apply(session, event, now)
    assert isinstance(result, Refusal), result
    return result.code


def get(session: Session, who: str) -> Participant:
    found = session.find(who)
    assert found is not None
    return found


HOSTED = after(EMPTY, join("host", Role.HOST), join("anna"))


def at(status: Status) -> Session:
    """A session in which `anna` has that status, and so came there by the proper way."""
    ways: dict[Status, tuple[Change, ...]] = {
        Status.WAITING: (),
        Status.ADMITTED: (Admit("host", "anna"),),
        Status.IN_CALL: (Admit("host", "anna"), EnterCall("anna")),
        Status.LEFT: (Leave("anna"),),
        Status.DECLINED: (Decline("host", "anna"),),
        Status.REMOVED: (Remove("host", "anna"),),
    }
    return after(HOSTED, *ways[status])


EVENTS = {
    Verb.ADMIT: Admit("host", "anna"),
    Verb.DECLINE: Decline("host", "anna"),
    Verb.BACK_TO_WAITING: BackToWaiting("host", "anna"),
    Verb.REMOVE: Remove("host", "anna"),
    Verb.ENTER_CALL: EnterCall("anna"),
    Verb.LEAVE: Leave("anna"),
}

# docs/protocol.md section 2, written out a second time: "-" not allowed, "=" no change.
TABLE = """
             admit     decline   back_to_waiting remove   enter_call leave
    waiting  admitted  declined  =               removed  -          left
    admitted =         -         waiting         removed  in_call    left
    in_call  =         -         waiting         removed  =          left
    left     -         -         -               removed  -          =
    declined -         =         -               removed  -          =
    removed  -         -         -               =        -          =
"""


def rows() -> list[tuple[Status, Verb, str]]:
    head, *lines = (line.split() for line in TABLE.strip().splitlines())
    return [
        (Status(line[0]), Verb(verb), outcome)
        for line in lines
        for verb, outcome in zip(head, line[1:], strict=True)
    ]


@pytest.mark.parametrize(("status", "verb", "outcome"), rows())
def test_every_status_under_every_verb(status: Status, verb: Verb, outcome: str) -> None:
    before = at(status)
    result = apply(before, EVENTS[verb], NOW + 1)
    if outcome == "-":
        assert refusal(before, EVENTS[verb]) == "not_allowed"
    elif outcome == "=":
        assert result is before
    else:
        assert isinstance(result, Session)
        assert get(result, "anna").status == outcome
        assert get(result, "anna").since == NOW + 1
        assert get(result, "anna").changed == result.version == before.version + 1


def test_the_table_names_every_pair_that_is_allowed() -> None:
    assert len(TRANSITIONS) == sum(outcome != "-" for _, _, outcome in rows())


@pytest.mark.parametrize("status", Status)
def test_only_a_host_commands(status: Status) -> None:
    session = after(at(status), join("eve"), Admit("host", "eve"))
    commands: list[Event] = [
        *(type(event)("eve", "anna") for event in EVENTS.values() if hasattr(event, "by")),
        *(type(event)("anna", "anna") for event in EVENTS.values() if hasattr(event, "by")),
        *(type(event)("nobody", "anna") for event in EVENTS.values() if hasattr(event, "by")),
        Lock("eve"),
        Unlock("eve"),
        End("eve"),
        Lock("nobody"),
        End("nobody"),
    ]
    assert {refusal(session, command) for command in commands} == {"not_allowed"}


def test_a_host_who_has_left_commands_nothing() -> None:
    session = after(HOSTED, Leave("host"))
    for command in (Admit("host", "anna"), Lock("host"), End("host")):
        assert refusal(session, command) == "not_allowed"


def test_hosts_do_not_wait_and_do_not_send_themselves_away() -> None:
    session = after(HOSTED, join("other", Role.HOST))
    assert get(session, "other").status is Status.ADMITTED
    for command in (
        BackToWaiting("host", "other"),
        Decline("host", "other"),
        Remove("host", "host"),
        BackToWaiting("host", "host"),
    ):
        assert refusal(session, command) == "not_allowed"
    assert apply(session, Admit("host", "other"), NOW) is session
    assert get(after(session, Remove("host", "other")), "other").status is Status.REMOVED


def test_nobody_of_that_id() -> None:
    for event in (Admit("host", "nobody"), EnterCall("nobody"), Leave("nobody")):
        assert refusal(HOSTED, event) == "unknown_participant"
    assert apply(HOSTED, Disconnect("nobody", "page-1", "n1"), NOW) is HOSTED


def test_coming_back_keeps_status_and_place() -> None:
    session = after(HOSTED, join("bert"), join("cora"))
    session = after(session, Disconnect("bert", "page-1", "n1"), now=NOW + 5)
    assert (get(session, "bert").node, get(session, "bert").away_since) == (None, NOW + 5)
    session = after(session, join("dora"), join("bert", instance="page-2", node="n2"), now=NOW + 9)
    bert = get(session, "bert")
    assert (bert.status, bert.instance, bert.node, bert.away_since, bert.since) == (
        Status.WAITING,
        "page-2",
        "n2",
        None,
        NOW,
    )
    assert [p.id for p in session.participants] == ["host", "anna", "bert", "cora", "dora"]
    inside = after(session, Admit("host", "bert"), EnterCall("bert"), join("bert", instance="p3"))
    assert get(inside, "bert").status is Status.IN_CALL


def test_the_same_hello_again_changes_nothing() -> None:
    assert apply(HOSTED, join("anna"), NOW + 1) is HOSTED


def test_a_late_disconnect_of_an_older_page_or_node_says_nothing() -> None:
    moved = after(HOSTED, join("anna", instance="page-2", node="n2"))
    for old in (("page-1", "n1"), ("page-2", "n1"), ("page-1", "n2")):
        assert apply(moved, Disconnect("anna", *old), NOW) is moved
    assert not get(after(moved, Disconnect("anna", "page-2", "n2")), "anna").connected


def test_a_name_can_be_corrected_until_the_host_has_admitted_it() -> None:
    renamed = replace(join("anna"), name="Anna B.")
    assert get(after(HOSTED, renamed), "anna").name == "Anna B."
    assert get(after(at(Status.ADMITTED), renamed), "anna").name == "Anna"


def test_who_left_comes_back_to_the_end_of_the_line() -> None:
    session = after(HOSTED, join("bert"), Leave("anna"), join("anna"), now=NOW + 7)
    assert [p.id for p in session.participants] == ["host", "bert", "anna"]
    assert (get(session, "anna").status, get(session, "anna").since) == (Status.WAITING, NOW + 7)
    session = after(at(Status.IN_CALL), Leave("anna"), join("anna"))
    assert get(session, "anna").status is Status.WAITING
    session = after(HOSTED, Leave("host"), join("host", Role.HOST))
    assert get(session, "host").status is Status.ADMITTED


def test_back_to_waiting_is_the_end_of_the_line() -> None:
    session = after(at(Status.IN_CALL), join("bert"), BackToWaiting("host", "anna"))
    assert [p.id for p in session.participants] == ["host", "bert", "anna"]


@pytest.mark.parametrize("status", [Status.DECLINED, Status.REMOVED])
def test_sent_away_is_for_good(status: Status) -> None:
    for role in Role:
        assert refusal(at(status), join("anna", role, "page-9")) == "not_allowed"


def test_another_link_of_the_same_person_begins_anew() -> None:
    promoted = after(HOSTED, join("anna", Role.HOST))
    assert get(promoted, "anna").status is Status.ADMITTED
    demoted = after(HOSTED, join("host", Role.CLIENT))
    assert (get(demoted, "host").role, get(demoted, "host").status) == (
        Role.CLIENT,
        Status.WAITING,
    )
    assert refusal(demoted, Admit("host", "host")) == "not_allowed"


def test_locked_keeps_out_who_is_new() -> None:
    session = after(HOSTED, Lock("host"), Disconnect("anna", "page-1", "n1"))
    assert apply(session, Lock("host"), NOW) is session
    assert refusal(session, join("bert")) == "room_locked"
    assert refusal(session, join("gina", Role.GUEST)) == "room_locked"
    assert get(after(session, join("anna")), "anna").connected
    assert refusal(after(session, Leave("anna")), join("anna")) == "room_locked"
    assert after(session, join("second", Role.HOST))
    assert after(session, Unlock("host"), join("bert"))


def test_a_full_room_has_a_seat_for_its_host() -> None:
    session = after(EMPTY, *(join(f"c{i}") for i in range(LIVE_MAX)))
    assert refusal(session, join("late")) == "room_full"
    session = after(session, Disconnect("c7", "page-1", "n1"))
    assert refusal(session, join("late")) == "room_full"  # who is away will be back
    assert get(after(session, join("c7")), "c7").connected
    assert after(session, Leave("c7"), join("late"))
    session = after(session, *(join(f"h{i}", Role.HOST) for i in range(HOST_SEATS)))
    assert refusal(session, join("h-late", Role.HOST)) == "room_full"


def test_the_long_gone_are_forgotten_and_the_sent_away_last() -> None:
    session = after(HOSTED, Decline("host", "anna"))
    for i in range(FINAL_MAX + 10):
        session = after(session, join(f"c{i}"), Leave(f"c{i}"), now=NOW + i)
    gone = [p for p in session.participants if not p.live]
    assert len(gone) == FINAL_MAX
    assert session.find("c10") is None
    assert session.find("c11") is not None
    assert get(session, "anna").status is Status.DECLINED


def test_away_for_too_long_counts_as_having_left() -> None:
    session = after(HOSTED, Disconnect("anna", "page-1", "n1"))
    assert apply(session, Sweep(), NOW + AWAY_MAX_MS) is session
    swept = after(session, Sweep(), now=NOW + AWAY_MAX_MS + 1)
    assert get(swept, "anna").status is Status.LEFT
    assert swept.version == session.version + 1
    # Any other event takes account of it as well.
    assert refusal(session, Admit("host", "anna"), NOW + AWAY_MAX_MS + 1) == "not_allowed"
    back = after(session, join("bert"), join("anna"), now=NOW + AWAY_MAX_MS + 1)
    assert [p.id for p in back.participants] == ["host", "bert", "anna"]


def test_a_node_that_is_gone_holds_nobody() -> None:
    session = after(HOSTED, join("bert", node="n2"), NodeGone("n1"), now=NOW + 3)
    assert session.nodes == {"n2"}
    assert not session.host_present
    assert get(session, "anna").away_since == NOW + 3
    assert apply(session, NodeGone("n1"), NOW) is session


def test_who_was_sent_away_is_not_connected() -> None:
    for status in (Status.LEFT, Status.DECLINED, Status.REMOVED):
        assert not get(at(status), "anna").connected
        assert get(at(status), "anna").away_since is None


def test_an_ended_session_takes_nothing_more() -> None:
    ended = after(HOSTED, End("host"))
    assert ended.status is SessionStatus.ENDED
    assert apply(ended, End("host"), NOW) is ended
    assert refusal(ended, join("bert")) == "room_ended"
    assert refusal(ended, Admit("host", "anna")) == "room_ended"
    assert after(HOSTED, End()).status is SessionStatus.ENDED


def test_how_long_a_session_outlives_its_people() -> None:
    assert lifetime_ms(HOSTED) == TTL_CONNECTED_MS
    away = after(HOSTED, NodeGone("n1"))
    assert lifetime_ms(away) == TTL_AWAY_MS
    assert not lapsed(away, NOW + TTL_AWAY_MS - 1)
    assert lapsed(away, NOW + TTL_AWAY_MS)
    empty = after(HOSTED, Leave("anna"), Leave("host"))
    assert lifetime_ms(empty) == TTL_EMPTY_MS
    assert not lapsed(empty, NOW + TTL_EMPTY_MS - 1)
    assert lapsed(empty, NOW + TTL_EMPTY_MS)
    assert not lapsed(HOSTED, NOW + 10 * TTL_CONNECTED_MS)
