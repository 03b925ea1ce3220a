"""Whoever keeps doing what no page does waits; nobody else does, and nobody for ever."""

import pytest

from signaling.brake import (
    ALARM,
    CALMED_PER_S,
    FORGIVEN_EVERY_S,
    FREE,
    LONGEST_WAIT_S,
    MOST,
    Brake,
    is_offence,
)


def test_the_first_offences_are_free_then_the_wait_doubles_up_to_its_longest() -> None:
    brake = Brake(b"key")
    place = brake.place_of("192.0.2.1")
    waits = []
    for _ in range(FREE + 6):
        brake.offended(place, 0.0)
        waits.append(brake.wait(place, 0.0))
    assert waits[:FREE] == [0.0] * FREE
    assert waits[FREE:] == [0.25, 0.5, 1.0, 2.0, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert brake.wait(brake.place_of("192.0.2.2"), 0.0) == 0.0


def test_offences_are_forgiven_in_time_and_forgotten() -> None:
    brake = Brake(b"key")
    place = brake.place_of("192.0.2.1")
    for _ in range(MOST + 5):
        brake.offended(place, 0.0)
    assert brake.wait(place, (MOST - FREE) * FORGIVEN_EVERY_S) == 0.0
    assert brake.wait(place, (MOST - FREE - 1) * FORGIVEN_EVERY_S) > 0
    assert brake
    brake.wait(place, MOST * FORGIVEN_EVERY_S)
    assert not brake


def test_an_attack_from_many_addresses_is_braked_as_a_whole_and_soon_forgotten() -> None:
    brake = Brake(b"key")
    places = [brake.place_of(f"192.0.2.{at}") for at in range(1, 255)]
    for at, place in enumerate(places[:ALARM]):
        brake.offended(place, at / 1000)
    assert brake.wait(places[0], 0.1) == 0.0, "each has offended once"
    for _ in range(5):
        for place in places[1:]:
            brake.offended(place, 1.0)
    assert brake.wait(places[0], 1.0) == LONGEST_WAIT_S
    assert brake.wait(brake.place_of("198.51.100.1"), 1.0) == 0.0, "has done nothing"
    assert brake.wait(places[0], 1.0 + ALARM / CALMED_PER_S) == 0.0


def test_places_are_few_and_of_a_network_where_addresses_are_many() -> None:
    brake = Brake(b"key")
    assert brake.place_of("2001:db8::1") == brake.place_of("2001:db8::ffff")
    assert brake.place_of("2001:db8::1") != brake.place_of("2001:db8:0:1::1")
    assert brake.place_of("::ffff:192.0.2.1") == brake.place_of("192.0.2.1")
    assert Brake(b"other").place_of("192.0.2.1") != brake.place_of("192.0.2.1")
    for at in range(70_000):
        place = brake.place_of(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}")
        assert 0 <= place < 65_536


@pytest.mark.parametrize(
    ("close_code", "reason", "offence"),
    [
        (1002, "unmasked", True),
        (1009, "too_large", True),
        (4400, "bad_message", True),
        (4401, "token_invalid", True),
        (4401, "hello_expected", True),
        (4429, "slow_down", True),
        (4401, "token_closed", False),
        (4429, "room_full", False),
        (4409, "taken_over", False),
        (1000, "", False),
        (1001, "going_away", False),
    ],
)
def test_what_an_offence_is(close_code: int, reason: str, offence: bool) -> None:
    assert is_offence(close_code, reason) is offence
