"""Small parts of the forwarder: framing on TCP, timers, allowances, and who speaks what."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sfu.allowance import Allowance
from sfu.counters import TransportCounters
from sfu.demultiplexing import Protocol, protocol_of
from sfu.framing import MAX_FRAME, BrokenStreamError, Framer, frame
from sfu.tcp import TcpStream
from sfu.timers import Timers


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 40)))
def test_frames_come_whole_however_the_stream_was_split(
    datagrams: list[bytes], sizes: list[int]
) -> None:
    framer, got = Framer(), []
    for piece in _pieces(b"".join(map(frame, datagrams)), sizes):
        got += [bytes(datagram) for datagram in framer.feed(piece)]
    assert got == datagrams
    assert framer.pending == 0


def _pieces(stream: bytes, sizes: list[int]) -> Iterable[bytes]:
    while stream:
        size = sizes.pop() if sizes else len(stream)
        yield stream[:size]
        stream = stream[size:]


@given(st.binary())
def test_a_framer_holds_less_than_one_frame(data: bytes) -> None:
    framer = Framer()
    try:
        list(framer.feed(data))
    except BrokenStreamError:
        return
    assert framer.pending < 2 + MAX_FRAME


def test_a_frame_longer_than_any_of_ours_breaks_the_stream() -> None:
    with pytest.raises(BrokenStreamError):
        list(Framer().feed((MAX_FRAME + 1).to_bytes(2)))


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"", Protocol.OTHER),
        (b"\x80", Protocol.OTHER),
        (b"\x00\x01", Protocol.STUN),
        (b"\x03\x01", Protocol.STUN),
        (b"\x04\x01", Protocol.OTHER),
        (b"\x13\xfe", Protocol.OTHER),
        (b"\x14\xfe", Protocol.DTLS),
        (b"\x3f\xfe", Protocol.DTLS),
        (b"\x40\x00", Protocol.OTHER),
        (b"\x7f\x00", Protocol.OTHER),
        (b"\x80\x6f", Protocol.RTP),
        (b"\x80\xef", Protocol.RTP),
        (b"\x80\xbf", Protocol.RTP),
        (b"\x80\xc0", Protocol.RTCP),
        (b"\x81\xc9", Protocol.RTCP),
        (b"\xbf\xdf", Protocol.RTCP),
        (b"\xbf\xe0", Protocol.RTP),
        (b"\xc0\x6f", Protocol.OTHER),
    ],
)
def test_who_shares_the_socket(data: bytes, protocol: Protocol) -> None:
    assert protocol_of(data) is protocol


def test_an_allowance() -> None:
    allowance = Allowance(10.0, 5.0, 0.0)
    assert [allowance.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert allowance.take(0.1)
    assert not allowance.take(0.1)
    assert [allowance.take(100.0) for _ in range(6)] == [True] * 5 + [False]


class TimersAgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[int] = Timers()
        self.model: dict[int, float] = {}

    @rule(item=st.integers(0, 9), deadline=st.none() | st.integers(0, 50).map(float))
    def set(self, item: int, deadline: float | None) -> None:
        self.timers.set(item, deadline)
        if deadline is None:
            self.model.pop(item, None)
        else:
            self.model[item] = deadline

    @rule(now=st.integers(0, 50).map(float))
    def take(self, now: float) -> None:
        item = self.timers.due(now)
        if item is None:
            assert all(deadline > now for deadline in self.model.values())
        else:
            assert self.model.pop(item) <= now

    @rule(item=st.integers(0, 9))
    def move_again_and_again(self, item: int) -> None:
        for step in range(100):
            self.timers.set(item, 10.0 + step)
        self.model[item] = 109.0

    @invariant()
    def the_earliest_is_next_and_the_heap_is_small(self) -> None:
        assert self.timers.next() == min(self.model.values(), default=None)
        assert len(self.timers) <= max(65, 2 * len(self.model) + 1)


TestTimers = TimersAgainstADictionary.TestCase


def test_a_stream_is_overdue_by_one_frame_not_by_having_much_to_say() -> None:
    now = [0.0]
    listener = SimpleNamespace(
        monotonic=lambda: now[0],
        counters=TransportCounters(),
        inbox=SimpleNamespace(view=memoryview(bytearray(2000))),
        gate=SimpleNamespace(receive=lambda *_: None),
        settle=lambda: None,
    )
    stream = TcpStream(listener)  # type: ignore[arg-type]
    stream._transport = stream._path = object()  # type: ignore[assignment]
    stream._proven = True
    framed = frame(bytes(1000)) * 300
    # Segments of a way that is full: nearly all end within a frame.
    for at in range(0, len(framed), 1448):
        stream.data_received(framed[at : at + 1448])
        assert not stream.overdue(now[0])
        now[0] += 0.2
    stream.data_received(frame(bytes(1000))[:500])
    now[0] += 30
    assert stream.overdue(now[0])
