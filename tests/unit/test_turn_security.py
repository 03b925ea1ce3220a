"""Hostile input, forged sources and every trap known from other servers."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.unit.test_turn_world import PEER, SECRET, World, limits
from turn.address import Address
from turn.attributes import Attribute, MessageClass, Method
from turn.client import TurnClient, error_code, parse_answer
from turn.config import Limits
from turn.credentials import Credentials, issue, password_for
from turn.five_tuple import FiveTuple, Transport
from turn.message import Digest, Message, encode_message, parse_message
from turn.nonce import Nonces

Tamper = Callable[[World, TurnClient], None]


def _wrong_realm(_: World, client: TurnClient) -> None:
    client.realm = b"elsewhere"


def _wrong_password(_: World, client: TurnClient) -> None:
    client.password = "guess"


def _wrong_user(world: World, client: TurnClient) -> None:
    client.username = client.username.replace("p1", "p2")


def _expired(world: World, client: TurnClient) -> None:
    client.username, client.password = issue(SECRET, "p1", int(world.wall))


def _not_yet(world: World, client: TurnClient) -> None:
    """An expiry further ahead than any credential of ours reaches."""
    client.username, client.password = issue(SECRET, "p1", int(world.wall) + 90_001)


def _signed(username: str) -> Tamper:
    """A user name of that form with the password that fits it."""

    def tamper(_: World, client: TurnClient) -> None:
        client.username = username
        client.password = password_for(SECRET, username.encode())

    return tamper


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (_wrong_realm, 401),
        (_wrong_password, 401),
        (_wrong_user, 401),
        (_expired, 401),
        (_not_yet, 401),
        (_signed("alice"), 401),
        (_signed("alice:1800000900"), 401),
        (_signed(":alice"), 401),
        (_signed("1800000900:"), 401),
        (_signed("-1:alice"), 401),
        (_signed("+1800000900:alice"), 401),
        (_signed("1800000900.5:alice"), 401),
        (_signed("9" * 400 + ":alice"), 401),
        (_signed("1800000900:\u202eecila"), 401),
        (_signed("1800000900:a\nb"), 401),
        (_signed("1800000900:" + "a" * 600), 401),
        # A name that a careless logger would take for a format string is a name like any other.
        (_signed("1800000900:%s%n%x{0}{{}}$(id)"), None),
    ],
)
@pytest.mark.parametrize("digest", list(Digest))
def test_credentials(tamper: Tamper, code: int | None, digest: Digest) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000, transport=Transport.TCP)
    client.digest = digest
    client.learn(world.ask(flow, client.allocate()))
    tamper(world, client)
    answer = world.ask(flow, client.allocate())
    assert error_code(answer) == code
    if code is not None:
        # A refusal is a fresh challenge and is signed by nobody.
        assert answer.has(Attribute.NONCE)
        assert answer.has(Attribute.REALM)
        assert answer.digest is None
        assert world.nothing_left


def test_a_foreign_realm_is_refused_even_with_the_right_key() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    key = client.key
    client.realm = b"elsewhere"
    whole = parse_message(client.allocate())
    assert isinstance(whole, Message)
    request = encode_message(
        Method.ALLOCATE, MessageClass.REQUEST, b"t" * 12, whole.attributes, key=key
    )
    assert world.code(flow, request) == 401


@pytest.mark.parametrize("missing", [Attribute.USERNAME, Attribute.REALM, Attribute.NONCE])
def test_integrity_without_its_attributes_is_400(missing: Attribute) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    whole = parse_message(client.allocate())
    assert isinstance(whole, Message)
    attributes = [pair for pair in whole.attributes if pair[0] != missing]
    request = encode_message(
        Method.ALLOCATE, MessageClass.REQUEST, b"t" * 12, attributes, key=client.key
    )
    assert world.code(flow, request) == 400


@pytest.mark.parametrize(
    ("seconds", "code"), [(0, None), (570, None), (700, 438), (70_000, 438), (3_000_000, 438)]
)
def test_nonces_grow_stale(seconds: float, code: int | None) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    world.now += seconds
    answer = world.ask(flow, client.allocate())
    assert error_code(answer) == code
    if code:
        assert client.learn(answer)
        assert world.code(flow, client.allocate()) is None


def test_a_nonce_is_good_for_its_five_tuple_only() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    for other in (
        world.flow(4001),
        world.flow(4000, "198.51.100.8"),
        world.flow(4000, transport=Transport.TCP),
        FiveTuple(Transport.UDP, flow.client, Address("203.0.113.6", 3478)),
    ):
        assert world.code(other, client.allocate()) == 438
    assert world.code(flow, client.allocate()) is None


@pytest.mark.parametrize("features", [True, False])
def test_forged_nonces(features: bool) -> None:
    nonces = Nonces(b"k" * 32, 600)
    flow = World().flow(1)
    good = nonces.make(flow, 1000, features=features)
    assert nonces.check(good, flow, 1000)
    assert not Nonces(b"x" * 32, 600).check(good, flow, 1000)
    for position in range(len(good)):
        forged = bytearray(good)
        forged[position] ^= 1
        assert not nonces.check(bytes(forged), flow, 1000)
    for junk in (b"", b"\0", b"obMatJos2gAAA", good[:-1], good + b"A", b"\xff" * len(good)):
        assert not nonces.check(junk, flow, 1000)
    # Feature bits of another offer: the bid-down an attacker would want.
    assert nonces.offers_features(good) is features


def test_secrets_rotate_with_overlap() -> None:
    credentials = Credentials(("old",), "konsil", 90_000)
    username, _ = issue("old", "p1", 1_000_100)
    (old,) = credentials.keys(username.encode(), 1)  # type: ignore[arg-type]
    credentials.rotate(("new", "old"))
    assert old in credentials.keys(username.encode(), 1)  # type: ignore[arg-type]
    credentials.rotate(("new",))
    assert old not in credentials.keys(username.encode(), 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        credentials.rotate(())
    for opaque in ("", "a b", "name@example.org", "x" * 65, "äöü"):
        with pytest.raises(ValueError, match="opaque"):
            issue("new", opaque, 1)


# Traps


def _append(request: bytes, number: int, value: bytes) -> bytes:
    """The request with an attribute behind its integrity, and a length that covers it."""
    attribute = struct.pack("!HH", number, len(value)) + value
    length = len(request) - 20 + len(attribute)
    return request[:2] + struct.pack("!H", length) + request[4:] + attribute


@pytest.mark.parametrize("digest", list(Digest))
def test_attributes_behind_the_integrity_do_not_exist(digest: Digest) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000, transport=Transport.TLS)
    client.digest = digest
    world.allocate(client, flow)
    longer = _append(client.request(Method.REFRESH), Attribute.LIFETIME, bytes((0, 0, 14, 16)))
    answer = world.ask(flow, longer)
    assert answer.get(Attribute.LIFETIME) == (600).to_bytes(4, "big")
    gone = _append(client.request(Method.REFRESH), Attribute.LIFETIME, bytes(4))
    world.ask(flow, gone)
    assert world.server.allocations == 1
    unknown = _append(client.request(Method.REFRESH), 0x7777, b"")
    assert world.code(flow, unknown) is None
    peer = _append(client.create_permission(PEER), Attribute.XOR_PEER_ADDRESS, b"\0\1" + bytes(6))
    assert world.code(flow, peer) is None
    (relay_id,) = world.relays
    assert world.permitted[relay_id] == {PEER.host}


def test_sha256_decides_where_both_integrities_are_there() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000, transport=Transport.TCP)
    world.allocate(client, flow)
    request = client.request(Method.REFRESH)
    forged = _append(request, Attribute.MESSAGE_INTEGRITY_SHA256, b"f" * 32)
    assert world.code(flow, forged) == 401


def test_a_mismatching_fingerprint_is_dropped() -> None:
    world = World()
    flow = world.flow(4000)
    request = bytearray(
        encode_message(Method.BINDING, MessageClass.REQUEST, b"t" * 12, (), fingerprint=True)
    )
    assert len(world.send(flow, bytes(request))) == 1
    request[-1] ^= 1
    assert world.send(flow, bytes(request)) == []
    assert world.server.counters.dropped["bad_fingerprint"] == 1


def _raw(beginning: str, zeros: int, body: str = "") -> bytes:
    """A message from its type and length, its cookie, zeros and a body in hexadecimal."""
    return bytes.fromhex(beginning + "2112a442") + bytes(zeros) + bytes.fromhex(body)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\0", "truncated"),
        (bytes(19), "truncated"),
        (bytes(20), "not_stun"),
        (b"\xff" * 20, "not_stun"),
        (b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n", "not_stun"),
        (_raw("0001 0004", 12), "bad_length"),
        (_raw("0001 0003", 15), "bad_length"),
        (_raw("0001 0000", 16), "bad_length"),
        (_raw("0001 0004", 12, "00060001"), "bad_attribute"),
        (_raw("0001 0008", 12, "0006ffff") + bytes(4), "bad_attribute"),
        (_raw("0001 0008", 12, "00080004") + bytes(4), "bad_attribute"),
        (_raw("0001 0008", 12, "001c0004") + bytes(4), "bad_attribute"),
        (_raw("0001 0004", 12, "80280000"), "bad_attribute"),
        (_raw("0001 fffc", 12, "80220000" * 16383), "bad_attribute"),
        (_raw("0101 0000", 12), "unexpected_response"),
        (_raw("0111 0000", 12), "unexpected_response"),
        (_raw("0016 0000", 12), "unexpected_indication"),
        (_raw("0017 0000", 12), "unexpected_indication"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_dropped_and_counted(data: bytes, reason: str) -> None:
    world = World()
    assert world.send(world.flow(4000), data) == []
    assert world.server.counters.dropped == {reason: 1}


# Forged sources


@pytest.mark.parametrize("host", ["198.51.100.7", "2a02:8388::7"])
@pytest.mark.parametrize("padding", [0, 40, 400])
def test_no_answer_amplifies(host: str, padding: int) -> None:
    """Answers to a source that has proven nothing: at first hardly larger, in the end smaller."""
    allowance = Limits().unproven_excess
    world = World(limits=Limits(requests_per_address=1e6, request_burst=1e6))
    flow = world.flow(4000, host)
    extra = [(Attribute.SOFTWARE, bytes(padding))] if padding else []
    sent = received = 0
    for number in range(2000):
        method = (Method.BINDING, Method.ALLOCATE, Method.REFRESH, 0xABC)[number % 4]
        request = encode_message(method, MessageClass.REQUEST, number.to_bytes(12, "big"), extra)
        sent += len(request)
        received += sum(map(len, world.send(flow, request)))
    # One allowance is that of Bindings, the other everything else's.
    assert received <= sent + 2 * allowance
    assert world.nothing_left


def test_a_first_challenge_is_at_most_twice_the_request() -> None:
    world = World()
    request = world.client().allocate()
    assert len(request) == 28
    (challenge,) = world.send(world.flow(4000), request)
    assert len(challenge) <= 2 * len(request)
    # A longer one may have the longer challenge, within the same proportion.
    for length in range(0, 60, 4):
        longer = world.client().allocate((Attribute.SOFTWARE, bytes(length)))
        (challenge,) = world.send(world.flow(4000), longer)
        assert len(challenge) <= 2 * len(longer)
    assert b"obMatJos2" in challenge
    # Whoever has proven its address is offered SHA-256 as well.
    flow = world.flow(4000, transport=Transport.TCP)
    answer = world.ask(flow, request)
    assert len(answer.raw) == world.server._authenticator.long_challenge_size
    assert answer.get(Attribute.PASSWORD_ALGORITHMS) == bytes.fromhex("0002000000010000")
    nonce = answer.get(Attribute.NONCE)
    assert nonce is not None
    assert nonce.startswith(b"obMatJos2gAAA")


def test_a_flood_from_forged_sources_leaves_no_state() -> None:
    world = World(limits=Limits())
    request = world.client().allocate()
    for number in range(5000):
        host = f"45.{number >> 8 & 255}.{number & 255}.1"
        world.server.receive_message(request, world.flow(4000, host), world.now, world.wall)
    while world.server.poll_output() is not None:
        pass
    assert world.nothing_left
    assert len(world.server._transactions) == 0
    assert world.table.next_deadline() is None


def test_requests_of_one_source_are_bounded_and_others_unharmed() -> None:
    world = World(limits=Limits(requests_per_address=10, request_burst=20))
    client = world.client()
    answered = sum(len(world.send(world.flow(p), client.allocate())) for p in range(100))
    assert answered == 20
    assert world.server.counters.dropped["request_rate"] == 80
    assert len(world.send(world.flow(1, "198.51.100.9"), client.allocate())) == 1
    # One /64 of IPv6 is one source.
    answered = sum(
        len(world.send(world.flow(1, f"2a02:8388:1:2::{p:x}"), client.allocate()))
        for p in range(1, 50)
    )
    assert answered == 20
    world.now += 1
    assert len(world.send(world.flow(999), client.allocate())) == 1


def test_requests_on_an_allocation_have_a_bound_of_their_own() -> None:
    world = World(limits=Limits(request_burst=20, requests_per_allocation=5))
    client, flow = world.allocated()
    answered = sum(len(world.send(flow, client.refresh(600))) for _ in range(50))
    assert answered == 10
    world.now += 1
    assert world.code(flow, client.refresh(600)) is None


# Quotas


def test_allocation_quotas() -> None:
    world = World(limits=limits(allocations_per_user=2))
    for port in range(2):
        world.allocated(port)
    assert error_code(world.allocate(world.client(), world.flow(5))) == 486
    world.allocated(6, "p2")
    world = World(limits=limits(allocations_per_address=2))
    for port in range(2):
        world.allocated(port, f"p{port}")
    assert error_code(world.allocate(world.client("px"), world.flow(5))) == 486
    assert error_code(world.allocate(world.client("px"), world.flow(5, "8.8.4.4"))) is None
    world = World(limits=limits(allocations=2))
    kept = [world.allocated(port, f"p{port}") for port in range(2)]
    assert error_code(world.allocate(world.client("px"), world.flow(5, "8.8.4.4"))) == 508
    client, flow = kept[0]
    world.ask(flow, client.refresh(0))
    assert error_code(world.allocate(world.client("px"), world.flow(5, "8.8.4.4"))) is None


def test_ports_exhausted_is_508() -> None:
    world = World(ports=range(50000, 50003))
    for port in range(3):
        world.allocated(port)
    assert error_code(world.allocate(world.client(), world.flow(9))) == 508
    world.pass_time(600)
    assert world.nothing_left


def test_nothing_grows_under_endless_allocation() -> None:
    """What a credential's holder can do at worst: make, fill and delete, again and again."""
    world = World(limits=limits(requests_per_allocation=1e6))
    client, flow = world.client(), world.flow(4000)
    peers = [Address(f"9.9.9.{index}", 9) for index in range(20)]
    for _ in range(300):
        world.allocate(client, flow)
        world.ask(flow, client.create_permission(*peers))
        world.ask(flow, client.channel_bind(0x4000, peers[0]))
        world.ask(flow, client.refresh(0))
    assert world.nothing_left
    assert len(world.table._deadlines) < 500


