"""docs/protocol.md section 7 a second time, in Python: makes and checks the known answers.

``web/js/sealing.js`` is checked against the same file by ``tests/web/sealing.test.mjs``, so that an
error would have to be made twice, in two languages, to stay unseen. After a change of the protocol:
``python tests/unit/test_sealing_vectors.py`` writes ``tests/vectors/sealing.json`` anew.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VECTORS = Path(__file__).parents[1] / "vectors" / "sealing.json"
X25519 = 1
P256 = 2
HAS_LINK_SECRET = 1


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def label(text: str) -> bytes:
    return text.encode("ascii") + b"\0"


def lp(value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


@dataclass(frozen=True, slots=True)
class Side:
    """One participant's fixed private keys (32 bytes each, by suite) and what its share says."""

    participant: str
    private: dict[int, bytes]
    nonce: bytes
    fingerprint: bytes
    has_secret: bool

    def public(self, suite: int) -> bytes:
        if suite == X25519:
            key = x25519.X25519PrivateKey.from_private_bytes(self.private[suite])
            return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return self.p256().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def p256(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self.private[P256], "big"), ec.SECP256R1())

    def share(self) -> bytes:
        keys = b"".join(
            bytes([suite, len(self.public(suite))]) + self.public(suite)
            for suite in sorted(self.private)
        )
        flags = HAS_LINK_SECRET if self.has_secret else 0
        return bytes([flags, len(self.private)]) + keys + self.nonce + self.fingerprint

    def agree(self, suite: int, public: bytes) -> bytes:
        if suite == X25519:
            own = x25519.X25519PrivateKey.from_private_bytes(self.private[suite])
            return own.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        return self.p256().exchange(ec.ECDH(), theirs)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def aad(room: str, sender: str, recipient: str, exchange: str) -> bytes:
    return (
        label("konsil/1 sealed")
        + lp(room)
        + lp(sender)
        + lp(recipient)
        + lp(exchange)
        + lp("sealed")
    )


def gcm_nonce(seq: int) -> bytes:
    return bytes(4) + seq.to_bytes(8, "big")


def derive(
    room: str, exchange: str, a: Side, b: Side, link_secret: bytes | None
) -> dict[str, str | int]:
    """Every value of sections 7.1 and 7.2 for one exchange, from A's side."""
    suite = min(set(a.private) & set(b.private))
    share_a, share_b = a.share(), b.share()
    transcript = hashlib.sha256(
        label("konsil/1 transcript")
        + lp(room)
        + lp(a.participant)
        + lp(b.participant)
        + lp(exchange)
        + lp(share_a)
        + lp(share_b)
    ).digest()
    both = a.has_secret and b.has_secret
    salt = link_secret if both and link_secret is not None else bytes(32)
    secret = a.agree(suite, b.public(suite))
    assert secret == b.agree(suite, a.public(suite))
    code = hkdf(secret, salt, label("konsil/1 code") + transcript, 8)
    return {
        "suite": suite,
        "share_a": b64(share_a),
        "share_b": b64(share_b),
        "commitment": b64(hashlib.sha256(label("konsil/1 commit") + share_a).digest()),
        "transcript": b64(transcript),
        "shared_secret": b64(secret),
        "salt": b64(salt),
        "key_ab": b64(hkdf(secret, salt, label("konsil/1 key A>B") + transcript, 32)),
        "key_ba": b64(hkdf(secret, salt, label("konsil/1 key B>A") + transcript, 32)),
        "code": f"{int.from_bytes(code, 'big') % 1_000_000:06d}",
    }


def seed(text: str, length: int = 32) -> bytes:
    """Fixed bytes that nobody has chosen."""
    return hashlib.shake_128(f"konsil vectors {text}".encode()).digest(length)


def side_json(side: Side) -> dict[str, Any]:
    private: dict[str, dict[str, str]] = {}
    for suite, secret in side.private.items():
        public = side.public(suite)
        private[str(suite)] = (
            {"kty": "OKP", "crv": "X25519", "d": b64(secret), "x": b64(public)}
            if suite == X25519
            else {
                "kty": "EC",
                "crv": "P-256",
                "d": b64(secret),
                "x": b64(public[1:33]),
                "y": b64(public[33:]),
            }
        )
    return {
        "participant": side.participant,
        "private_keys": private,
        "nonce": b64(side.nonce),
        "fingerprint": b64(side.fingerprint),
        "has_secret": side.has_secret,
    }


CASES: tuple[tuple[str, tuple[int, ...], tuple[int, ...], bool, bool], ...] = (
    ("X25519, both hold the link's secret", (X25519, P256), (X25519, P256), True, True),
    ("X25519, nobody holds a secret", (X25519, P256), (X25519, P256), False, False),
    ("X25519, only A holds a secret", (X25519, P256), (X25519, P256), True, False),
    ("P-256, as A cannot do X25519; with secret", (P256,), (X25519, P256), True, True),
    ("P-256, as B cannot do X25519; without secret", (X25519, P256), (P256,), False, False),
    ("P-256 alone; only B holds a secret", (P256,), (P256,), False, True),
)

PLAINTEXTS: tuple[tuple[str, int, str], ...] = (
    ("a", 2, '{"candidate":null}'),
    ("a", 2**33 + 5, '{"media":{"audio":true,"video":false}}'),
    ("b", 1, '{"description":{"type":"answer","sdp":"v=0\\r\\n"}}'),
    ("b", 2, "Zoë 診察 🩺"),
)


