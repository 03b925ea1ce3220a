"""When users of a load test come, and what makes a run a failure."""

import pytest

from loadtest.arrivals import CROWD, HOUR, SHAPES
from loadtest.thresholds import Outcome, Thresholds, missed

DURATION = 100.0
USERS = 1000


def _counts(name: str) -> list[int]:
    shape = SHAPES[name]
    return [shape(float(second), DURATION, USERS, 10.0)[0] for second in range(101)]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_ends_with_everybody_and_sends_nobody_away(name: str) -> None:
    counts = _counts(name)
    assert counts[-1] == USERS
    assert counts == sorted(counts)
    assert min(counts) >= 1


def test_on_monday_most_come_at_the_full_hour() -> None:
    counts = _counts("monday_morning")
    hour, crowd = int(HOUR * DURATION), int(CROWD * DURATION)
    assert counts[hour] == pytest.approx(0.2 * USERS, abs=2)
    assert counts[hour + crowd] - counts[hour] == pytest.approx(0.6 * USERS, abs=2)


def test_a_storm_is_everybody_at_once() -> None:
    assert SHAPES["join_storm"](0.0, DURATION, USERS, 10.0) == (USERS, float(USERS))
    assert SHAPES["steady"](0.0, DURATION, USERS, 10.0) == (USERS, 10.0)


GOOD = Outcome(requests=1000, failures=0, joins=100, percentiles_ms={0.95: 200.0, 0.99: 900.0})
THRESHOLDS = Thresholds(join_p95_ms=500.0, join_p99_ms=None, error_rate=0.01)


def test_a_good_run_misses_nothing() -> None:
    assert missed(THRESHOLDS, GOOD, joins_expected=True) == []


@pytest.mark.parametrize(
    ("thresholds", "outcome", "line"),
    [
        (
            Thresholds(100.0, None, 0.01),
            GOOD,
            "join p95 200 ms is above 100 ms",
        ),
        (
            Thresholds(500.0, 800.0, 0.01),
            GOOD,
            "join p99 900 ms is above 800 ms",
        ),
        (THRESHOLDS, Outcome(1000, 11, 100, {0.95: 1, 0.99: 1}), "error rate 0.0110 is above 0.01"),
        (THRESHOLDS, Outcome(10, 0, 0, {0.95: 0, 0.99: 0}), "nobody has joined"),
        (THRESHOLDS, Outcome(0, 0, 0, {0.95: 0, 0.99: 0}), "nothing was measured"),
    ],
)
def test_each_threshold_can_be_missed(thresholds: Thresholds, outcome: Outcome, line: str) -> None:
    assert missed(thresholds, outcome, joins_expected=True) == [line]


def test_guessers_alone_join_nobody() -> None:
    nobody = Outcome(10, 0, 0, {0.95: 0, 0.99: 0})
    assert missed(THRESHOLDS, nobody, joins_expected=False) == []
