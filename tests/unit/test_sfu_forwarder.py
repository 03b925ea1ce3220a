"""Rooms and requests of a node: what pages get, and what becomes of them, without a socket."""

from __future__ import annotations

import os
from typing import Any

import pytest
from msgspec.structs import replace

from sfu.certificate import make_certificate
from sfu.config import NodeBounds
from sfu.control import (
    Answer,
    Close,
    Code,
    Done,
    Drain,
    Gone,
    Leave,
    Refused,
    Source,
    Sources,
    Tile,
    Want,
)
from sfu.interfaces import Bounds
from tests.unit.sfu_page import Page, camera, microphone, receiver
from tests.unit.sfu_stage import Stage

ALICE, BOB = ("198.51.100.1", 1111), ("198.51.100.2", 2222)


def alice(**more: Any) -> Page:
    return Page("alice", [microphone("0"), camera("1")], **more)


def bob(**more: Any) -> Page:
    wanted = [receiver("0", "alice", Source.MICROPHONE), receiver("1", "alice", Source.CAMERA)]
    return Page("bob", wanted, **more)


def refusal(result: object) -> Refused:
    assert isinstance(result, Refused), result
    return result


def sound(stage: Stage, publisher: Page, subscriber: Page, count: int = 5) -> int:
    """How many of the publisher's packets the subscriber gets."""
    subscriber.received.clear()
    stage.wire.take(BOB)
    for _ in range(count):
        stage.receive(publisher.rtp(1111, 111, mid="0"), ALICE)
    stage.flush(subscriber, BOB)
    ssrc = subscriber.downstream("0")
    return sum(int.from_bytes(packet[8:12]) == ssrc for packet in subscriber.received)


def test_sound_of_one_comes_to_the_other_under_the_ssrc_of_the_answer() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    assert sound(stage, one, other) == 5
    assert other.received[-1].endswith(b"payload")
    assert stage.forwarder.rooms == 1
    assert stage.forwarder.participants == 2


def test_everybody_is_told_the_sources_and_the_newcomer_once_more() -> None:
    stage = Stage()
    stage.join(alice(), ALICE)
    stage.events.clear()
    stage.negotiate(Page("carol", [receiver("0", "alice", Source.MICROPHONE)]))
    own = [e for e in stage.events if isinstance(e, Sources) and e.to == "carol"]
    assert len(own) == 1
    assert [(s.participant, s.source, s.kind) for s in own[0].sources] == [
        ("alice", Source.MICROPHONE, "audio"),
        ("alice", Source.CAMERA, "video"),
    ]


def test_the_same_offer_again_has_the_same_answer() -> None:
    stage = Stage()
    page = alice()
    offer = page.offer()
    first = stage.handle(offer)
    assert isinstance(first, Answer)
    assert stage.handle(offer) == first
    assert stage.forwarder.participants == 1


def test_another_offer_of_the_same_page_goes_on_with_the_connection() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    before = other.attribute("ice-ufrag"), other.downstream("0"), other.downstream("1")
    other.sections.append(receiver("2", "alice", Source.SCREEN))
    stage.negotiate(other)
    assert (other.attribute("ice-ufrag"), other.downstream("0"), other.downstream("1")) == before
    assert other.downstream("2") not in before
    assert sound(stage, one, other) == 5


def test_a_section_that_ends_and_is_used_again_has_a_new_ssrc() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    first = other.downstream("0")
    other.sections[0].direction, kept = "inactive", other.sections[0].track
    other.sections[0].track = None
    stage.negotiate(other)
    assert "a=ssrc" not in other.answer.split("a=mid:0")[1].split("m=")[0]
    other.sections[0].direction, other.sections[0].track = "recvonly", kept
    stage.negotiate(other)
    assert other.downstream("0") != first
    assert sound(stage, one, other) == 5


