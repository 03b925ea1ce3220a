"""A page is sent to where it has shown that it takes what comes, and nowhere else (RFC 7675)."""

from __future__ import annotations

import math
import os
from collections import Counter

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.connection import SILENT_SECONDS
from sfu.control import Gone
from sfu.path import Path, Remote
from sfu.route import CONSENT_SECONDS
from tests.unit.sfu_page import Page
from tests.unit.sfu_stage import Stage, Wire
from tests.unit.test_sfu_forwarder import ALICE, BOB, alice, bob

VICTIM = ("203.0.113.200", 2000)
NEW_HOME = ("198.51.100.9", 9999)


class Call:
    """Alice, whom Bob receives."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.alice, self.bob = alice(), bob()
        self.stage.join(self.alice, ALICE)
        self.stage.join(self.bob, BOB)

    def media_at(self, remote: Remote) -> int:
        """How many of five packets go to an address."""
        self.stage.wire.take(remote)
        for _ in range(5):
            self.stage.receive(self.alice.rtp(1111, 111, mid="0"), ALICE)
        sent = self.stage.wire.take(remote)
        return sum(d[0] & 0xC0 == 0x80 and not 192 <= d[1] <= 223 for d in sent)

    def passes(self, seconds: float, *, answer: bool, at: Remote = BOB, check: bool = True) -> int:
        """Time passes, pages check as they do; gives how many questions came to `at`."""
        asked, stage = 0, self.stage
        for _ in range(round(seconds * 10)):
            stage.now += 0.1
            if check and round(stage.now * 10) % 25 == 0:
                stage.receive(self.alice.check(), ALICE)
                stage.receive(self.bob.check(), at)
            stage.forwarder.handle_timer(stage.now)
            stage.forwarder.sweep(stage.now)
            stage.consent(self.alice, ALICE, stage.wire.take(ALICE))
            sent = stage.wire.take(at)
            asked += sum(datagram[:2] == b"\x00\x01" for datagram in sent)
            if answer:
                stage.consent(self.bob, at, sent)
        stage.events += stage.forwarder.events()
        return asked


@pytest.fixture
def call() -> Call:
    return Call()


def questions(sent: list[bytes]) -> list[bytes]:
    return [datagram for datagram in sent if datagram[:2] == b"\x00\x01"]


def test_no_media_goes_to_an_address_that_a_participant_merely_names(call: Call) -> None:
    """Bob forges the victim's address: what he chooses with is valid in every other way."""
    call.stage.receive(call.bob.check(), VICTIM)
    call.stage.receive(call.bob.rtp(1, 111), VICTIM)
    call.stage.receive(call.bob.rtcp(), VICTIM)
    assert call.media_at(VICTIM) == 0
    assert call.media_at(BOB) == 5, "it goes on where it went before"
    call.passes(60, answer=False, at=VICTIM)
    assert call.media_at(VICTIM) == 0
    assert call.media_at(BOB) == 0, "nobody answered at the old address either"
    assert call.stage.dropped["no_consent"] > 0


@pytest.mark.parametrize("nominate", [True, False])
@pytest.mark.parametrize("forged", [2, 300])
def test_a_forged_address_is_sent_three_times_what_came_from_it_at_most(
    nominate: bool, forged: int
) -> None:
    stage = Stage()
    page = alice()
    stage.negotiate(page)
    came = went = 0
    for count in range(300):
        check = page.check(nominate=nominate)
        datagrams = [check, Page("alice").shake()[0]] if count % 2 else [check]
        for datagram in datagrams if count < forged else ():
            came += len(datagram)
            went += sum(map(len, stage.receive(datagram, VICTIM)))
        stage.now += 0.05
        stage.forwarder.handle_timer(stage.now)
        went += sum(map(len, stage.wire.take(VICTIM)))
        assert went <= 3 * came


