"""The mailbox: every signal once, in order, or the loss is told."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from signaling.mailbox import (
    MAX_BEHIND,
    MAX_BYTES,
    MAX_SIGNALS,
    Letter,
    Mailbox,
    MailboxError,
    Resumed,
    Taken,
)

ADA = "A" * 22
BOB = "B" * 22
FIRST = "instance-1"
SECOND = "instance-2"


def number(text: bytes) -> int:
    seq: int = json.loads(text)["seq"]
    return seq


def filled(count: int, base: int = 0) -> Mailbox:
    mailbox = Mailbox(base)
    for id in range(1, count + 1):
        assert mailbox.post(ADA, FIRST, id, f"data {id}") is not None
    return mailbox


def test_numbers_rise_from_the_base() -> None:
    mailbox = Mailbox(40)
    assert mailbox.seq == 40
    assert mailbox.post(ADA, FIRST, 1, "x") == (
        b'{"type":"signal","seq":41,"from":"%s","data":"x"}' % ADA.encode()
    )
    assert mailbox.post(BOB, FIRST, 1, "y") is not None
    assert mailbox.seq == 42
    assert len(mailbox) == 2


def test_ack_says_once_who_may_forget_what() -> None:
    mailbox = Mailbox(10)
    mailbox.post(ADA, FIRST, 5, "a")
    mailbox.post(BOB, FIRST, 1, "b")
    mailbox.post(ADA, FIRST, 6, "c")
    mailbox.post(ADA, SECOND, 1, "d")
    assert mailbox.ack(13) == (Taken(ADA, FIRST, 6), Taken(BOB, FIRST, 1))
    assert mailbox.ack(13) == ()
    assert len(mailbox) == 1
    assert mailbox.ack(14) == (Taken(ADA, SECOND, 1),)
    assert mailbox.ack(14) == ()


@pytest.mark.parametrize("seq", [0, 9, 14, 2**53 - 1])
def test_ack_of_a_number_never_given_does_nothing(seq: int) -> None:
    mailbox = filled(3, base=10)
    assert mailbox.ack(seq) == ()
    assert len(mailbox) == 3


def test_a_signal_sent_again_behind_a_younger_one_takes_nothing_back() -> None:
    mailbox = Mailbox(0)
    mailbox.post(ADA, FIRST, 7, "x")
    mailbox.post(ADA, FIRST, 6, "again")
    assert mailbox.ack(2) == (Taken(ADA, FIRST, 7),)


def test_full_at_256_and_open_again_after_an_ack() -> None:
    mailbox = filled(MAX_SIGNALS)
    assert mailbox.post(BOB, FIRST, 1, "one too many") is None
    assert len(mailbox) == MAX_SIGNALS
    mailbox.ack(1)
    text = mailbox.post(BOB, FIRST, 1, "now")
    assert text is not None
    assert number(text) == MAX_SIGNALS + 1


def test_full_at_its_bytes() -> None:
    mailbox = Mailbox(0)
    big = "x" * 60_000
    taken = 0
    while mailbox.post(ADA, FIRST, taken + 1, big) is not None:
        taken += 1
    assert taken == MAX_BYTES // 60_100
    assert mailbox.post(BOB, FIRST, 1, "small") is not None
    mailbox.ack(taken)
    mailbox.ack(taken + 1)
    assert mailbox.post(ADA, FIRST, taken + 1, big) is not None


def test_bytes_are_counted_down_by_partial_acks() -> None:
    mailbox = Mailbox(0)
    for id in range(1, 1000):
        assert mailbox.post(ADA, FIRST, id, "x" * 60_000) is not None
        if len(mailbox) > 10:
            mailbox.ack(id - 5)


def test_nothing_overtakes_a_refused_signal() -> None:
    mailbox = filled(MAX_SIGNALS)
    assert mailbox.post(BOB, FIRST, 5, "refused") is None
    mailbox.ack(10)
    assert mailbox.post(BOB, FIRST, 6, "behind it") is None
    assert mailbox.post(ADA, FIRST, 300, "somebody else's") is not None
    assert mailbox.post(BOB, SECOND, 1, "after a reload") is not None
    assert mailbox.post(BOB, FIRST, 5, "refused") is not None
    assert mailbox.post(BOB, FIRST, 6, "behind it") is not None


def test_the_table_of_refused_senders_is_bounded() -> None:
    mailbox = filled(MAX_SIGNALS)
    for i in range(MAX_BEHIND + 10):
        assert mailbox.post(BOB, f"instance-{i}", 1, "x") is None
    dumped = mailbox.dump()
    assert Mailbox.load(dumped).dump() == dumped
    mailbox.ack(MAX_SIGNALS)
    assert mailbox.post(BOB, "instance-0", 2, "x") is not None  # dropped, the oldest
    assert mailbox.post(BOB, f"instance-{MAX_BEHIND + 9}", 2, "x") is None


def test_a_kept_signal_is_known() -> None:
    mailbox = filled(3)
    assert mailbox.holds(ADA, FIRST, 2)
    assert not mailbox.holds(ADA, SECOND, 2)
    assert not mailbox.holds(BOB, FIRST, 2)
    assert not mailbox.holds(ADA, FIRST, 4)
    mailbox.ack(2)
    assert not mailbox.holds(ADA, FIRST, 2)
    assert not Mailbox(0).holds(ADA, FIRST, 1)


def test_resume_gives_what_was_missed_and_acknowledges_the_rest() -> None:
    mailbox = filled(5, base=100)
    resumed = mailbox.resume(103)
    assert resumed is not None
    assert [number(text) for text in resumed.missed] == [104, 105]
    assert resumed.taken == (Taken(ADA, FIRST, 3),)
    assert mailbox.resume(105) == Resumed((), (Taken(ADA, FIRST, 5),))
    assert mailbox.resume(105) == Resumed((), ())
    text = mailbox.post(ADA, FIRST, 6, "x")
    assert text is not None
    assert number(text) == 106


@pytest.mark.parametrize("last_seq", [0, 99, 101, 106, 2**53 - 1])
def test_resume_with_another_mailboxs_number_is_a_loss(last_seq: int) -> None:
    mailbox = filled(5, base=100)
    mailbox.ack(102)
    assert mailbox.resume(last_seq) is None
    assert len(mailbox) == 3


def test_an_empty_mailbox_resumes_only_at_its_number() -> None:
    assert Mailbox(100).resume(100) == Resumed((), ())
    assert Mailbox(100).resume(0) is None
    assert Mailbox(100).resume(101) is None


def test_dumped_and_loaded_it_goes_on() -> None:
    mailbox = filled(MAX_SIGNALS, base=2**52)
    assert mailbox.post(BOB, FIRST, 9, "refused") is None
    loaded = Mailbox.load(mailbox.dump())
    assert loaded.seq == mailbox.seq
    assert loaded.post(BOB, FIRST, 9, "still full") is None
    resumed = loaded.resume(2**52 + 250)
    assert resumed is not None
    assert [number(text) for text in resumed.missed] == [2**52 + n for n in range(251, 257)]
    assert loaded.post(BOB, FIRST, 10, "behind") is None
    assert loaded.post(BOB, FIRST, 9, "refused") is not None
    assert Mailbox.load(Mailbox(7).dump()).seq == 7


def test_a_dump_with_gaps_is_refused() -> None:
    blob = filled(3).dump().replace(b'"seq":2', b'"seq":9')
    Mailbox.load(blob)  # the text is opaque
    mailbox = filled(3)
    assert mailbox._kept is not None
    del mailbox._kept[1]
    with pytest.raises(MailboxError):
        Mailbox.load(mailbox.dump())


def test_letters_travel() -> None:
    letter = Letter(ADA, FIRST, 2**53 - 1, "sealed.x.1.ü")
    assert Letter.decode(letter.encode()) == letter
    with pytest.raises(MailboxError):
        Letter.decode(letter.encode()[:-1])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(blob: bytes) -> None:
    for load in (Mailbox.load, Letter.decode):
        try:
            load(blob)
        except MailboxError:
            continue


@given(st.data())
def test_damaged_dumps_are_refused_or_consistent(data: st.DataObject) -> None:
    blob = bytearray(filled(3).dump())
    blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        mailbox = Mailbox.load(bytes(blob))
    except MailboxError:
        return
    assert mailbox.resume(mailbox.seq) is not None
    assert len(mailbox) == 0


def test_an_empty_mailbox_is_small() -> None:
    mailbox = filled(20)
    mailbox.ack(20)
    assert not hasattr(mailbox, "__dict__")
    held = [mailbox, *(getattr(mailbox, slot) for slot in Mailbox.__slots__)]
    assert sum(map(sys.getsizeof, held)) < 250


class Delivery(RuleBasedStateMachine):
    """A recipient that takes, loses its socket, resumes and moves between nodes: what it has taken
    is at every moment exactly the start of what was posted."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox(1000)
        self.posted: list[int] = []
        self.in_flight: list[bytes] = []
        self.seen: list[int] = []
        self.last_seq = 1000
        self.told = 0
        self.next_id = 1

    @rule(count=st.integers(1, 100))
    def post(self, count: int) -> None:
        for _ in range(count):
            text = self.mailbox.post(ADA, FIRST, self.next_id, str(self.next_id))
            if text is None:
                return
            self.posted.append(self.next_id)
            self.in_flight.append(text)
            self.next_id += 1

    @precondition(lambda self: self.in_flight)
    @rule(count=st.integers(1, 100))
    def take(self, count: int) -> None:
        for text in self.in_flight[:count]:
            message = json.loads(text)
            self.last_seq = message["seq"]
            self.seen.append(int(message["data"]))
        del self.in_flight[:count]

    @rule()
    def ack(self) -> None:
        self.tell(self.mailbox.ack(self.last_seq))

    @rule(moved=st.booleans())
    def resume(self, moved: bool) -> None:
        if moved:
            self.mailbox = Mailbox.load(self.mailbox.dump())
        resumed = self.mailbox.resume(self.last_seq)
        assert resumed is not None
        self.in_flight = list(resumed.missed)
        self.tell(resumed.taken)

    def tell(self, taken: tuple[Taken, ...]) -> None:
        for one in taken:
            assert one.id > self.told
            self.told = one.id

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert self.seen == self.posted[: len(self.seen)]
        assert self.told <= len(self.seen)
        assert len(self.mailbox) <= MAX_SIGNALS


TestDelivery = Delivery.TestCase