def test_an_answer_is_remembered_for_the_authenticated_only() -> None:
    world = World()
    flow = world.flow(4000)
    for number in range(100):
        request = encode_message(
            Method.ALLOCATE, MessageClass.REQUEST, number.to_bytes(12, "big"), ()
        )
        world.send(flow, request)
    assert len(world.server._transactions) == 0


@pytest.mark.parametrize(
    ("algorithm", "echoed", "code"),
    [
        (b"\0\2\0\0", "same", None),
        (b"\0\1\0\0", "same", 401),  # named MD5, signed with the SHA-256 key
        (b"\0\3\0\0", "same", 400),
        (b"\0\2\0\1", "same", 400),
        (b"\0", "same", 400),
        (None, "same", 400),
        (b"\0\2\0\0", None, 400),
        (b"\0\2\0\0", bytes.fromhex("00010000"), 400),  # the bid-down
    ],
)
def test_password_algorithms(
    algorithm: bytes | None, echoed: str | bytes | None, code: int | None
) -> None:
    world = World()
    client, flow = world.client(), world.flow(4000, transport=Transport.TLS)
    client.digest = Digest.SHA256
    client.learn(world.ask(flow, client.allocate()))
    attributes: list[tuple[int, bytes]] = [
        (Attribute.REQUESTED_TRANSPORT, bytes((17, 0, 0, 0))),
        (Attribute.USERNAME, client.username.encode()),
        (Attribute.REALM, client.realm),
        (Attribute.NONCE, client.nonce),
    ]
    if algorithm is not None:
        attributes.append((Attribute.PASSWORD_ALGORITHM, algorithm))
    if echoed is not None:
        value = client.offered if echoed == "same" else echoed
        assert isinstance(value, bytes)
        attributes.append((Attribute.PASSWORD_ALGORITHMS, value))
    request = encode_message(
        Method.ALLOCATE,
        MessageClass.REQUEST,
        b"t" * 12,
        attributes,
        key=client.key,
        digest=Digest.SHA256,
    )
    answer = world.ask(flow, request)
    assert error_code(answer) == code
    if code is None:
        assert answer.digest is Digest.SHA256
        assert answer.signed_with(client.key, Digest.SHA256)


def test_userhash_matches_nobody() -> None:
    world = World()
    client, flow = world.client(), world.flow(4000)
    client.learn(world.ask(flow, client.allocate()))
    request = encode_message(
        Method.ALLOCATE,
        MessageClass.REQUEST,
        b"t" * 12,
        [
            (Attribute.REQUESTED_TRANSPORT, bytes((17, 0, 0, 0))),
            (Attribute.USERHASH, bytes(32)),
            (Attribute.REALM, client.realm),
            (Attribute.NONCE, client.nonce),
        ],
        key=client.key,
    )
    assert world.code(flow, request) == 401


def test_refusals_to_strangers_say_nothing_more_than_they_must() -> None:
    world = World()
    (data,) = world.send(world.flow(4000), world.client().allocate())
    answer = parse_answer(data)
    assert answer is not None
    assert {number for number, _ in answer.attributes} == {
        Attribute.ERROR_CODE,
        Attribute.REALM,
        Attribute.NONCE,
    }
    assert answer.get(Attribute.ERROR_CODE) == bytes((0, 0, 4, 1))