def test_a_restart_of_ice_loses_nothing() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    former = other.attribute("ice-ufrag"), other.attribute("ice-pwd")
    old_check = other.check()
    other.restart_ice()
    stage.negotiate(other)
    assert other.attribute("ice-ufrag") != former[0]
    assert stage.receive(old_check, BOB), "the former credentials are good until the new are used"
    assert sound(stage, one, other) == 5
    new_home = ("203.0.113.9", 9)
    stage.come(other, new_home)
    stage.receive(one.rtp(1111, 111, mid="0"), ALICE)
    assert stage.wire.take(new_home), "media follows to the address of the restart"
    assert not stage.receive(old_check, BOB)
    assert stage.dropped["stun_wrong_ufrag"] == 1


def test_a_page_that_was_loaded_again_takes_its_place() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    again = alice()
    home = ("198.51.100.77", 77)
    stage.join(again, home)
    assert [datagram[0] for datagram in stage.wire.take(ALICE)] == [21], "the former one is told"
    assert stage.forwarder.participants == 2
    other.received.clear()
    stage.wire.take(BOB)
    for _ in range(3):
        stage.receive(again.rtp(1111, 111, mid="0"), home)
    stage.flush(other, BOB)
    assert len(other.received) == 3
    assert not stage.receive(one.check(), ALICE)
    assert not any(isinstance(event, Gone) for event in stage.events)


def test_who_left_is_neither_heard_nor_sent_to() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    assert stage.handle(Leave("room", "bob")) == Done()
    farewell = stage.wire.take(BOB)
    assert [d[0] for d in farewell] == [21], "a DTLS alert: close_notify"
    stage.receive(one.rtp(1111, 111, mid="0"), ALICE)
    assert not stage.wire.take(BOB)
    assert not stage.receive(other.check(), BOB)
    assert stage.handle(Leave("room", "bob")) == Done()
    assert stage.forwarder.participants == 1


def test_the_last_to_leave_and_a_closed_room_leave_nothing() -> None:
    stage = Stage()
    stage.join(alice(), ALICE)
    stage.handle(Leave("room", "alice"))
    assert stage.forwarder.rooms == 0
    stage.join(alice(), ALICE)
    stage.join(bob(), BOB)
    stage.handle(Close("room"))
    assert (stage.forwarder.rooms, stage.forwarder.participants) == (0, 0)
    assert not stage.wire.paths
    assert stage.forwarder.next_timeout() is None


def test_a_silent_page_is_gone_after_15_seconds_and_others_are_not() -> None:
    stage = Stage()
    one, other = alice(), bob()
    stage.join(one, ALICE)
    stage.join(other, BOB)
    for _ in range(20):
        stage.now += 1
        stage.receive(one.check(), ALICE)
        stage.forwarder.sweep(stage.now)
        stage.events += stage.forwarder.events()
    gone = [event for event in stage.events if isinstance(event, Gone)]
    assert gone == [Gone("room", 1, "bob", "silent")]
    assert stage.forwarder.participants == 1


def test_a_page_that_never_comes_is_gone() -> None:
    stage = Stage()
    stage.negotiate(alice())
    stage.now += 31
    stage.forwarder.sweep(stage.now)
    assert Gone("room", 1, "alice", "never_connected") in stage.forwarder.events()
    assert stage.forwarder.rooms == 0


def test_a_page_that_says_goodbye_is_gone_at_once() -> None:
    stage = Stage()
    page = alice()
    stage.join(page, ALICE)
    stage.join(bob(), BOB)
    page.dtls.shutdown()
    stage.receive(page.dtls.bio_read(1 << 16), ALICE)
    assert Gone("room", 1, "alice", "closed") in stage.events


def test_a_page_with_another_certificate_is_gone_and_told() -> None:
    stage = Stage()
    page = alice(certificate=make_certificate(0.0, os.urandom))
    stage.negotiate(page)
    stage.receive(page.check(), ALICE)
    stage.shake(page, ALICE)
    assert page.failed
    assert not page.connected
    assert Gone("room", 1, "alice", "wrong_certificate") in stage.events


def test_a_page_that_believes_in_a_lost_association_is_gone_soon() -> None:
    stage = Stage()
    page = alice()
    stage.join(page, ALICE)
    stage.handle(Leave("room", "alice"))
    stage.negotiate(page)
    stage.receive(page.check(), ALICE)
    for _ in range(60):
        stage.receive(page.rtp(1111, 111), ALICE)
    assert Gone("room", 1, "alice", "never_connected") in stage.events


