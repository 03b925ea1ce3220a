"""Who may hold how many connections."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from konsil.settings import Settings
from signaling.address import is_trusted
from signaling.brake import Brake
from signaling.seats import CONNECTIONS_PER_ADDRESS, MAX_CONNECTIONS, Full, Seat, Seats

PROXY = "10.0.0.1"


def seats(limit: int = 100, per_address: int = 10) -> Seats:
    return Seats(
        limit, per_address, place_of=Brake(b"key").place_of, is_proxy=lambda peer: peer == PROXY
    )


def taken(some: Seats, peer: str, count: int = 1) -> list[Seat]:
    found = [some.take(peer) for _ in range(count)]
    assert all(isinstance(one, Seat) for one in found)
    return [one for one in found if isinstance(one, Seat)]


def test_a_node_has_so_many() -> None:
    some = seats(limit=3)
    held = [*taken(some, "192.0.2.1"), *taken(some, "192.0.2.2"), *taken(some, PROXY)]
    assert some.take("192.0.2.3") is Full.NODE
    assert some.take(PROXY) is Full.NODE
    held[0].leave()
    held[0].leave()
    assert some.open == 2
    taken(some, "192.0.2.3")
    assert some.take("192.0.2.4") is Full.NODE


def test_an_address_has_so_many() -> None:
    some = seats(per_address=3)
    held = taken(some, "192.0.2.1", 3)
    assert some.take("192.0.2.1") is Full.ADDRESS
    assert some.take("::ffff:192.0.2.1") is Full.ADDRESS
    assert some.open == 3, "what was refused is not counted"
    taken(some, "192.0.2.2")
    held.pop().leave()
    taken(some, "192.0.2.1")
    assert some.take("192.0.2.1") is Full.ADDRESS


def test_a_network_of_ipv6_is_one_address() -> None:
    some = seats(per_address=2)
    taken(some, "2001:db8::1")
    taken(some, "2001:db8::2")
    assert some.take("2001:db8::ffff:1") is Full.ADDRESS
    taken(some, "2001:db8:0:1::1")


def test_a_proxy_is_not_counted_and_those_behind_it_are() -> None:
    some = seats(per_address=2)
    held = taken(some, PROXY, 5)
    assert not some
    assert [one.move("192.0.2.1") for one in held[:3]] == [True, True, False]
    assert held[2].move("192.0.2.2")
    assert some.take("192.0.2.1") is Full.ADDRESS, "directly or not"
    for one in held:
        one.leave()
    assert some.open == len(some) == 0


def test_a_connection_counts_for_one_address_alone() -> None:
    some = seats(per_address=1)
    (seat,) = taken(some, "192.0.2.1")
    assert seat.move("192.0.2.2")
    taken(some, "192.0.2.2")
    assert some.take("192.0.2.1") is Full.ADDRESS


def test_crowded_is_said_before_it_is_full() -> None:
    some = seats(limit=16, per_address=8)
    held = taken(some, "192.0.2.1", 6)
    assert not held[0].crowded
    held += taken(some, "192.0.2.1")
    assert held[0].crowded
    (other,) = taken(some, "192.0.2.2")
    (proxied,) = taken(some, PROXY)
    assert not other.crowded
    assert not proxied.crowded
    taken(some, PROXY, 5)
    assert not other.crowded
    taken(some, PROXY)
    assert other.crowded
    assert proxied.crowded


@given(st.lists(st.tuples(st.sampled_from(["take", "move", "leave"]), st.integers(0, 5))))
def test_whatever_happens_nothing_is_counted_that_is_not_there(
    steps: list[tuple[str, int]],
) -> None:
    some = seats(limit=8, per_address=3)
    held: list[Seat] = []
    for what, number in steps:
        address = PROXY if number == 0 else f"192.0.2.{number}"
        if what == "take":
            got = some.take(address)
            if isinstance(got, Seat):
                held.append(got)
        elif held and what == "move":
            held[number % len(held)].move(f"192.0.2.{number}")
        elif held:
            held.pop(number % len(held)).leave()
        assert some.open == len(held) <= 8
        assert sum(some._places.values()) <= len(held)
        assert all(0 < count <= 3 for count in some._places.values())
    for one in held:
        one.leave()
    assert some.open == len(some) == 0


def test_who_is_a_proxy() -> None:
    trusted = (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert is_trusted("10.1.2.3", trusted)
    assert is_trusted("::ffff:10.1.2.3", trusted)
    assert is_trusted("::1", trusted)
    assert not is_trusted("192.0.2.1", trusted)
    assert not is_trusted("", trusted)
    assert not is_trusted("10.1.2.3", ())


def test_one_address_is_a_small_part_of_a_node() -> None:
    assert Settings().connections_per_address == CONNECTIONS_PER_ADDRESS
    assert MAX_CONNECTIONS / CONNECTIONS_PER_ADDRESS > 50
