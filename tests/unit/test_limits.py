"""Rates and throttles, with time handed in."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.limits import (
    ADDRESSES,
    AWAITING_IN_ALL,
    AWAITING_PER_ADDRESS,
    FREE_FAILURES,
    LONGEST_DELAY,
    MESSAGE_BURST,
    MESSAGE_RATE,
    PAUSE,
    REFUSALS_IN_A_ROW,
    AddressThrottle,
    Allowances,
    AwaitingHello,
    TokenBucket,
    address_key,
)


def run(bucket: TokenBucket, rate: float, seconds: float, start: float = 1e6) -> tuple[int, float]:
    """Messages taken, and when the bucket was exhausted (or the end)."""
    taken = 0
    for i in range(int(rate * seconds)):
        now = start + i / rate
        taken += bucket.allow(now)
        if bucket.exhausted:
            return taken, now - start
    return taken, seconds


def test_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket()
    assert all(bucket.allow(5.0) for _ in range(MESSAGE_BURST))
    assert not bucket.allow(5.0)
    assert bucket.refused == 1
    assert bucket.retry_after(5.0) == PAUSE
    assert not bucket.allow(5.0 + PAUSE - 0.01)
    assert bucket.allow(5.0 + PAUSE)
    assert bucket.refused == 0
    assert bucket.retry_after(5.0 + PAUSE) == 0.0


def test_the_allowed_rate_is_never_refused() -> None:
    bucket = TokenBucket()
    assert run(bucket, MESSAGE_RATE - 0.5, 60) == (int((MESSAGE_RATE - 0.5) * 60), 60)


def test_a_page_a_little_too_quick_is_slowed_but_lives() -> None:
    taken, seconds = run(TokenBucket(), MESSAGE_RATE * 1.2, 60)
    assert seconds == 60
    assert taken <= MESSAGE_BURST + MESSAGE_RATE * 60


def test_a_hundred_messages_a_second_are_refused_and_then_exhaust() -> None:
    taken, seconds = run(TokenBucket(), 100, 10)
    assert MESSAGE_BURST <= taken < 400
    assert 3 < seconds < 6


def test_exhausted_at_exactly_a_hundred() -> None:
    bucket = TokenBucket()
    for _ in range(MESSAGE_BURST + REFUSALS_IN_A_ROW - 1):
        bucket.allow(0.0)
    assert not bucket.exhausted
    bucket.allow(0.0)
    assert bucket.exhausted


@given(st.lists(st.floats(0, 1), max_size=500))
def test_never_more_than_burst_and_rate(gaps: list[float]) -> None:
    bucket = TokenBucket()
    now, taken = 100.0, 0
    for gap in gaps:
        now += gap / 50
        taken += bucket.allow(now)
    assert taken <= MESSAGE_BURST + MESSAGE_RATE * (now - 100.0) + 1


def test_a_bucket_is_small() -> None:
    assert sys.getsizeof(TokenBucket()) < 80
    assert not hasattr(TokenBucket(), "__dict__")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "local"),
        ("/run/konsil.sock", "local"),
        ("192.0.2.7:80", "local"),
        ("192.0.2.007", "local"),
        ("\u0000", "local"),
    ],
)
def test_whom_an_address_stands_for(address: str, key: str) -> None:
    assert address_key(address) == key


@given(st.text(max_size=60))
def test_any_text_has_a_key(address: str) -> None:
    assert address_key(address)


def test_ten_bad_tokens_are_free_and_then_it_doubles() -> None:
    throttle = AddressThrottle()
    delays = [throttle.failed("192.0.2.7", 50.0) for _ in range(FREE_FAILURES + 9)]
    assert delays[:FREE_FAILURES] == [0.0] * FREE_FAILURES
    assert delays[FREE_FAILURES:] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert throttle.delay("192.0.2.7", 50.0) == LONGEST_DELAY


def test_nobody_else_waits() -> None:
    throttle = AddressThrottle()
    for _ in range(30):
        throttle.failed("2001:db8:1:2::3", 50.0)
    assert throttle.delay("2001:db8:1:2:ffff::9", 50.0) == LONGEST_DELAY
    for other in ("2001:db8:1:3::3", "192.0.2.7", ""):
        assert throttle.delay(other, 50.0) == 0.0
        assert throttle.failed(other, 50.0) == 0.0


def test_failures_are_forgiven() -> None:
    throttle = AddressThrottle()
    for _ in range(1000):
        throttle.failed("192.0.2.7", 50.0)
    delays = [throttle.delay("192.0.2.7", 50.0 + 30 * n) for n in range(10)]
    assert delays == [8.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.0, 0.0, 0.0]
    assert throttle.failed("192.0.2.7", 50.0 + 30 * 1000) == 0.0


def test_a_clock_that_stands_still_or_steps_back_does_no_harm() -> None:
    throttle = AddressThrottle()
    for _ in range(12):
        throttle.failed("192.0.2.7", 50.0)
    assert throttle.delay("192.0.2.7", 40.0) == 0.5


def test_the_table_is_bounded_and_the_oldest_goes() -> None:
    throttle = AddressThrottle()
    for _ in range(15):
        throttle.failed("192.0.2.1", 1.0)
        throttle.failed("192.0.2.2", 1.0)
    for i in range(ADDRESSES - 2):
        throttle.failed(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 2.0)
    throttle.failed("192.0.2.2", 3.0)
    assert len(throttle) == ADDRESSES
    throttle.failed("198.51.100.1", 3.0)
    assert len(throttle) == ADDRESSES
    assert throttle.delay("192.0.2.1", 3.0) == 0.0
    assert throttle.delay("192.0.2.2", 3.0) > 0.0


def test_silent_sockets_are_counted_per_address() -> None:
    awaiting = AwaitingHello()
    assert all(awaiting.enter("192.0.2.7") for _ in range(AWAITING_PER_ADDRESS))
    assert not awaiting.enter("::ffff:192.0.2.7")
    assert awaiting.enter("192.0.2.8")
    awaiting.leave("192.0.2.7")
    assert awaiting.enter("192.0.2.7")
    assert len(awaiting) == AWAITING_PER_ADDRESS + 1


def test_silent_sockets_are_counted_in_all() -> None:
    awaiting = AwaitingHello()
    addresses = [f"10.0.{i >> 8}.{i & 255}" for i in range(AWAITING_IN_ALL)]
    assert all(awaiting.enter(address) for address in addresses)
    assert not awaiting.enter("192.0.2.7")
    for address in addresses:
        awaiting.leave(address)
    assert len(awaiting) == 0
    assert awaiting._counts == {}
    assert awaiting.enter("192.0.2.7")


def test_leaving_without_having_entered_is_our_own_fault() -> None:
    with pytest.raises(AssertionError):
        AwaitingHello().leave("192.0.2.7")


def test_allowances_are_kept_for_each_and_forgotten_when_they_are_full() -> None:
    some = Allowances(rate=0.5, burst=2)
    assert [some.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(2.0)]
    assert some.take("b", 0.0) == 0.0
    assert some.take("a", 1.9) > 0
    assert some.take("a", 2.0) == 0.0
    some.take("c", 4.1)
    assert len(some) == 2, "all of b's was free again at 4"
    for number in range(ADDRESSES + 5):
        some.take(str(number), 4.2)
    assert len(some) == ADDRESSES
