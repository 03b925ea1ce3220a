"""How often the way to the relay may be measured."""

from signaling.check_rates import (
    ADDRESS_BURST,
    ADDRESS_RATE,
    ROOM_BURST,
    ROOM_RATE,
    CheckRates,
)
from signaling.limits import ADDRESSES


def test_of_one_room() -> None:
    rates = CheckRates()
    for number in range(ROOM_BURST):
        assert rates.take("room", f"192.0.2.{number}", 0.0) == 0
    wait = rates.take("room", "192.0.2.99", 0.0)
    assert 0 < wait <= 1 / ROOM_RATE
    assert rates.take("room", "192.0.2.99", wait - 0.1) > 0
    assert rates.take("room", "192.0.2.99", wait) == 0
    assert rates.take("another", "192.0.2.0", 0.0) == 0


def test_of_one_address_and_of_one_network() -> None:
    rates = CheckRates()
    for number in range(ADDRESS_BURST):
        assert rates.take(f"room{number}", f"2001:db8::{number:x}", 0.0) == 0
    wait = rates.take("fresh", "2001:db8::ffff", 0.0)
    assert 0 < wait <= 1 / ADDRESS_RATE
    assert rates.take("other", "2001:db8:0:1::1", 0.0) == 0
    assert rates.take("later", "2001:db8::1", wait) == 0


def test_it_forgets_who_asked_longest_ago() -> None:
    rates = CheckRates()
    for number in range(ADDRESSES + 10):
        rates.take(f"room{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(rates) == ADDRESSES
    # Who asks again is not the oldest any more.
    for _ in range(ROOM_BURST - 1):
        rates.take("room10", "192.0.2.1", 1.0)
    rates.take("new", "192.0.2.2", 1.0)
    assert rates.take("room10", "192.0.2.3", 1.0) > 0
    kept = max(ROOM_BURST / ROOM_RATE, ADDRESS_BURST / ADDRESS_RATE)
    rates.take("last", "192.0.2.2", kept + 1.0)
    assert len(rates) == 1
