"""When Redis has lost something, what two nodes remember becomes one session again."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from waiting_room.events import (
    Admit,
    BackToWaiting,
    Decline,
    Disconnect,
    EnterCall,
    Event,
    Join,
    Leave,
    Lock,
    Remove,
    Unlock,
)
from waiting_room.merge import merge
from waiting_room.participant import (
    Role,
    Status,
)
from waiting_room.session import (
    Session,
    apply,
)

NOW = 1_800_000_000_000
EMPTY = Session.new("r" * 22, "provider-id1", NOW, NOW)


def join(who: str, role: Role = Role.CLIENT, node: str = "n1") -> Join:
    return Join(who, role, who, "page-1", node)


def after(session: Session, *events: Event) -> Session:
    def step(session: Session, event: Event) -> Session:
        result = apply(session, event, NOW)
        return result if isinstance(result, Session) else session

    return reduce(step, events, session)


COMMON = after(EMPTY, join("host", Role.HOST), join("anna"), join("bert"))


def status(session: Session, who: str) -> Status | None:
    found = session.find(who)
    return None if found is None else found.status


def test_each_node_knew_something_of_its_own() -> None:
    ours = after(COMMON, Admit("host", "anna"), join("cora"))
    theirs = after(COMMON, Decline("host", "bert"))
    for merged in (merge(ours, theirs), merge(theirs, ours)):
        assert [p.id for p in merged.participants] == ["host", "anna", "bert", "cora"]
        assert status(merged, "anna") is Status.ADMITTED
        assert status(merged, "bert") is Status.DECLINED
        assert status(merged, "cora") is Status.WAITING
        assert merged.version == ours.version


def test_being_sent_away_wins_over_what_happened_at_once() -> None:
    ours, theirs = after(COMMON, Admit("host", "anna")), after(COMMON, Decline("host", "anna"))
    assert status(merge(ours, theirs), "anna") is Status.DECLINED
    assert status(merge(theirs, ours), "anna") is Status.DECLINED


def test_a_lock_is_not_lost() -> None:
    ours, theirs = after(COMMON, Lock("host")), after(COMMON, join("cora"), join("dora"))
    assert merge(ours, theirs).locked
    assert merge(theirs, ours).locked
    later = after(ours, Unlock("host"))
    assert not merge(ours, later).locked


def test_a_room_opened_again_owes_nothing_to_what_ended() -> None:
    reopened = after(Session.new("r" * 22, "provider-id1", NOW, NOW + 5), join("host", Role.HOST))
    assert merge(reopened, COMMON) is reopened
    assert merge(COMMON, reopened) is reopened


people = st.sampled_from(["host", "anna", "bert", "cora", "dora"])
steps = st.lists(
    st.one_of(
        st.builds(join, people, st.just(Role.CLIENT), st.sampled_from(["n1", "n2"])),
        st.builds(
            lambda who, ms: Join(who, Role.CLIENT, who, "page-1", "n1", came=NOW - ms),
            people,
            st.integers(0, 3),
        ),
        st.builds(lambda who: Admit("host", who), people),
        st.builds(lambda who: Decline("host", who), people),
        st.builds(lambda who: BackToWaiting("host", who), people),
        st.builds(lambda who: Remove("host", who), people),
        st.builds(EnterCall, people),
        st.builds(Leave, people),
        st.builds(lambda who: Disconnect(who, "page-1", "n1"), people),
        st.just(Lock("host")),
        st.just(Unlock("host")),
    ),
    max_size=8,
)


@given(steps, steps, steps)
def test_merging_is_a_join(common: list[Event], ours: list[Event], theirs: list[Event]) -> None:
    base = after(COMMON, *common)
    a, b = after(base, *ours), after(base, *theirs)
    one, other = merge(a, b), merge(b, a)
    assert {p.id for p in one.participants} == {p.id for p in other.participants}
    for p in one.participants:
        assert p.status == status(other, p.id)
    assert (one.locked, one.version) == (other.locked, other.version)
    # It knows both, so merging either in again adds nothing.
    assert merge(one, a) is one
    assert merge(one, b) is one
    assert one.version == max(a.version, b.version)
    line = [p.line for p in one.participants]
    assert line == sorted(line)
    sent_away = {Status.DECLINED, Status.REMOVED}
    for side in (a, b):
        for p in side.participants:
            if status(base, p.id) in sent_away:
                assert status(one, p.id) in sent_away
