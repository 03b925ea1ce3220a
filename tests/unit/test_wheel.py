"""The coarse timer: never early, at most a tick late, each deadline once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.wheel import TICK, Wheel


class Item:
    def __init__(self, *deadlines: float) -> None:
        self.deadlines = list(deadlines)
        self.called: list[float] = []

    def handle_timer(self, now: float) -> float | None:
        self.called.append(now)
        return self.deadlines.pop(0) if self.deadlines else None


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=20),
    st.lists(st.floats(0.01, 30), min_size=1, max_size=60),
)
def test_never_early_and_at_most_a_tick_after_the_turn(
    deadlines: list[float], steps: list[float]
) -> None:
    wheel = Wheel(0.0)
    items = [(deadline, Item()) for deadline in deadlines]
    for deadline, item in items:
        wheel.add(item, deadline)
    now = 0.0
    for step in steps:
        now += step
        wheel.turn(now)
        for deadline, item in items:
            assert len(item.called) <= 1
            if item.called:
                assert item.called[0] >= deadline
            elif now >= deadline + 2 * TICK:
                raise AssertionError("late")


def test_an_item_is_called_again_at_the_deadline_it_gives() -> None:
    wheel, item = Wheel(0.0), Item(5.0, 7.0)
    wheel.add(item, 1.0)
    now = 0.0
    while now < 20:
        now += 0.25
        wheel.turn(now)
    assert [int(at) for at in item.called] == [1, 5, 7]


def test_a_deadline_in_the_past_is_met_at_the_next_turn() -> None:
    wheel, item = Wheel(100.0), Item()
    wheel.add(item, 3.0)
    wheel.turn(100.2)
    assert item.called == []
    wheel.turn(100.6)
    assert item.called == [100.6]


def test_a_clock_that_goes_back_does_nothing() -> None:
    wheel, item = Wheel(100.0), Item()
    wheel.add(item, 101.0)
    wheel.turn(50.0)
    assert item.called == []
    wheel.turn(5000.0)
    assert item.called == [5000.0]


def test_a_fault_of_one_item_costs_that_item_only(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Item):
        def handle_timer(self, now: float) -> float | None:
            raise ZeroDivisionError

    wheel = Wheel(0.0)
    items = [Broken(), Item(3.0)]
    for item in items:
        wheel.add(item, 1.0)
    wheel.turn(2.0)
    wheel.turn(4.0)
    assert items[1].called == [2.0, 4.0]
    assert [record.message for record in caplog.records] == ["timer_failed"]
