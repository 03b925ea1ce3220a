"""Loss on either side: history, NACKs to publishers, answers to subscribers, and their bounds."""

from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp
from sfu.history import PacketHistory
from sfu.interfaces import Bounds, Tile
from sfu.nack import MissingPackets, RepeatBudget, Repeats
from sfu.rtp import encode
from tests.unit.sfu_world import (
    PLAIN_CAMERA,
    VP8_RTX,
    Encoder,
    Page,
    World,
    picture,
)

# History


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200), st.floats(0, 0.2)), max_size=120)
)
def test_history_stays_within_its_bounds(puts: list[tuple[int, int, float]]) -> None:
    history = PacketHistory(64, 2000, 1.0)
    now, highest = 0.0, 0
    kept: dict[int, tuple[float, bytes]] = {}
    for number, size, passed in puts:
        now += passed
        data = bytes((number & 0xFF,)) * size
        highest = max(highest, number)
        if history.put(number, data, now):
            assert number not in kept, "taken twice"
            kept[number] = (now, data)
        assert len(history) <= 64
        assert history.octets <= max(2000, size)
        assert history.octets == sum(
            len(history._data[slot] or b"") for slot in range(64)
        )  # counted right
        for wanted in range(max(0, highest - 70), highest + 2):
            found = history.get(wanted, now)
            if found is not None:
                at, original = kept[wanted]
                assert found == original
                assert now - at <= 1.0
    history.expire(now + 10)
    assert history.octets == 0


def test_history_forgets_the_oldest_first() -> None:
    history = PacketHistory(8, 10_000, 1.0)
    for number in range(20):
        assert history.put(number, b"x", 0.0)
    assert [number for number in range(20) if history.get(number, 0.0)] == list(range(12, 20))
    assert not history.put(11, b"x", 0.0)
    assert not history.put(15, b"x", 0.0)


def test_what_is_missing_before_a_young_packet_may_still_come() -> None:
    """A screen on which little moves: a second between two frames."""
    history = PacketHistory(8, 10_000, 1.0)
    history.put(10, b"old", 0.0)
    history.put(12, b"young", 0.98)
    history.expire(1.02)
    assert history.get(10, 1.02) is None
    assert history.put(11, b"late", 1.06)
    assert not history.put(10, b"again", 1.06)
    history.expire(1.99)
    assert history.get(11, 1.99) == b"late"
    history.expire(3.0)
    assert history.octets == 0
    assert not history.put(12, b"again", 3.0)


# Asking publishers


def test_missing_packets_are_asked_for_at_a_pace_and_given_up() -> None:
    missing = MissingPackets()
    missing.lost(10, 13, 0.0)
    assert missing.due(0.0, 0.1) == [10, 11, 12]
    assert missing.due(0.05, 0.1) == []
    missing.arrived(11)
    assert missing.due(0.1, 0.1) == [10, 12]
    asked = sum(bool(missing.due(at * 0.02, 0.01)) for at in range(6, 100))
    assert asked == 6  # eight times in all
    assert missing.given_up
    assert not missing


def test_a_large_gap_is_not_asked_for() -> None:
    missing = MissingPackets()
    missing.lost(0, 10, 0.0)
    missing.lost(20, 20 + 250, 0.0)
    assert missing.given_up
    assert missing.due(1.0, 0.1) == []


