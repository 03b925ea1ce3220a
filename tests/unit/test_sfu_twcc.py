"""Transport-wide feedback: what arrived is what is told."""

from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp
from sfu.twcc import _KEPT, Arrivals, parse_feedback


def told(packet: bytes | None) -> dict[int, float | None]:
    assert packet is not None
    (message,) = rtcp.parse_compound(packet) or [None]
    assert isinstance(message, rtcp.TransportFeedback)
    parsed = parse_feedback(message.body)
    assert parsed is not None
    return dict(parsed[1])


@given(
    first=st.integers(0, 0xFFFF),
    steps=st.lists(
        st.tuples(st.integers(1, 30), st.floats(0, 0.5) | st.floats(0, 0.002)),
        min_size=1,
        max_size=60,
    ),
)
def test_what_arrived_is_told(first: int, steps: list[tuple[int, float]]) -> None:
    arrivals = Arrivals()
    now, number = 5000.0, first
    came: dict[int, float] = {}
    for step, passed in steps:
        if number - first >= _KEPT:
            break  # what is so far back is left out
        arrivals.note(number & 0xFFFF, now)
        came[number & 0xFFFF] = now
        number += step
        now += passed
    found: dict[int, float | None] = {}
    while (packet := arrivals.feedback(7)) is not None:
        found |= told(packet)
    assert {n for n, time in found.items() if time is not None} == set(came)
    for number, time in came.items():
        arrived = found[number]
        assert arrived is not None
        assert abs(arrived - time) < 0.0006
    missing = [n for n, time in found.items() if time is None]
    assert not set(missing) & set(came)


@given(st.permutations(range(20)))
def test_disorder(order: list[int]) -> None:
    arrivals = Arrivals()
    for at, number in enumerate(order):
        arrivals.note((0xFFF8 + number) & 0xFFFF, 10 + at * 0.001)
    found = told(arrivals.feedback(1))
    first = (0xFFF8 + order[0]) & 0xFFFF
    assert found[first] is not None
    assert all(time is not None for time in found.values())


def test_what_comes_late_is_told_after_all() -> None:
    arrivals = Arrivals()
    for number in (1, 2, 4):
        arrivals.note(number, 10.0)
    assert told(arrivals.feedback(1))[3] is None
    arrivals.note(3, 10.1)
    assert told(arrivals.feedback(1))[3] is not None
    assert arrivals.feedback(1) is None


def test_jumps_are_bounded() -> None:
    arrivals = Arrivals()
    for at in range(5000):
        arrivals.note(at * 9973 & 0xFFFF, 10 + at * 0.001)
        if not at % 50:
            packet = arrivals.feedback(1)
            assert packet is None or len(packet) < 3000
    assert len(arrivals._times) < 2000


@given(st.binary(max_size=80))
def test_no_bytes_raise(body: bytes) -> None:
    parsed = parse_feedback(body)
    assert parsed is None or len(parsed[1]) <= 1024


def test_vectors_of_one_bit() -> None:
    body = bytes.fromhex("0005 000e 000001 02 b001") + b"\x04\x08\x0c"
    parsed = parse_feedback(body)
    assert parsed is not None
    count, received = parsed
    assert count == 2
    assert [number for number, time in received if time is not None] == [5, 6, 18]
    times = [time for _, time in received if time is not None]
    assert times == [0.064 + 0.001, 0.064 + 0.003, 0.064 + 0.006]
