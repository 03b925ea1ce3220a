"""What strangers, liars and broken pages send: dropped and counted, and nobody else notices."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from sfu.certificate import make_certificate
from sfu.connection import MAX_SSRCS
from sfu.ice_lite import addressed_ufrag, is_stun
from sfu.route import MAX_PATHS
from tests.unit.sfu_page import Page
from tests.unit.sfu_stage import Stage
from tests.unit.test_sfu_forwarder import ALICE, BOB, alice, bob, sound

MALLORY = ("203.0.113.66", 6666)


class Call:
    """Two who talk; `undisturbed` fails when they do not any more."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.one, self.other = alice(), bob()
        self.stage.join(self.one, ALICE)
        self.stage.join(self.other, BOB)

    def undisturbed(self) -> bool:
        return sound(self.stage, self.one, self.other) == 5


@pytest.fixture
def call() -> Call:
    return Call()


def core_dropped(stage: Stage) -> int:
    return sum(stage.forwarder.dropped().values())


# SRTP and SRTCP


@pytest.mark.parametrize("kind", ["rtp", "rtcp"])
def test_a_bad_tag(call: Call, kind: str) -> None:
    datagram = bytearray(call.one.rtp(1111, 111) if kind == "rtp" else call.one.rtcp())
    datagram[-1] ^= 1
    call.stage.receive(bytes(datagram), ALICE)
    assert call.stage.dropped["srtp_bad_tag"] == 1
    assert call.undisturbed()


@pytest.mark.parametrize("kind", ["rtp", "rtcp"])
def test_a_replay(call: Call, kind: str) -> None:
    datagram = call.one.rtp(1111, 111) if kind == "rtp" else call.one.rtcp()
    for _ in range(3):
        call.stage.receive(datagram, ALICE)
    assert call.stage.dropped["srtp_replayed"] == 2
    assert call.undisturbed()


@pytest.mark.parametrize(("ssrc", "pt"), [(99, 100), (1111, 77)])
def test_an_unknown_ssrc_and_an_unknown_payload_type(call: Call, ssrc: int, pt: int) -> None:
    call.stage.receive(call.one.rtp(ssrc, pt), ALICE)
    assert core_dropped(call.stage) == 1
    assert call.undisturbed()


def test_more_ssrcs_than_anybody_needs(call: Call) -> None:
    assert call.undisturbed()
    for ssrc in range(10_000, 10_000 + MAX_SSRCS + 10):
        call.stage.receive(call.one.rtp(ssrc, 77), ALICE)
    assert call.stage.dropped["too_many_ssrcs"] == 11
    assert call.undisturbed()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 11, 12, 20, 28])
@pytest.mark.parametrize("first", [b"\x80\x6f", b"\x80\xc8", b"\x90\x6f"])
def test_short_media(call: Call, first: bytes, size: int) -> None:
    call.stage.receive((first + os.urandom(32))[:size], ALICE)
    assert sum(call.stage.dropped.values()) == 1
    assert call.undisturbed()


@pytest.mark.parametrize("first", [b"\x80\x6f", b"\x80\xc8", b"\x16\xfe", b"\x00\x01", b"\xff\xff"])
@pytest.mark.parametrize("remote", [ALICE, MALLORY], ids=["known", "stranger"])
def test_65507_bytes(call: Call, first: bytes, remote: tuple[str, int]) -> None:
    assert not call.stage.receive(first + os.urandom(65_505), remote)
    dropped = call.stage.dropped
    assert sum(dropped.values()) == (0 if first[0] == 0x16 and remote == ALICE else 1), dropped
    assert call.undisturbed()


def test_media_of_a_stranger_and_of_the_wrong_page(call: Call) -> None:
    datagram = call.one.rtp(1111, 111)
    call.stage.receive(datagram, MALLORY)
    assert call.stage.dropped["stranger"] == 1
    call.stage.receive(datagram, BOB)
    assert call.stage.dropped["srtp_bad_tag"] == 1
    assert call.undisturbed()


def test_media_before_dtls(call: Call) -> None:
    page = Page("carol")
    call.stage.negotiate(page)
    call.stage.receive(page.check(), MALLORY)
    call.stage.receive(call.one.rtp(1111, 111), MALLORY)
    assert call.stage.dropped["before_dtls"] == 1
    assert call.undisturbed()


# STUN


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (lambda page: page.check(ufrag="nobodys0"), "stun_wrong_ufrag"),
        (lambda page: page.check(password="x" * 24), "stun_wrong_password"),
        (lambda page: page.check()[:-4], "stun_malformed"),
        (lambda page: page.check() + bytes(4), "stun_malformed"),
        (
            lambda page: b"\x00\x01\x00\x00" + stun.COOKIE.to_bytes(4) + bytes(12),
            "stun_not_a_check",
        ),
        (lambda page: page.check(attributes={"ICE-CONTROLLED": 1}), "stun_not_a_check"),
        (lambda page: b"\x01\x11" + page.check()[2:], "stun_malformed"),
    ],
    ids=["ufrag", "password", "short", "long", "bare", "role", "error response"],
)
@pytest.mark.parametrize("remote", [BOB, MALLORY], ids=["known", "stranger"])
def test_bad_checks(
    call: Call, check: Callable[[Page], bytes], reason: str, remote: tuple[str, int]
) -> None:
    answer = call.stage.receive(check(call.other), remote)
    assert call.stage.dropped == {reason: 1}
    if answer:  # a conflict of roles alone is said, to who has proven the password
        assert stun.parse_message(answer[0]).message_class is stun.Class.ERROR
    assert MALLORY not in call.stage.wire.paths
    assert call.undisturbed()


