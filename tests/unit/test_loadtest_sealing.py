"""The bots' sealing gives the known answers, and refuses what the protocol says to refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from loadtest.exchange import (
    Content,
    Exchange,
    Output,
    Ready,
    Refused,
    Send,
    decode_signal,
    encode_signal,
)
from loadtest.participant import base64url, from_base64url, participant_id
from loadtest.sealing import (
    P256,
    X25519,
    Context,
    OwnShare,
    PrivateKey,
    Reason,
    make_share,
    unseal,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "sealing.json").read_text())
CASES = VECTORS["exchanges"]


def _own(side: dict[str, Any]) -> OwnShare:
    private: dict[int, PrivateKey] = {}
    for suite, jwk in side["private_keys"].items():
        secret = from_base64url(jwk["d"])
        if int(suite) == X25519:
            private[X25519] = x25519.X25519PrivateKey.from_private_bytes(secret)
        else:
            number = int.from_bytes(secret, "big")
            private[P256] = ec.derive_private_key(number, ec.SECP256R1())
    return make_share(
        fingerprint=from_base64url(side["fingerprint"]),
        has_secret=side["has_secret"],
        nonce=from_base64url(side["nonce"]),
        private=private,
    )


def _two(case: dict[str, Any]) -> tuple[Exchange, Exchange]:
    context = Context(
        case["room"], case["a"]["participant"], case["b"]["participant"], case["exchange"]
    )
    secret = from_base64url(case["link_secret"]) if case["link_secret"] else None

    def side(name: str) -> Exchange:
        own = _own(case[name])
        return Exchange(
            context, own, initiator=name == "a", link_secret=secret if own.has_secret else None
        )

    return side("a"), side("b")


def _deliver(to: Exchange, outputs: list[Output]) -> list[Output]:
    got: list[Output] = []
    for one in outputs:
        if isinstance(one, Send):
            got += to.receive(decode_signal(one.data))
    return got


def _opened(case: dict[str, Any]) -> tuple[Exchange, Exchange]:
    a, b = _two(case)
    at_a = _deliver(a, _deliver(b, a.begin()))
    assert Ready() in at_a
    assert _deliver(b, at_a) == [Ready()]
    return a, b


@pytest.mark.parametrize("one", VECTORS["participants"])
def test_a_secret_makes_the_same_participant_everywhere(one: dict[str, str]) -> None:
    assert participant_id(one["room"], one["secret"]) == one["participant"]


# Where B alone holds a secret it refuses A; that is a test of its own.
@pytest.mark.parametrize(
    "case", [c for c in CASES if c["a"]["has_secret"] or not c["b"]["has_secret"]]
)
def test_two_sides_come_to_the_known_keys(case: dict[str, Any]) -> None:
    expected = case["expected"]
    a, b = _two(case)
    (commit,) = a.begin()
    assert isinstance(commit, Send)
    assert decode_signal(commit.data).payload == from_base64url(expected["commitment"])
    (key,) = _deliver(b, [commit])
    assert isinstance(key, Send)
    assert decode_signal(key.data).payload == from_base64url(expected["share_b"])
    reveal, ready = _deliver(a, [key])
    assert isinstance(reveal, Send)
    assert ready == Ready()
    assert decode_signal(reveal.data).payload == from_base64url(expected["share_a"])
    assert _deliver(b, [reveal]) == [Ready()]
    assert a.code == b.code == expected["code"]
    for message in case["sealed"]:
        by_a = message["sender"] == "a"
        plaintext = unseal(
            from_base64url(expected["key_ab" if by_a else "key_ba"]),
            a.context,
            by_a=by_a,
            seq=message["seq"],
            ciphertext=from_base64url(message["ciphertext"]),
        )
        assert plaintext.decode() == message["plaintext"]
    first = next(m for m in case["sealed"] if m["sender"] == "a" and m["seq"] == 2)
    sealed = a.seal(json.loads(first["plaintext"]))
    assert decode_signal(sealed.data).payload == from_base64url(first["ciphertext"])
    assert _deliver(b, [sealed]) == [Content({"candidate": None})]


def _reason(outputs: list[Output]) -> Reason:
    (refused,) = (one for one in outputs if isinstance(one, Refused))
    return refused.reason


def test_a_client_with_a_secret_refuses_a_host_without() -> None:
    case = next(c for c in CASES if c["b"]["has_secret"] and not c["a"]["has_secret"])
    a, b = _two(case)
    assert _reason(_deliver(b, _deliver(a, _deliver(b, a.begin())))) is Reason.SECRET_MISSING


def test_another_share_than_the_one_committed_to_is_refused() -> None:
    a, b = _two(CASES[0])
    _deliver(b, a.begin())
    other = _own(CASES[0]["b"]).share
    swapped = decode_signal(encode_signal("reveal", a.context.exchange, 1, other))
    assert _reason(b.receive(swapped)) is Reason.COMMIT_MISMATCH


def test_what_was_altered_repeated_or_reordered_is_refused() -> None:
    for alter, reason in (
        (lambda s: encode_signal(s.kind, s.exchange, s.seq, s.payload[:-1]), "unsealing_failed"),
        (lambda s: encode_signal(s.kind, s.exchange, s.seq - 1, s.payload), "replayed"),
        (lambda s: encode_signal(s.kind, s.exchange, s.seq + 1, s.payload), "out_of_order"),
        (lambda s: encode_signal("reveal", s.exchange, s.seq, s.payload), "malformed"),
    ):
        a, b = _opened(CASES[0])
        signal = decode_signal(a.seal({"media": {"audio": True, "video": True}}).data)
        assert _reason(b.receive(decode_signal(alter(signal)))) == reason
        assert b.receive(signal) == []


def test_a_description_with_another_certificate_is_refused() -> None:
    a, b = _opened(CASES[0])
    right = from_base64url(CASES[0]["a"]["fingerprint"]).hex(":").upper()
    for sdp, is_right in (
        (f"v=0\r\na=fingerprint:sha-256 {right}\r\n", True),
        (f"v=0\r\na=fingerprint:sha-256 {right[:-2]}00\r\n", False),
    ):
        sealed = a.seal({"description": {"type": "offer", "sdp": sdp}})
        outputs = _deliver(b, [sealed])
        if is_right:
            assert isinstance(outputs[0], Content)
        else:
            assert _reason(outputs) is Reason.FINGERPRINT_MISMATCH


@pytest.mark.parametrize("data", ["", "key.AAAA.0.", "sealed.AAAAAAAAAAAAAAAA.01.", "x" * 100])
def test_what_is_no_signal_is_malformed(data: str) -> None:
    with pytest.raises(Exception, match="malformed"):
        decode_signal(data)


def test_base64url_has_one_spelling() -> None:
    assert from_base64url(base64url(b"\xff\xfe")) == b"\xff\xfe"
    with pytest.raises(ValueError, match="base64url"):
        from_base64url("__9")
