"""A fault of ours that one page meets is counted, and costs nobody else anything."""

from __future__ import annotations

import logging

import pytest

from sfu import faults
from sfu.control import Code, Gone, Leave, Refused
from sfu.room import Room
from tests.unit.sfu_page import Page
from tests.unit.sfu_stage import Stage
from tests.unit.test_sfu_forwarder import ALICE, BOB, alice, bob, sound

CAROL = ("198.51.100.3", 3333)
SECRET = "candidate 192.0.2.9"


class Trap(Room):
    """A room with a fault that is met wherever it is asked for a participant of a certain name."""

    def receive_rtp(self, pid: str, packet: bytes, now: float) -> None:
        if pid == "trap":
            raise IndexError(SECRET)
        super().receive_rtp(pid, packet, now)

    def set_tracks(self, pid: str, *args: object) -> None:
        if pid == "snare":
            raise IndexError(SECRET)
        super().set_tracks(pid, *args)  # type: ignore[arg-type]

    def handle_timer(self, now: float) -> None:
        if "trap" in self._participants:
            raise IndexError(SECRET)
        super().handle_timer(now)


def goes_on(stage: Stage, publisher: Page, subscriber: Page) -> bool:
    """Whether media of two seconds comes through: a room's timer measures out what may come."""
    subscriber.received.clear()
    for _ in range(100):
        stage.now += 0.02
        stage.forwarder.handle_timer(stage.now)
        stage.wire.take(BOB)
        for _ in range(10):
            stage.receive(publisher.rtp(1111, 111, bytes(800), mid="0"), ALICE)
        stage.flush(subscriber, BOB)
    ssrc = subscriber.downstream("0")
    return sum(int.from_bytes(packet[8:12]) == ssrc for packet in subscriber.received) == 1000


class Call:
    """Two who talk, and in another room one whom the forwarder has a fault with."""

    def __init__(self) -> None:
        self.stage = Stage(room=Trap, may_fail=True)
        self.trap = alice(room="another")
        self.trap.participant = "trap"
        self.stage.join(self.trap, CAROL)
        self.one, self.other = alice(), bob()
        self.stage.join(self.one, ALICE)
        self.stage.join(self.other, BOB)

    def undisturbed(self) -> bool:
        return sound(self.stage, self.one, self.other) == 5


@pytest.fixture
def call() -> Call:
    return Call()


def test_a_timer_that_fails_takes_no_other_with_it(call: Call) -> None:
    stage = call.stage
    for _ in range(20):
        stage.now += 0.5
        # The room of the fault is due first, all the others with it.
        stage.forwarder.handle_timer(stage.now)
        stage.wire.take(BOB)
        for page, remote in ((call.one, ALICE), (call.other, BOB), (call.trap, CAROL)):
            stage.consent(page, remote, stage.receive(page.check(), remote))
    assert stage.faults >= 20, "and is called again"
    assert goes_on(stage, call.one, call.other)


def test_what_fails_always_is_not_called_all_the_time(call: Call) -> None:
    stage = call.stage
    stage.forwarder.handle_timer(stage.now + 1)
    failed = stage.faults
    due = stage.forwarder.next_timeout()
    assert due is not None
    for _ in range(100):
        stage.forwarder.handle_timer(stage.now + 1)
    assert stage.faults == failed


def test_a_datagram_that_we_fail_at_is_counted_and_the_next_ones_turn_comes(call: Call) -> None:
    before = call.stage.faults
    call.stage.receive(call.trap.rtp(1111, 111, mid="0"), CAROL)
    assert call.stage.faults == before + 1
    assert call.undisturbed()


def test_a_request_that_we_fail_at_is_refused(call: Call) -> None:
    page = Page("snare")
    refused = call.stage.ask(page)
    assert isinstance(refused, Refused)
    assert refused.code is Code.SFU_UNAVAILABLE
    assert call.undisturbed()
    call.stage.handle(Leave("room", "snare"))
    assert call.stage.forwarder.participants == 3


def test_one_of_a_room_whose_turn_fails_does_not_cost_the_others_theirs() -> None:
    class Sore(Room):
        def _look_down(self, participant: object, now: float) -> None:
            if getattr(participant, "pid", "") == "bob":
                raise IndexError(SECRET)

    stage = Stage(room=Sore, may_fail=True)
    one, other = alice(), bob()
    stage.join(other, BOB)
    stage.join(one, ALICE)
    assert goes_on(stage, one, other)
    assert stage.faults >= 10


def test_a_sweep_that_fails_at_one_notices_the_silence_of_others(call: Call) -> None:
    stage = call.stage
    path = stage.wire.paths[CAROL]
    assert path.connection is not None
    path.connection.ice.heard = "never"  # type: ignore[assignment]
    stage.now += 16
    stage.forwarder.sweep(stage.now)
    gone = [event for event in stage.forwarder.events() if isinstance(event, Gone)]
    assert {event.participant for event in gone} == {"alice", "bob"}
    assert stage.faults == 1


def test_a_line_says_where_it_was_and_quotes_nothing(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        faults.configure()
        for _ in range(100):
            call.stage.receive(call.trap.rtp(1111, 111, mid="0"), CAROL)
        faults.loop_failed(None, {"message": SECRET, "exception": ValueError(SECRET)})
    finally:
        root.handlers, root.level = before, level
    said = capsys.readouterr().err
    assert "forwarder_fault" in said
    assert "builtins.IndexError: unit/test_sfu_faults.py" in said
    assert "loop_fault" in said
    assert SECRET not in said
    assert said.count("forwarder_fault") <= 10, "much of it is counted only"