def test_a_check_for_another_page_of_the_browser_ufrag_is_not_enough(call: Call) -> None:
    """The page's own fragment is in the user name as well, and must be the one it offered."""
    call.other.ufrag = "another0"
    assert not call.stage.receive(call.other.check(), MALLORY)
    assert call.stage.dropped == {"stun_wrong_ufrag": 1}
    assert call.undisturbed()


def test_a_spoofed_ufrag_is_limited_and_the_call_goes_on(call: Call) -> None:
    ufrag = call.other.attribute("ice-ufrag")
    for port in range(500):
        check = call.one.check(ufrag=ufrag, password="y" * 24)
        assert not call.stage.receive(check, ("203.0.113.66", 1024 + port))
    assert call.stage.dropped["stun_too_often"] >= 350
    assert len(call.stage.wire.paths) == 2
    assert call.stage.receive(call.other.check(), BOB), "the page's own checks are not counted in"
    assert call.undisturbed()
    call.stage.now += 10
    assert call.stage.receive(call.other.check(), ("198.51.100.2", 3333)), "and the flood passes"


def test_a_participant_cannot_take_anothers_address(call: Call) -> None:
    assert not call.stage.receive(call.one.check(), BOB)
    assert call.stage.dropped == {"stun_address_in_use": 1}
    assert call.undisturbed()


def test_a_page_has_so_many_paths_and_no_more(call: Call) -> None:
    for port in range(3 * MAX_PATHS):
        call.stage.now += 1
        assert call.stage.receive(call.other.check(nominate=False), ("198.51.100.3", 1024 + port))
    assert len(call.stage.wire.paths) == MAX_PATHS + 1
    assert call.undisturbed()


@given(st.binary(max_size=600))
def test_noise_is_no_stun(data: bytes) -> None:
    stage = Stage()
    page = alice()
    stage.negotiate(page)
    for datagram in (data, page.check()[:20] + data):
        assert not stage.receive(datagram, MALLORY)
    assert not stage.wire.paths
    assert sum(stage.dropped.values()) == 2


@given(st.data())
def test_a_check_with_a_bit_turned_is_no_check(data: st.DataObject) -> None:
    stage = Stage()
    page = alice()
    stage.negotiate(page)
    check = bytearray(page.check())
    # FINGERPRINT, the last 8 bytes, is not what proves anything.
    at = data.draw(st.integers(0, (len(check) - 8) * 8 - 1))
    check[at // 8] ^= 1 << at % 8
    stage.receive(bytes(check), MALLORY)
    assert not stage.wire.paths
    assert sum(stage.dropped.values()) == 1


@given(st.binary(max_size=700))
def test_the_quick_look_never_fails(data: bytes) -> None:
    is_stun(data)
    addressed_ufrag(data)
    addressed_ufrag(b"\x00\x01" + len(data).to_bytes(2) + stun.COOKIE.to_bytes(4) + data)


# DTLS


def test_a_hello_of_a_stranger_costs_nothing(call: Call) -> None:
    hello = Page("mallory").shake()[0]
    for port in range(300):
        assert not call.stage.receive(hello, ("203.0.113.66", 1024 + port))
    assert call.stage.dropped == {"stranger": 300}
    assert len(call.stage.wire.paths) == 2
    assert call.undisturbed()


def test_a_flood_of_hellos_after_a_valid_check_is_cut_off(call: Call) -> None:
    page = Page("carol")
    call.stage.negotiate(page)
    call.stage.receive(page.check(), MALLORY)
    answered = 0
    for _ in range(1000):
        hello = Page("carol").shake()[0]
        answered += bool(call.stage.receive(hello, MALLORY))
    assert answered <= 200
    assert call.stage.dropped["dtls_beyond_bounds"] >= 700
    assert call.undisturbed()


def test_dtls_noise_on_a_running_connection(call: Call) -> None:
    for size in (0, 1, 12, 13, 200, 1400):
        call.stage.receive(b"\x17\xfe\xfd" + os.urandom(size), BOB)
        call.stage.receive(b"\x16\xfe\xfd" + os.urandom(size), BOB)
    assert call.undisturbed()


def test_a_wrong_certificate_disturbs_nobody_else(call: Call) -> None:
    page = Page("carol", certificate=make_certificate(0.0, os.urandom))
    call.stage.negotiate(page)
    call.stage.receive(page.check(), MALLORY)
    call.stage.shake(page, MALLORY)
    assert page.failed
    assert call.stage.counters.connections["wrong_certificate"] == 1
    assert MALLORY not in call.stage.wire.paths
    assert call.undisturbed()


# Everything else


@given(st.binary(max_size=1600))
def test_noise_of_a_known_page(data: bytes) -> None:
    CALL.stage.now += 0.1  # what a participant may send in a second has a bound
    CALL.stage.forwarder.handle_timer(CALL.stage.now)
    CALL.stage.receive(data, ALICE)
    assert CALL.undisturbed()


CALL = Call()