def test_media_follows_a_page_to_another_address_that_answers(call: Call) -> None:
    [answer, *asked] = call.stage.receive(call.bob.check(), NEW_HOME)
    assert answer[:2] == b"\x01\x01"
    assert call.media_at(BOB) == 5, "until the answer has come"
    assert call.stage.consent(call.bob, NEW_HOME, asked) == 1
    assert call.media_at(BOB) == 0
    assert call.media_at(NEW_HOME) == 5


def test_a_lost_question_is_asked_again_soon(call: Call) -> None:
    call.stage.receive(call.bob.check(), NEW_HOME)
    assert call.passes(0.5, answer=True, at=NEW_HOME, check=False) >= 1
    assert call.media_at(NEW_HOME) == 5


def test_who_uses_an_address_again_within_its_consent_is_not_asked(call: Call) -> None:
    call.stage.come(call.bob, NEW_HOME)
    assert not questions(call.stage.receive(call.bob.check(), BOB))
    assert call.media_at(BOB) == 5


def test_consent_is_renewed_every_five_seconds_and_media_goes_on(call: Call) -> None:
    assert 10 <= call.passes(60, answer=True) <= 16
    assert call.media_at(BOB) == 5


def test_consent_that_is_not_renewed_ends_and_begins_again(call: Call) -> None:
    call.passes(CONSENT_SECONDS - 1, answer=False)
    assert call.media_at(BOB) == 5
    call.passes(2, answer=False)
    assert call.media_at(BOB) == 0
    assert not any(isinstance(event, Gone) for event in call.stage.events), (
        "it is heard all the time"
    )
    call.passes(6, answer=True)
    assert call.media_at(BOB) == 5


def forged(call: Call, question: bytes, **change: object) -> bytes:
    """An answer that is not one."""
    message = stun.parse_message(question)
    answer = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=change.get("kind", stun.Class.RESPONSE),  # type: ignore[arg-type]
        transaction_id=change.get("transaction", message.transaction_id),  # type: ignore[arg-type]
        attributes={"XOR-MAPPED-ADDRESS": VICTIM},
    )
    if change.get("password", True):
        password = str(change.get("password") or call.bob.password)
        answer.add_message_integrity(password.encode())
    return bytes(answer)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"transaction": os.urandom(12)}, "stun_unasked"),
        ({"password": "z" * 32}, "stun_wrong_password"),
        ({"password": ""}, "stun_wrong_password"),
        ({"kind": stun.Class.ERROR}, "stun_not_a_check"),
    ],
    ids=["guessed", "other password", "no password", "refusal"],
)
def test_answers_that_prove_nothing(call: Call, change: dict[str, object], reason: str) -> None:
    [question] = questions(call.stage.receive(call.bob.check(), VICTIM))
    assert not call.stage.receive(forged(call, question, **change), VICTIM)
    assert call.stage.dropped == {reason: 1}
    assert call.media_at(VICTIM) == 0
    assert call.media_at(BOB) == 5


def test_an_answer_counts_at_the_address_that_was_asked_only(call: Call) -> None:
    [question] = questions(call.stage.receive(call.bob.check(), VICTIM))
    answer = call.bob.answer_check(question)
    call.stage.receive(answer, BOB)
    call.stage.receive(answer, ALICE)
    assert call.stage.dropped == {"stun_unasked": 2}
    assert call.media_at(VICTIM) == 0
    call.stage.receive(answer, NEW_HOME)
    assert call.stage.dropped["stun_not_a_check"] == 1, "of a stranger it is nothing"


def test_an_answer_counts_once(call: Call) -> None:
    [question] = questions(call.stage.receive(call.bob.check(), NEW_HOME))
    answer = call.bob.answer_check(question)
    for _ in range(2):
        call.stage.receive(answer, NEW_HOME)
    assert call.stage.dropped == {"stun_unasked": 1}


def test_an_address_that_never_answers_is_left_alone_and_the_known_one_goes_on(call: Call) -> None:
    call.stage.receive(call.bob.check(), VICTIM)
    asked = 0
    for _ in range(600):
        call.stage.now += 0.1
        call.stage.forwarder.handle_timer(call.stage.now)
        asked += len(questions(call.stage.wire.take(VICTIM)))
        call.stage.consent(call.bob, BOB, call.stage.wire.take(BOB))
    assert asked <= 3, "one check pays for no more"
    assert call.media_at(BOB) == 5
    assert call.media_at(VICTIM) == 0