def test_generations() -> None:
    stage = Stage()
    stage.join(alice(generation=2), ALICE)
    stage.join(bob(generation=2), BOB)
    assert refusal(stage.ask(alice(generation=1))).code is Code.STALE_GENERATION
    assert stage.forwarder.participants == 2
    stage.negotiate(alice(generation=3))
    assert stage.forwarder.participants == 1, "the room began anew"
    want = Want("room", "alice", 2, [])
    assert refusal(stage.handle(want)).code is Code.STALE_GENERATION


def test_a_bad_offer_of_a_new_generation_ends_nothing() -> None:
    stage = Stage()
    stage.join(alice(), ALICE)
    page = bob(generation=2)
    offer = page.offer()
    assert refusal(stage.handle(replace(offer, sdp="v=0\r\n"))).code is Code.BAD_DESCRIPTION
    assert stage.forwarder.participants == 1


def test_wants_are_taken_from_who_is_there() -> None:
    stage = Stage()
    stage.join(bob(), BOB)
    tile = Tile("alice", Source.CAMERA, 640, 360)
    assert stage.handle(Want("room", "bob", 1, [tile])) == Done()
    for room, who in (("room", "nobody"), ("other", "bob")):
        want = Want(room, who, 1, [tile])
        assert refusal(stage.handle(want)).code is Code.NOT_ALLOWED


def test_a_draining_node_takes_no_new_rooms_and_goes_on_with_others() -> None:
    stage = Stage()
    stage.join(alice(), ALICE)
    assert stage.handle(Drain()) == Done()
    stage.join(bob(), BOB)
    refused = refusal(stage.ask(alice(room="other")))
    assert refused.code is Code.SFU_UNAVAILABLE
    assert refused.retry_after > 0
    assert refused.full


@pytest.mark.parametrize(
    "bounds",
    [NodeBounds(rooms=1), NodeBounds(participants=1)],
    ids=["rooms", "participants"],
)
def test_bounds_of_the_node(bounds: NodeBounds) -> None:
    stage = Stage(bounds)
    page = alice()
    stage.join(page, ALICE)
    refused = refusal(stage.ask(Page("bob", room="other")))
    assert refused.code is Code.SFU_UNAVAILABLE
    assert refused.full
    stage.negotiate(page)
    assert stage.forwarder.rooms == 1


def test_a_full_room() -> None:
    stage = Stage(NodeBounds(room=Bounds(participants=1)))
    page = alice()
    stage.join(page, ALICE)
    refused = refusal(stage.ask(bob()))
    assert refused.code is Code.SFU_UNAVAILABLE
    assert not refused.full, "another room would find a place"
    assert stage.forwarder.participants == 1
    stage.negotiate(alice())
    assert stage.forwarder.participants == 1


def test_nobody_receives_themselves() -> None:
    stage = Stage()
    page = Page("alice", [receiver("0", "alice", Source.MICROPHONE)])
    refused = refusal(stage.ask(page))
    assert (refused.code, refused.field) == (Code.NOT_ALLOWED, "tracks[0]")
    assert stage.forwarder.rooms == 0


def test_rooms_are_apart() -> None:
    stage = Stage()
    one, other = alice(), bob(room="elsewhere")
    stage.join(one, ALICE)
    stage.join(other, BOB)
    stage.wire.take(BOB)
    stage.receive(one.rtp(1111, 111, mid="0"), ALICE)
    stage.flush(other, BOB)
    assert not other.received


def test_a_page_whose_last_path_is_gone_is_gone_as_well() -> None:
    """As when a TCP stream ends: there is no path left that could fall silent."""
    stage = Stage()
    stage.join(alice(), ALICE)
    path = stage.wire.paths[ALICE]
    assert path.connection is not None
    path.connection.lose_path(path, stage.now)
    stage.now += 16
    stage.forwarder.sweep(stage.now)
    assert Gone("room", 1, "alice", "silent") in stage.forwarder.events()