class Call:
    """One plain camera and one subscriber, with packets by hand."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.world = World(bounds)
        self.publisher: Page = self.world.join("a", send=[PLAIN_CAMERA])
        self.track = self.world.receive_video("a")
        self.subscriber: Page = self.world.join("b", receive=[self.track])
        self.encoder = Encoder(ssrc=0x10)
        assert self.track.rtx_ssrc is not None
        self.rtx_ssrc: int = self.track.rtx_ssrc

    def give(self, *packets: bytes) -> None:
        for packet in packets:
            self.world.room.receive_rtp("a", packet, self.world.now)

    def ask(self, *numbers: int) -> None:
        self.world.room.receive_rtcp("b", rtcp.nack(self.track.ssrc, numbers), self.world.now)

    def requests(self) -> list[int]:
        found = [one for one in self.publisher.rtcp if isinstance(one, rtcp.Nack)]
        self.publisher.rtcp.clear()
        return [number for one in found for number in one.numbers]


def test_a_gap_is_asked_for_and_closed_by_a_retransmission() -> None:
    call = Call()
    call.give(*call.encoder.frame(4))
    first, lost, third = call.encoder.frame(3)
    call.give(first, third)
    call.world.pass_time(0.03)
    number = (call.encoder.sequence - 1) & 0xFFFF
    assert call.requests() == [number]
    repaired = encode(
        VP8_RTX, 9, call.encoder.timestamp, 0x20, number.to_bytes(2, "big") + lost[12 + 8 :],
        extensions=[(1, b"1"), (3, b"x")],
    )  # fmt: skip
    call.give(repaired, repaired)
    call.world.pass_time(0.2)
    assert call.requests() == []
    pictures = [one for one in map(picture, call.subscriber.of(call.track.ssrc)) if one]
    assert [(one.frame, one.packet) for one in pictures[4:]] == [(1, 0), (1, 2), (1, 1)]
    numbers = [one.sequence for one in pictures[4:]]
    assert numbers == [numbers[0], numbers[0] + 2, numbers[0] + 1]


def test_what_never_comes_leads_to_a_key_frame() -> None:
    call = Call()
    call.give(*call.encoder.frame(2))
    first, _, third = call.encoder.frame(3)
    call.give(first, third)
    call.world.pass_time(1.5)
    asked = [one for one in call.publisher.rtcp if isinstance(one, rtcp.KeyFrameRequest)]
    assert asked == [rtcp.KeyFrameRequest(0x10)]


# Answering subscribers


def test_a_subscriber_gets_again_what_it_misses() -> None:
    call = Call()
    for _ in range(3):
        call.give(*call.encoder.frame(3))
    sent = call.subscriber.take()
    call.ask(sent[4].sequence, sent[7].sequence)
    again = call.subscriber.take()
    assert [one.ssrc for one in again] == [call.rtx_ssrc] * 2
    assert {one.payload_type for one in again} == {VP8_RTX}
    for repeated, original in zip(again, (sent[4], sent[7]), strict=True):
        assert int.from_bytes(repeated.payload[:2], "big") == original.sequence
        assert repeated.payload[2:] == original.payload
        assert repeated.timestamp == original.timestamp
        assert repeated.marker == original.marker
    assert again[1].sequence == again[0].sequence + 1
    numbers = [one.transport_cc for one in (*sent, *again)]
    assert numbers == list(range(len(numbers)))


def test_a_subscriber_cannot_make_us_send_much() -> None:
    """However often it asks: each packet some times, and all within a share of its bandwidth."""
    call = Call()
    for _ in range(20):
        call.give(*call.encoder.frame(5, size=1100))
    sent = call.subscriber.take()
    numbers = sorted({one.sequence + (0x10000 if one.sequence < 0x4000 else 0) for one in sent})
    octets = asked = 0
    for _ in range(500):
        call.ask(*numbers)
        asked += 1
        call.world.now += 0.002
        octets += sum(len(one.data) for one in call.subscriber.take())
    assert asked == 500
    # In one second: half of the bandwidth's estimate, and what had been saved up.
    assert octets < 1_000_000 / 8 * 0.5 * 1.6
    per_packet = call.world.room.counters.retransmitted / len(numbers)
    assert per_packet <= 6


def test_nonsense_is_not_answered() -> None:
    call = Call()
    for _ in range(3):
        call.give(*call.encoder.frame(3))
    sent = call.subscriber.take()
    call.ask(12_345, sent[0].sequence - 1, sent[-1].sequence + 1)
    call.world.room.receive_rtcp("b", rtcp.nack(0xBAD, [sent[0].sequence]), call.world.now)
    call.world.room.receive_rtcp("a", rtcp.nack(call.track.ssrc, [sent[0].sequence]), 0.0)
    assert call.subscriber.take() == []


def test_what_is_too_old_is_not_answered() -> None:
    call = Call()
    call.give(*call.encoder.frame(3))
    sent = call.subscriber.take()
    call.world.now += 1.5
    call.ask(sent[0].sequence)
    assert call.subscriber.take() == []


def test_a_number_left_open_by_a_former_run_is_filled_when_asked_for() -> None:
    call = Call()
    call.give(*call.encoder.frame(2))
    call.encoder.frame(2)  # lost
    call.give(*call.encoder.frame(2))
    before = call.subscriber.take()
    call.world.room.want("b", [], call.world.now)
    call.world.room.want("b", _shown(call), call.world.now)
    call.give(*call.encoder.frame(2, key=True))
    assert len(call.subscriber.take()) == 2
    hole = (before[1].sequence + 1) & 0xFFFF
    call.ask(hole)
    call.ask(hole)
    (filled,) = call.subscriber.take()
    assert (filled.ssrc, filled.sequence, filled.payload) == (call.track.ssrc, hole, b"")


def test_what_was_sent_of_another_run_is_not_repeated() -> None:
    """Its timestamps were others, and a key frame has come since."""
    call = Call()
    call.give(*call.encoder.frame(2))
    before = call.subscriber.take()
    call.world.room.want("b", [], call.world.now)
    call.world.room.want("b", _shown(call), call.world.now)
    call.give(*call.encoder.frame(2, key=True))
    after = call.subscriber.take()
    call.ask(before[0].sequence)
    assert call.subscriber.take() == []
    call.ask(after[0].sequence)
    assert len(call.subscriber.take()) == 1


def _shown(call: Call) -> list[Tile]:
    return [Tile("a", call.track.source, 640, 360)]


def test_without_a_retransmission_stream_nothing_is_repeated() -> None:
    """The same number again would be the same nonce again."""
    call = Call()
    (subscription,) = call.world.room._participants["b"].subscriptions.values()
    subscription.leg.rtx_constant = 0
    call.give(*call.encoder.frame(3))
    sent = call.subscriber.take()
    call.ask(sent[0].sequence)
    assert call.subscriber.take() == []


def test_repeats_and_budget_by_themselves() -> None:
    repeats = Repeats()
    assert repeats.may(5, 0.0, 0.1)
    assert not repeats.may(5, 0.05, 0.1)
    assert [repeats.may(5, 1.0 + at, 0.1) for at in range(7)] == [True] * 5 + [False] * 2
    for number in range(2000):
        repeats.may(number, 10.0, 0.1)
    assert len(repeats._times) <= 512
    budget = RepeatBudget(0.0)
    taken = 0
    while budget.take(100, 0.0):
        taken += 100
    assert taken <= 150_000 / 8 / 2
    assert budget.take(100, 1.0)
