"""Guessing codes is slow for whoever guesses, and for nobody else."""

import random

from hypothesis import given
from hypothesis import strategies as st

from signaling.guesses import (
    ATTACK_GUESSES,
    ATTACK_WINDOW,
    FIRST_WAIT,
    FREE,
    GIVEN_BACK_EVERY,
    LONGEST_WAIT,
    Guesses,
)
from signaling.limits import ADDRESSES
from waiting_room.typed_codes import new_digits


def guess(guesses: Guesses, address: str, now: float) -> float:
    wait = guesses.take(address, now)
    if wait == 0:
        guesses.wrong(now)
    return wait


def test_the_first_tries_are_free_then_waits_double() -> None:
    guesses, now = Guesses(), 0.0
    for _ in range(FREE):
        assert guess(guesses, "192.0.2.1", now) == 0
    waits = []
    for _ in range(12):
        wait = guess(guesses, "192.0.2.1", now)
        waits.append(wait)
        now += wait
        assert guess(guesses, "192.0.2.1", now) == 0
    assert waits[:4] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert max(waits) <= LONGEST_WAIT
    assert sum(waits) > 4000


def test_who_waits_and_asks_again_waits_no_longer() -> None:
    guesses = Guesses()
    for _ in range(FREE):
        guess(guesses, "192.0.2.1", 0)
    assert [guess(guesses, "192.0.2.1", 0.5) for _ in range(100)] == [FIRST_WAIT - 0.5] * 100


def test_a_day_of_one_address() -> None:
    guesses, tries, now = Guesses(), 0, 0.0
    while now < 86_400:
        wait = guess(guesses, "192.0.2.1", now)
        tries += wait == 0
        now += max(wait, 0.1)
    assert tries <= 45, "of a billion codes"


def test_tries_come_back_with_time() -> None:
    guesses = Guesses()
    for _ in range(FREE):
        guess(guesses, "192.0.2.1", 0)
    assert guess(guesses, "192.0.2.1", GIVEN_BACK_EVERY) == 0
    assert guess(guesses, "192.0.2.1", GIVEN_BACK_EVERY) == FIRST_WAIT


def test_a_right_code_gives_back_its_own_try_only() -> None:
    guesses = Guesses()
    for _ in range(FREE - 1):
        guess(guesses, "192.0.2.1", 0)
    for _ in range(20):
        assert guesses.take("192.0.2.1", 0) == 0
        guesses.right("192.0.2.1")
    assert guess(guesses, "192.0.2.1", 0) == 0
    assert guess(guesses, "192.0.2.1", 0) > 0


def test_many_addresses_are_an_attack_and_who_types_right_is_not_slowed() -> None:
    guesses = Guesses()
    for number in range(ATTACK_GUESSES):
        assert guess(guesses, f"198.51.{number}.1", 1) == 0
    assert guesses.under_attack(1)
    assert guess(guesses, "192.0.2.7", 1) == 0
    assert guess(guesses, "192.0.2.7", 1) > 0, "one try while the attack lasts"
    assert guess(guesses, "192.0.2.8", 1) == 0, "somebody else's first try"
    assert not guesses.under_attack(1 + ATTACK_WINDOW)


def test_ipv6_by_64_and_by_48() -> None:
    guesses = Guesses()
    tries = sum(guess(guesses, f"2001:db8:1:{n:x}::{n:x}", 0) == 0 for n in range(200))
    assert tries == 4 * FREE
    assert guess(guesses, "2001:db8:2::1", 0) == 0


def test_the_table_is_bounded() -> None:
    guesses = Guesses()
    for number in range(ADDRESSES + 50):
        guess(guesses, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0)
    assert len(guesses) <= ADDRESSES


@given(st.integers(min_value=0))
def test_codes_have_nine_digits(seed: int) -> None:
    source = random.Random(seed)
    code = new_digits(source.randbytes)
    assert len(code) == 9
    assert code.isascii()
    assert code.isdecimal()