def make_case(
    number: int,
    title: str,
    suites: tuple[tuple[int, ...], tuple[int, ...]],
    secrets: tuple[bool, bool],
) -> dict[str, Any]:
    def side(name: str, names: tuple[int, ...], has_secret: bool) -> Side:
        return Side(
            participant=b64(seed(f"{number} participant {name}", 16)),
            private={suite: seed(f"{number} private {name} {suite}") for suite in names},
            nonce=seed(f"{number} nonce {name}", 16),
            fingerprint=seed(f"{number} fingerprint {name}"),
            has_secret=has_secret,
        )

    a, b = side("a", suites[0], secrets[0]), side("b", suites[1], secrets[1])
    room = b64(seed(f"{number} room", 16))
    exchange = b64(seed(f"{number} exchange", 12))
    link_secret = seed(f"{number} link", 16) if any(secrets) else None
    expected = derive(room, exchange, a, b, link_secret)
    sealed = []
    for sender, seq, plaintext in PLAINTEXTS:
        key = unb64(str(expected["key_ab" if sender == "a" else "key_ba"]))
        ends = (a.participant, b.participant) if sender == "a" else (b.participant, a.participant)
        data = aad(room, ends[0], ends[1], exchange)
        sealed.append(
            {
                "sender": sender,
                "seq": seq,
                "plaintext": plaintext,
                "nonce": b64(gcm_nonce(seq)),
                "aad": b64(data),
                "ciphertext": b64(AESGCM(key).encrypt(gcm_nonce(seq), plaintext.encode(), data)),
            }
        )
    return {
        "title": title,
        "room": room,
        "exchange": exchange,
        "link_secret": None if link_secret is None else b64(link_secret),
        "a": side_json(a),
        "b": side_json(b),
        "expected": expected,
        "sealed": sealed,
    }


def make_vectors() -> dict[str, Any]:
    participants = [
        (b64(seed(f"room {n}", 16)), b64(seed(f"secret {n}", length)))
        for n, length in ((0, 17), (1, 32), (2, 48))
    ]
    return {
        "about": "Known answers of docs/protocol.md sections 2 and 7; all binary values base64url. "
        "Made by tests/unit/test_sealing_vectors.py.",
        "participants": [
            {
                "room": room,
                "secret": secret,
                "participant": b64(
                    hashlib.sha256(
                        label("konsil/1 participant") + room.encode() + b"\0" + secret.encode()
                    ).digest()[:16]
                ),
            }
            for room, secret in participants
        ],
        "exchanges": [
            make_case(number, title, (suites_a, suites_b), (secret_a, secret_b))
            for number, (title, suites_a, suites_b, secret_a, secret_b) in enumerate(CASES)
        ],
    }


def render(vectors: dict[str, Any]) -> str:
    return json.dumps(vectors, indent=2, ensure_ascii=False) + "\n"


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(VECTORS.read_text())


def test_the_stored_answers_are_the_ones_this_implementation_gives(stored: Any) -> None:
    assert stored == make_vectors()


def test_the_answers_hold_from_the_responders_side(stored: Any) -> None:
    """What B alone knows leads to the same keys: agreement is not an accident of A's code path."""
    for case in stored["exchanges"]:
        expected = case["expected"]
        suite = expected["suite"]
        own = Side(
            participant=case["b"]["participant"],
            private={int(n): unb64(jwk["d"]) for n, jwk in case["b"]["private_keys"].items()},
            nonce=unb64(case["b"]["nonce"]),
            fingerprint=unb64(case["b"]["fingerprint"]),
            has_secret=case["b"]["has_secret"],
        )
        share_a = unb64(expected["share_a"])
        assert hashlib.sha256(label("konsil/1 commit") + share_a).digest() == unb64(
            expected["commitment"]
        )
        secret = own.agree(suite, public_key_in(share_a, suite))
        transcript = unb64(expected["transcript"])
        key = hkdf(secret, unb64(expected["salt"]), label("konsil/1 key A>B") + transcript, 32)
        for message in case["sealed"]:
            if message["sender"] == "a":
                opened = AESGCM(key).decrypt(
                    unb64(message["nonce"]), unb64(message["ciphertext"]), unb64(message["aad"])
                )
                assert opened.decode() == message["plaintext"]


def test_another_links_secret_opens_nothing(stored: Any) -> None:
    case = next(c for c in stored["exchanges"] if c["a"]["has_secret"] and c["b"]["has_secret"])
    expected, message = case["expected"], case["sealed"][0]
    info = label("konsil/1 key A>B") + unb64(expected["transcript"])
    key = hkdf(unb64(expected["shared_secret"]), seed("another link", 16), info, 32)
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(
            unb64(message["nonce"]), unb64(message["ciphertext"]), unb64(message["aad"])
        )


def public_key_in(share: bytes, wanted: int) -> bytes:
    at = 2
    for _ in range(share[1]):
        suite, length = share[at], share[at + 1]
        if suite == wanted:
            return share[at + 2 : at + 2 + length]
        at += 2 + length
    raise AssertionError(f"suite {wanted} is not in the share")


if __name__ == "__main__":
    VECTORS.write_text(render(make_vectors()))
