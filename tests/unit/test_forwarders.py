"""Which forwarder a room is put on, which is dead, and where ours listens."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from konsil import sfu_plan, sfu_wire, signaling_role, turn_plan
from konsil.errors import SettingsError
from konsil.secret import Secret
from konsil.settings import Settings
from konsil.sfu_nodes import DOUBT_S, NODES_MAX, Directory
from konsil.sfu_wire import DEAD_AFTER_S, Announcement, room_name, way_from
from sfu import control
from signaling.forwarders import Way
from signaling.limits import Allowance
from turn.address import Address, Family
from turn.peer_policy import PeerPolicy, Refusal

ROOM = "AbCdEfGhIjKlMnOpQrStUv"


def directory(*announcements: Announcement, now: float = 100.0) -> Directory:
    made = Directory()
    made.listening(now)
    for one in announcements:
        made.heard(one, now)
    return made


# --- choosing ---


def test_the_least_loaded_is_chosen() -> None:
    known = directory(
        Announcement("busy", cpu=0.9),
        Announcement("full", cpu=0.1, participants=40),
        Announcement("idle", cpu=0.12, participants=2),
        Announcement("leaving", draining=True),
        Announcement("gone", gone=True),
    )
    assert known.choose(100) == "idle"
    assert known.choose(100, without="idle") == "full"
    assert directory().choose(100) is None
    assert directory(Announcement("one")).choose(100, without="one") is None


def test_many_rooms_at_once_do_not_all_go_to_one() -> None:
    known = directory(Announcement("a"), Announcement("b"), Announcement("c"))
    chosen = []
    for _ in range(9):
        node = known.choose(100)
        assert node is not None
        known.promised(node)
        chosen.append(node)
    assert {node: chosen.count(node) for node in "abc"} == {"a": 3, "b": 3, "c": 3}
    known.heard(Announcement("a"), 101)  # says itself what it has by now
    assert known.choose(101) == "a"
    known.promised("never heard of")


def test_one_that_does_not_answer_is_the_last_choice() -> None:
    known = directory(Announcement("a"), Announcement("b", participants=9))
    known.unanswered("a", 100)
    assert known.choose(100) == "b"
    assert known.choose(100, without="b") is None, "nothing is won by moving there"
    known.heard(Announcement("a"), 101)
    assert known.choose(101) == "b"
    known.answered("a")
    assert known.choose(101) == "a"
    known.unanswered("a", 101)
    assert directory(Announcement("x")).choose(100) == "x"
    for moment in (101 + DOUBT_S,):
        known.heard(Announcement("a"), moment)
        known.heard(Announcement("b", participants=9), moment)
        assert known.choose(moment) == "a"
    known.unanswered("never heard of", 1)


def test_one_that_takes_no_more_is_left_alone_for_a_while() -> None:
    known = directory(Announcement("a"), Announcement("b", participants=9))
    known.full("a", 100)
    known.answered("a")
    assert known.choose(100) == "b"
    assert known.choose(100, without="b") is None
    known.heard(Announcement("a"), 100 + DOUBT_S)
    known.heard(Announcement("b", participants=9), 100 + DOUBT_S)
    assert known.choose(100 + DOUBT_S) == "a"
    known.full("never heard of", 1)


# --- dying ---


def test_who_is_silent_is_dead_and_is_alive_again_when_heard() -> None:
    known = directory(Announcement("a"))
    assert not known.is_gone("a", 100 + DEAD_AFTER_S)
    assert known.is_gone("a", 100.1 + DEAD_AFTER_S)
    assert known.choose(100.1 + DEAD_AFTER_S) is None
    assert known.alive(100.1 + DEAD_AFTER_S) == []
    known.heard(Announcement("a"), 104)
    assert not known.is_gone("a", 104)


def test_who_was_never_heard_is_dead_when_we_have_listened_for_long_enough() -> None:
    known = directory()
    assert not known.is_gone("before my time", 100)
    assert known.is_gone("before my time", 100.1 + DEAD_AFTER_S)


def test_nobody_is_dead_while_nobody_listens() -> None:
    known = directory(Announcement("a"))
    known.listening(None)
    assert not known.is_gone("a", 200)
    assert not known.is_gone("unknown", 200)
    known.listening(200)
    assert not known.is_gone("a", 200 + DEAD_AFTER_S)
    assert known.is_gone("a", 200.1 + DEAD_AFTER_S)


def test_a_goodbye_counts_at_once_and_for_ever() -> None:
    known = directory(Announcement("a"))
    assert not known.heard(Announcement("a"), 100)
    assert known.heard(Announcement("b"), 100), "one more"
    assert known.heard(Announcement("a", gone=True), 100), "one less"
    assert known.is_gone("a", 100)
    assert known.has_said_goodbye("a")
    assert not known.heard(Announcement("a"), 101), "was on its way before"
    assert known.is_gone("a", 101)
    known.listening(None)
    assert known.is_gone("a", 101)
    assert not known.has_said_goodbye("c")


def test_what_is_remembered_is_bounded() -> None:
    known = directory()
    for number in range(NODES_MAX + 50):
        known.heard(Announcement(f"n{number}"), 100 + number)
    assert len(known._nodes) <= NODES_MAX
    assert known.choose(100 + NODES_MAX + 49) == f"n{NODES_MAX + 47}"


# --- on the wire ---


def test_a_way_and_its_name() -> None:
    way = Way(ROOM, 1_795_000_000_000, 7)
    name = room_name(way)
    assert way_from(name) == way
    assert len(name) <= 128
    for other in (
        dataclasses.replace(way, generation=8),
        dataclasses.replace(way, created_at=way.created_at + 1),
    ):
        assert room_name(other) != name
    for wrong in ("", "room", "room.1", "room.1.", "room..1", "room.1.x", ".1.1", "room.1.2.3"):
        assert way_from(wrong) is None, wrong


@pytest.mark.parametrize(
    "body",
    [
        control.Offer(ROOM, "p", 1, "v=0", [control.Track("0", control.Source.CAMERA)]),
        control.Leave(ROOM, "p"),
        sfu_wire.Ping(),
        sfu_wire.Watch(ROOM),
    ],
)
def test_questions_are_read_as_they_were_asked(body: Any) -> None:
    question = sfu_wire.Question(7, "node", body)
    assert sfu_wire.question_from(sfu_wire.encode(question)) == question


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'[1,"n",{"type":"steal"}]', b"\xff", b"[" * 9999]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    for reader in (sfu_wire.question_from, sfu_wire.answer_from, sfu_wire.announcement_from):
        with pytest.raises(sfu_wire.UNREADABLE):
            reader(data)


# --- rates ---


def test_an_allowance_gives_its_burst_and_then_its_rate() -> None:
    allowance = Allowance(2.0, 10)
    assert [allowance.take(50) for _ in range(10)] == [0.0] * 10
    assert allowance.take(50) == pytest.approx(0.5)
    assert allowance.take(50) == pytest.approx(0.5), "what is refused costs nothing"
    assert allowance.take(50.5) == 0.0
    assert allowance.take(50.5) > 0
    assert [allowance.take(1000) for _ in range(10)] == [0.0] * 10
    assert allowance.take(1000) > 0


# --- where ours is ---


def hosts(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    def addresses(family: Family) -> list[str]:
        loopback = "::1" if family is Family.IPV6 else "127.0.0.1"
        return [loopback, *(one for one in found if (":" in one) is (family is Family.IPV6))]

    monkeypatch.setattr(sfu_plan, "host_addresses", addresses)
    monkeypatch.setattr(sfu_plan, "_can_bind", lambda host: True)


PUBLIC = "https://consult.example"


def planned(**fields: Any) -> sfu_plan.Plan:
    return sfu_plan.plan(Settings(**{"roles": ("signaling", "sfu"), **fields}), None)


def test_a_trial_on_one_machine_has_loopback_and_its_own_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts(monkeypatch, "192.168.1.5", "fd00::5")
    assert planned().hosts == ("127.0.0.1", "::1", "192.168.1.5", "fd00::5")
    assert planned().port == 10000


def test_a_public_server_says_its_public_addresses_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts(monkeypatch, "8.8.4.4", "172.17.0.1", "2600::5", "fd00::5")
    assert planned(public_url=PUBLIC).shown == ("8.8.4.4", "2600::5")
    assert planned(public_url=PUBLIC, sfu_host="0.0.0.0").shown == ("8.8.4.4",)
    assert planned(public_url=PUBLIC, sfu_host="::").shown == ("2600::5",)
    assert planned(public_url=PUBLIC, sfu_host="172.17.0.1").shown == ("172.17.0.1",)


def test_in_a_private_network_its_own_addresses_are_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts(monkeypatch, "10.0.0.5", "fd00::5")
    assert planned(public_url=PUBLIC).shown == ("10.0.0.5", "fd00::5")
    hosts(monkeypatch)
    with pytest.raises(SettingsError, match="KONSIL_SFU_HOST"):
        planned(public_url=PUBLIC)


def test_behind_a_nat_the_outer_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts(monkeypatch, "10.0.0.5")
    behind = planned(public_url=PUBLIC, sfu_public_ipv4="8.8.4.4")
    assert (behind.hosts, behind.shown) == (("10.0.0.5",), ("8.8.4.4",))
    assert planned(public_url=PUBLIC, turn_public_ipv4="8.8.8.8").shown == ("8.8.8.8",)
    # Our own relay stands inside, and may have to go to the inner one.
    both = planned(public_url=PUBLIC, sfu_public_ipv4="8.8.4.4", roles=("signaling", "turn", "sfu"))
    assert both.shown == ("8.8.4.4", "10.0.0.5")
    assert both.places(10000) == (("8.8.4.4", 10000), ("10.0.0.5", 10000))
    assert both.config(10000).advertised == both.shown
    both.config(10000).validate()


def test_a_name_is_no_address() -> None:
    with pytest.raises(SettingsError, match="KONSIL_SFU_HOST"):
        planned(public_url=PUBLIC, sfu_host="forwarder.example")


@pytest.mark.parametrize(
    ("topology", "roles", "redis", "meant"),
    [
        ("auto", ("signaling", "sfu"), False, "auto"),
        ("auto", ("signaling",), True, "auto"),  # it may be on another machine
        ("auto", ("signaling",), False, "p2p"),  # nobody could ever find one
        ("p2p", ("signaling", "sfu"), True, "p2p"),
        ("sfu", ("signaling", "sfu"), False, "sfu"),
    ],
)
def test_without_a_forwarder_all_calls_are_peer_to_peer(
    topology: str, roles: tuple[str, ...], redis: bool, meant: str
) -> None:
    url = Secret("redis://127.0.0.1") if redis else None
    settings = Settings(media_topology=topology, roles=roles, redis_url=url)
    assert signaling_role.topology(settings) == meant


# --- within the relay's reach ---


SERVICES = (Address("10.0.0.5", 10000), Address("127.0.0.1", 10000), Address("8.8.4.4", 10000))


def policy(**fields: Any) -> PeerPolicy:
    return PeerPolicy(
        **{
            "own_hosts": ("127.0.0.1", "8.8.4.4", "10.0.0.9"),
            "listeners": (Address("8.8.4.4", 3478),),
            "relay_ports": range(50000, 50010),
            "services": SERVICES,
            **fields,
        }
    )


@pytest.mark.parametrize("service", SERVICES)
def test_the_relay_reaches_a_service_at_its_port_and_no_other(service: Address) -> None:
    for one in (policy(), policy(own_hosts=())):
        assert one.refuses(service) is None
        assert not one.refuses_port(service)
    one = policy()
    for port in (1, 22, 6379, 8080, 9999, 10001):
        other = Address(service.host, port)
        assert one.refuses(other) is not None
        # The host is permitted by now, which says nothing about its other ports.
        assert one.refuses_port(other)
    assert one.refuses(Address("10.0.0.6", 10000)) is Refusal.SPECIAL


def test_what_was_allowed_or_denied_before_still_is() -> None:
    assert policy().refuses(Address("8.8.4.4", 3478)) is Refusal.LISTENER
    assert policy().refuses_port(Address("8.8.4.4", 3478))
    assert policy().refuses(Address("8.8.4.4", 50001)) is None
    assert not policy().refuses_port(Address("8.8.4.4", 50001))
    assert policy(denied=("10.0.0.0/8",)).refuses(SERVICES[0]) is Refusal.DENIED
    assert not policy(allowed=("10.0.0.0/8",)).refuses_port(Address("10.0.0.5", 22))
    mapped = Address("::ffff:10.0.0.5", 10000)
    assert policy().refuses(mapped) is not None, "in no other spelling either"
    without = policy(services=())
    for service in SERVICES:
        assert without.refuses(service) is not None


def test_the_relay_is_told_of_the_forwarder_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts(monkeypatch, "10.0.0.5")
    settings = Settings(public_url=PUBLIC)
    relay = turn_plan.plan(settings, None, None)
    places = planned(public_url=PUBLIC).places(4711)
    config = turn_plan.relay_config(settings, relay, relay.ports, ["secret"], places)
    assert config.allowed_services == (("10.0.0.5", 4711),)
    config.validate()