def test_when_the_used_path_is_lost_another_that_has_consented_takes_its_place(call: Call) -> None:
    call.stage.come(call.bob, NEW_HOME)
    path = call.stage.wire.paths[NEW_HOME]
    assert path.connection is not None
    path.connection.lose_path(path, call.stage.now)
    assert call.media_at(BOB) == 5
    assert call.passes(1, answer=True, check=False) == 1, (
        "and is asked at once whether it still does"
    )


def test_a_stream_has_shown_it_by_connecting(call: Call) -> None:
    call.stage.wire.is_stream = True
    assert not questions(call.stage.receive(call.bob.check(), NEW_HOME))
    assert call.media_at(NEW_HOME) == 5
    assert call.passes(50, answer=False, at=NEW_HOME) == 0
    assert call.media_at(NEW_HOME) == 5


def test_during_a_restart_each_path_is_asked_by_the_credentials_it_came_with(call: Call) -> None:
    former = call.bob.check()
    ufrag = call.bob.ufrag
    call.bob.restart_ice()
    call.stage.negotiate(call.bob)
    [question] = questions(call.stage.receive(former, NEW_HOME)) or [b""]
    assert question == b"", "the former credentials choose no path any more"
    [question] = questions(call.stage.receive(call.bob.check(), NEW_HOME))
    assert stun.parse_message(question).attributes["USERNAME"].startswith(call.bob.ufrag)
    assert ufrag != call.bob.ufrag
    assert call.stage.consent(call.bob, NEW_HOME, [question]) == 1
    assert call.media_at(NEW_HOME) == 5


class Stream(Wire):
    """A TCP connection of a page."""

    is_stream = True


def comes_by_stream(call: Call, port: int) -> Path:
    """Bob chooses a stream that has just been opened."""
    stage, path = call.stage, Path(Stream(), ("192.0.2.77", port), call.stage.now)
    check = call.bob.check()
    stage.inbox.view[: len(check)] = check
    stage.forwarder.gate.receive(path, len(check), stage.now)
    assert path.connection is not None
    return path


def ends(path: Path, now: float) -> None:
    assert path.connection is not None
    path.connection.lose_path(path, now)


def test_a_consent_that_has_run_out_is_none_when_the_used_path_is_lost(call: Call) -> None:
    """Who once answered at an address, and opens and closes streams, had media sent there."""
    long_ago = call.stage.now
    for count in range(45):
        stream = comes_by_stream(call, count)
        call.stage.now += 0.9
        ends(stream, call.stage.now)
        call.stage.receive(call.alice.check(), ALICE)
        call.stage.consent(call.alice, ALICE, call.stage.wire.take(ALICE))
        if call.stage.now > long_ago + CONSENT_SECONDS:
            assert call.media_at(BOB) == 0, "it has not answered for 30 s"
        call.stage.now += 0.1
        call.stage.forwarder.handle_timer(call.stage.now)
        call.stage.forwarder.sweep(call.stage.now)
    assert call.stage.now > long_ago + CONSENT_SECONDS + 5


def test_an_address_of_another_page_does_not_keep_what_that_page_has_shown(call: Call) -> None:
    """Mallory takes over Bob's address when he has been silent for long: she has shown nothing."""
    stage, mallory = call.stage, bob()
    mallory.participant = "mallory"
    stage.join(mallory, VICTIM)
    call.passes(4, answer=True)
    path = stage.wire.paths[BOB]
    stage.now = path.heard + SILENT_SECONDS + 0.1
    stage.consent(call.alice, ALICE, stage.receive(call.alice.check(), ALICE))
    former, checks = path.connection, [mallory.check(nominate=False), mallory.check()]
    sent = stage.receive(checks[0], BOB)
    assert path.connection not in (former, None)
    assert not path.nominated, "he chose it, not she"
    sent += stage.receive(checks[1], BOB)
    assert call.media_at(BOB) == 0
    assert call.media_at(VICTIM) == 5
    for _ in range(50):
        stage.now += 0.1
        stage.forwarder.handle_timer(stage.now)
        sent += stage.wire.take(BOB)
    came = sum(map(len, checks))
    assert sum(map(len, sent)) <= 3 * came, "what his datagrams have paid for is not hers"


