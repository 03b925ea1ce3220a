"""The small parts of the relay's core, each alone."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from turn.address import Address
from turn.config import ConfigError, Limits, Listener, RelayConfig
from turn.deadlines import Deadlines
from turn.five_tuple import FiveTuple, Transport
from turn.framing import BrokenStream, ChannelFrame, Framer, StunFrame
from turn.metrics import RelayCollector, Stats
from turn.ports import PortPool
from turn.quotas import Bucket, SourceBuckets
from turn.transactions import Transactions

BINDING = bytes.fromhex("000100002112a442") + b"t" * 12
LONG = bytes.fromhex("000300082112a442") + b"u" * 12 + b"12345678"


def channel_data(number: int, payload: bytes) -> bytes:
    padding = bytes(-len(payload) & 3)
    return number.to_bytes(2, "big") + len(payload).to_bytes(2, "big") + payload + padding


def shown(framer: Framer, data: bytes) -> list[bytes | tuple[int, bytes]]:
    return [
        (frame.number, bytes(frame.payload)) if isinstance(frame, ChannelFrame) else frame.data
        for frame in framer.feed(data)
    ]


STREAM = (
    BINDING + channel_data(0x4000, b"abc") + channel_data(0x4FFF, b"") + LONG
    + channel_data(0x4001, b"x" * 1200) + BINDING
)  # fmt: skip
FRAMES = [BINDING, (0x4000, b"abc"), (0x4FFF, b""), LONG, (0x4001, b"x" * 1200), BINDING]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_framing_survives_any_split(cuts: list[int]) -> None:
    framer = Framer()
    edges = [0, *sorted(cuts), len(STREAM)]
    got = [f for a, b in itertools.pairwise(edges) for f in shown(framer, STREAM[a:b])]
    assert got == FRAMES
    assert framer.pending == 0


def test_framing_byte_by_byte() -> None:
    framer = Framer()
    assert [f for byte in STREAM for f in shown(framer, bytes((byte,)))] == FRAMES


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\0\0\0",
        b"\xff",
        b"\r\n\r\nPOST / HTTP/1.1\r\n",
        bytes.fromhex("000100002112a443"),
        bytes.fromhex("0001000022"),
        bytes.fromhex("00010001"),
        bytes.fromhex("1603010200010001fc0303"),  # a TLS ClientHello on the plain port
    ],
)
def test_a_stream_of_something_else_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        list(Framer().feed(data))
    framer = Framer()
    with pytest.raises(BrokenStream):
        [list(framer.feed(bytes((byte,)))) for byte in data]


def test_frames_before_the_break_are_still_given() -> None:
    frames = Framer().feed(BINDING + b"\xff\xff\xff\xff")
    assert next(frames) == StunFrame(BINDING)
    with pytest.raises(BrokenStream):
        next(frames)


def test_an_endless_frame_holds_no_more_than_one_message() -> None:
    framer = Framer()
    head = bytes.fromhex("0003fffc2112a442") + bytes(12)
    assert shown(framer, head) == []
    for _ in range(63):
        assert shown(framer, bytes(1024)) == []
    assert framer.pending == 20 + 63 * 1024
    assert len(shown(framer, bytes(1020))) == 1
    assert framer.pending == 0


@dataclass(eq=False)
class Item:
    expires: float


def test_deadlines_come_in_order_and_once() -> None:
    deadlines = Deadlines()
    items = [Item(t) for t in (5.0, 1.0, 3.0)]
    for item in items:
        deadlines.watch(item)
    assert deadlines.next() == 1.0
    items[1].expires = 4.0  # refreshed
    deadlines.forget(items[2])
    assert deadlines.due(3.5) is None
    assert deadlines.due(4.0) is items[1]
    assert deadlines.due(9.0) is items[0]
    assert deadlines.due(99.0) is None
    assert deadlines.next() is None


def test_refreshing_makes_the_heap_no_larger() -> None:
    deadlines = Deadlines()
    item = Item(10.0)
    deadlines.watch(item)
    for now in range(1000):
        item.expires = now + 10.0
        assert deadlines.due(float(now)) is None
    assert len(deadlines) == 1
    for _ in range(10_000):
        brief = Item(1e9)
        deadlines.watch(brief)
        deadlines.forget(brief)
    assert len(deadlines) < 200
    assert deadlines.due(1e6) is item


def test_buckets_fill_with_time_and_never_above_their_burst() -> None:
    bucket = Bucket(rate=2, burst=4, now=0)
    assert [bucket.take(1, 0) for _ in range(5)] == [True] * 4 + [False]
    assert bucket.take(1, 0.5)
    assert not bucket.take(1, 0.5)
    assert [bucket.take(1, 1000) for _ in range(5)] == [True] * 4 + [False]
    assert not bucket.take(1, 900)  # a clock that runs backwards gives nothing


def test_source_buckets_share_by_network_and_take_no_memory() -> None:
    buckets = SourceBuckets(1, 3, b"salt")
    assert [buckets.take("2a02::1", 1, 0) for _ in range(4)] == [True] * 3 + [False]
    assert not buckets.take("2a02::ffff", 1, 0)  # the same /64
    assert buckets.take("2a02::2", 1, 1)
    for number in range(100_000):
        buckets.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1, 1)
    assert len(buckets._tokens) == 16384


@given(st.integers(1, 9), st.integers(0, 5))
def test_ports_are_given_once_and_pairs_are_pairs(size: int, offset: int) -> None:
    ports = range(50000 + offset, 50000 + offset + size)
    pool = PortPool(ports, os.urandom)
    taken: list[int] = []
    while (pair := pool.take_pair()) is not None:
        assert pair % 2 == 0
        taken += (pair, pair + 1)
    while (even := pool.take_even()) is not None:
        assert even % 2 == 0
        taken.append(even)
    while (port := pool.take()) is not None:
        taken.append(port)
    assert sorted(taken) == list(ports)
    for port in taken:
        pool.give_back(port)
    assert pool.used == 0
    assert pool.take() in ports


def test_transactions_keep_the_newest() -> None:
    transactions = Transactions()
    flow = FiveTuple(Transport.UDP, Address("192.0.2.1", 1), Address("192.0.2.2", 2))
    for number in range(9000):
        transactions.remember(flow, number.to_bytes(12, "big"), b"request", b"answer", 0.0)
    assert len(transactions) == 8192
    assert transactions.answer(flow, (0).to_bytes(12, "big"), b"request", 1.0) is None
    last = (8999).to_bytes(12, "big")
    assert transactions.answer(flow, last, b"request", 1.0) == b"answer"
    assert transactions.answer(flow, last, b"another", 1.0) is None
    assert transactions.answer(flow, last, b"request", 41.0) is None
    transactions.forget_old(41.0)
    assert len(transactions) == 0


UDP_LISTENER = Listener(Transport.UDP, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"secrets": ()}, "KONSIL_TURN_SECRET"),
        ({"secrets": ("",)}, "KONSIL_TURN_SECRET"),
        ({"realm": ""}, "realm"),
        ({"realm": 'a"b'}, "realm"),
        ({"listen": ()}, "listen"),
        ({"min_port": 80}, "ports"),
        ({"min_port": 50001, "max_port": 50000}, "ports"),
        ({"max_port": 70000}, "ports"),
        ({"processes": 0}, "processes"),
        ({"min_port": 50000, "max_port": 50003, "processes": 4}, "too small"),
        ({"listen": (Listener(Transport.TLS, "127.0.0.1", 0),)}, "tls_certificate"),
        ({"relay_ipv4": "relay.example.org"}, "relay_ipv4"),
        ({"relay_ipv4": "::1"}, "relay_ipv4"),
        ({"external_ipv6": "192.0.2.1"}, "external_ipv6"),
        ({"external_ipv4": "auto"}, "external_ipv4 must be a numeric address, not 'auto'"),
        ({"external_ipv6": "auto"}, "external_ipv6 must be a numeric address, not 'auto'"),
        ({"denied_peers": ("10.0.0.1/8",)}, "peer list"),
    ],
)
def test_contradictory_settings_are_told(changes: dict[str, object], says: str) -> None:
    settings: dict[str, object] = {"secrets": ("s",), "listen": (UDP_LISTENER,), **changes}
    with pytest.raises(ConfigError, match=says) as told:
        RelayConfig(**settings).validate()  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_settings_pass_between_processes() -> None:
    from turn.worker import config_from

    config = RelayConfig(secrets=("a", "b"), listen=(UDP_LISTENER,), limits=Limits(allocations=7))
    document = {**asdict(config), "place": {
        "listeners": [], "hosts": {1: "192.0.2.1"}, "ports": [50000, 50100],
        "check_ports": [50100, 50112], "nonce_key": "00ff",
    }}  # fmt: skip
    text = json.dumps(document, default=lambda value: value.value)
    again, place = config_from(json.loads(text))
    assert again == config
    assert place.ports == range(50000, 50100)
    assert place.check_ports == range(50100, 50112)
    assert place.hosts == {1: "192.0.2.1"}
    assert place.nonce_key == b"\0\xff"


def test_numbers_of_several_processes_add_up() -> None:
    first = Stats(allocations=2, requests={"binding success": 3}, packets={"up": 1})
    second = Stats(allocations=1, requests={"binding success": 4}, dropped={"bandwidth": 2})
    total = Stats(restarts=1)
    total.add(first)
    total.add(second)
    assert total.allocations == 3
    assert total.requests == {"binding success": 7}
    assert first.requests == {"binding success": 3}
    assert total.without_gauges().allocations == 0
    registry = CollectorRegistry()
    registry.register(RelayCollector(lambda: total, lambda: True))
    text = generate_latest(registry).decode()
    assert 'konsil_turn_requests_total{method="binding",outcome="success"} 7.0' in text
    assert 'konsil_turn_dropped_total{reason="bandwidth"} 2.0' in text
    assert "konsil_turn_draining 1.0" in text
