"""Whatever happens in whatever order, some things are true of every session."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from waiting_room.codec import decode, encode
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
    NodeGone,
    Remove,
    Sweep,
    Unlock,
)
from waiting_room.merge import merge
from waiting_room.participant import (
    INSIDE,
    Role,
    Status,
)
from waiting_room.session import (
    AWAY_MAX_MS,
    FINAL_MAX,
    HOST_SEATS,
    LIVE_MAX,
    Refusal,
    Session,
    apply,
)
from waiting_room.views import view_for

people = st.sampled_from([f"p{i}" for i in range(8)])
nodes = st.sampled_from(["n1", "n2"])
instances = st.sampled_from(["page-1", "page-2"])
names = st.sampled_from(["Anna", "Bert"])
came = st.one_of(st.none(), st.integers(-3, 3).map(lambda ms: 1_800_000_000_000 + ms))
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Join, people, st.sampled_from(Role), names, instances, nodes, st.just(False), came),
    st.builds(Disconnect, people, instances, nodes),
    st.builds(Admit, people, people),
    st.builds(Decline, people, people),
    st.builds(BackToWaiting, people, people),
    st.builds(Remove, people, people),
    st.builds(Lock, people),
    st.builds(Unlock, people),
    st.builds(EnterCall, people),
    st.builds(Leave, people),
    st.builds(Sweep),
    st.builds(NodeGone, nodes),
)


class SessionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000_000
        self.session = Session.new("r" * 22, "provider-id1", self.now, self.now)
        self.earlier = [self.session]
        self.admitted: set[str] = set()  # by the model: whom a host let in since they last came
        self.banned: set[str] = set()

    @rule(event=events, wait=st.sampled_from([0, 1, AWAY_MAX_MS // 2, AWAY_MAX_MS + 1]))
    def happen(self, event: Event, wait: int) -> None:
        self.now += wait
        before = self.session
        result = apply(before, event, self.now)
        if isinstance(result, Refusal) or result is before:
            assert apply(before, event, self.now) in (result, before)
            return
        assert result.version == before.version + 1
        assert replace(result, version=before.version) != before
        self.session = result
        self.earlier.append(result)
        self.follow(event)
        self.check_line(before, event)
        # A command sent twice does no harm.
        if not isinstance(event, Disconnect | NodeGone):
            again = apply(result, event, self.now)
            assert again is result or isinstance(again, Refusal)

    def follow(self, event: Event) -> None:
        match event:
            case Admit(participant=who):
                self.admitted.add(who)
            case Join(participant=who, role=Role.HOST):
                self.admitted.add(who)
            case Decline(participant=who) | Remove(participant=who):
                self.banned.add(who)
            case _:
                pass
        self.admitted -= {p.id for p in self.session.participants if p.status not in INSIDE}

    def check_line(self, before: Session, event: Event) -> None:
        """Nobody here overtakes anybody: only the one concerned may move, and only to the end."""
        concerned = getattr(event, "participant", None)
        now = [p.id for p in self.session.participants]
        old = [p.id for p in before.participants if p.id in now]
        stayed = [who for who in now if who != concerned]
        assert stayed == [who for who in old if who != concerned]
        if concerned in old and [w for w in now if w in old] != old:
            assert now[-1] == concerned

    @rule(back=st.integers(1, 20))
    def merge_with_an_older_version(self, back: int) -> None:
        older = self.earlier[max(0, len(self.earlier) - back)]
        assert merge(self.session, older) is self.session
        assert merge(older, self.session) == self.session

    @invariant()
    def nobody_is_inside_unadmitted(self) -> None:
        assert {p.id for p in self.session.participants if p.status in INSIDE} <= self.admitted

    @invariant()
    def nobody_sent_away_comes_back(self) -> None:
        for p in self.session.participants:
            if p.id in self.banned:
                assert p.status in (Status.DECLINED, Status.REMOVED)

    @invariant()
    def bounds_hold(self) -> None:
        live = sum(p.live for p in self.session.participants)
        assert live <= LIVE_MAX + HOST_SEATS
        assert len(self.session.participants) - live <= FINAL_MAX

    @invariant()
    def each_is_there_once_and_in_place(self) -> None:
        ids = [p.id for p in self.session.participants]
        assert len(ids) == len(set(ids))
        line = [p.line for p in self.session.participants]
        assert line == sorted(line)
        own = [p.place for p in self.session.participants if p.came is None]
        assert own == sorted(set(own))
        assert all(p.changed <= self.session.version for p in self.session.participants)

    @invariant()
    def being_away_and_being_connected_exclude_each_other(self) -> None:
        for p in self.session.participants:
            assert p.live or (p.node is None and p.away_since is None)
            assert not p.live or (p.node is None) is not (p.away_since is None)

    @invariant()
    def it_survives_being_stored(self) -> None:
        stored = encode(self.session)
        assert decode(stored) == self.session
        assert encode(decode(stored)) == stored

    @invariant()
    def nobody_sees_more_than_they_may(self) -> None:
        for you in self.session.participants:
            view = view_for(self.session, you.id)
            assert view is not None
            seen = {p.id for p in view.participants}
            assert you.id not in seen
            if you.status not in INSIDE:
                assert not seen
            elif you.role is not Role.HOST:
                assert all(p.status in INSIDE for p in view.participants)
            assert (view.place is None) is (you.status is not Status.WAITING)


SessionMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSessionMachine = SessionMachine.TestCase