def test_an_address_chosen_again_while_its_consent_runs_out_is_asked_no_more(call: Call) -> None:
    """Its timer failed, and what was due behind it was never called again."""
    stage = call.stage
    began = stage.now
    while stage.now < began + CONSENT_SECONDS - 0.5:
        call.passes(0.5, answer=False, check=False)
        stage.receive(call.bob.check(nominate=False), BOB)
        stage.receive(call.alice.check(), ALICE)
    stage.receive(call.bob.check(), VICTIM)
    stage.now = began + CONSENT_SECONDS + 0.3
    stage.receive(call.bob.check(), BOB)
    stage.now += 0.05
    stage.forwarder.sweep(stage.now)
    call.passes(5, answer=False, check=False)
    assert not stage.faults
    assert call.media_at(BOB) == 0
    call.passes(3, answer=True)
    assert call.media_at(BOB) == 5


PLACES: tuple[Remote, ...] = (BOB, NEW_HOME, VICTIM, ("203.0.113.201", 2001))
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["check", "nominate", "media", "answer", "hello", "restart", *4 * ["time"]]
        ),
        st.sampled_from(PLACES),
        st.floats(0.05, 14),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=60)
def test_whatever_a_page_does_media_goes_only_to_where_it_was_answered_from(
    taken: list[tuple[str, Remote, float]],
) -> None:
    call = Call()
    stage = call.stage
    consented = {BOB: stage.now}
    came: Counter[Remote] = Counter()
    went: Counter[Remote] = Counter()
    asked: dict[Remote, list[bytes]] = {place: [] for place in PLACES}

    def look() -> None:
        for place in PLACES:
            for datagram in stage.wire.take(place):
                answered = stage.now - consented.get(place, -math.inf) <= CONSENT_SECONDS + 1
                if datagram[0] & 0xC0 == 0x80:
                    assert answered, "media to an address that has not answered"
                if datagram[:2] == b"\x00\x01":
                    asked[place].append(datagram)
                if place not in consented:
                    went[place] += len(datagram)
                    assert went[place] <= 3 * came[place], "more than what came pays for"

    def send(datagram: bytes, place: Remote) -> None:
        came[place] += len(datagram)
        sent = stage.receive(datagram, place)
        stage.wire.sent[place] += sent
        look()

    for what, place, seconds in taken:
        match what:
            case "check" | "nominate":
                send(call.bob.check(nominate=what == "nominate"), place)
            case "media":
                send(call.bob.rtcp(1), place)
            case "hello":
                send(Page("bob").shake()[0], place)
            case "answer" if asked[place]:
                newest = asked[place][-1]
                if stun.parse_message(newest).attributes["USERNAME"].startswith(call.bob.ufrag):
                    known = dict(stage.dropped)
                    send(call.bob.answer_check(newest), place)
                    if stage.dropped == known:
                        consented[place] = stage.now
            case "time":
                # It is heard all the time, by whichever address.
                send(call.bob.check(nominate=False), place)
                stage.consent(call.alice, ALICE, stage.receive(call.alice.check(), ALICE))
                for _ in range(10):
                    stage.now += seconds / 10
                    stage.forwarder.handle_timer(stage.now)
                    stage.forwarder.sweep(stage.now)
                    stage.consent(call.alice, ALICE, stage.wire.take(ALICE))
                    look()
            case "restart":
                call.bob.restart_ice()
                offered = stage.ask(call.bob)
                call.bob.take(getattr(offered, "sdp", call.bob.answer))
        look()
        for _ in range(2):
            stage.receive(call.alice.rtp(1111, 111, mid="0"), ALICE)
        look()
