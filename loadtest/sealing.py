"""Keys and ciphertexts of the sealed negotiation: docs/protocol.md sections 7.1 to 7.3.

Pure, except that `make_share` makes key pairs.

`web/js/sealing.js` is the browsers' implementation; `tests/vectors/sealing.json` holds both.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

X25519: Final = 1
P256: Final = 2
HAS_SECRET: Final = 1
NONCE_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
_KEY_BYTES: Final = {X25519: 32, P256: 65}

PrivateKey = X25519PrivateKey | EllipticCurvePrivateKey


class Reason(StrEnum):
    """Why an exchange ended for good (section 7.4)."""

    COMMIT_MISMATCH = "commit_mismatch"
    NO_COMMON_SUITE = "no_common_suite"
    UNSEALING_FAILED = "unsealing_failed"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    MALFORMED = "malformed"
    REPLAYED = "replayed"
    OUT_OF_ORDER = "out_of_order"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a word of the protocol
    TOO_MANY = "too_many"


class RefusalError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Share:
    """What the other side has told. `keys` by suite; unknown suites are left out."""

    has_secret: bool
    keys: Mapping[int, bytes]
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class OwnShare:
    """One side's part of one exchange, never used in another."""

    share: bytes
    private: Mapping[int, PrivateKey] = field(repr=False)
    has_secret: bool

    @property
    def commitment(self) -> bytes:
        return commitment_to(self.share)


@dataclass(frozen=True, slots=True)
class Context:
    """A is the initiator."""

    room: str
    a: str
    b: str
    exchange: str


@dataclass(frozen=True, slots=True)
class Keys:
    from_a: bytes = field(repr=False)
    from_b: bytes = field(repr=False)
    code: str  # six digits


def make_share(
    *,
    fingerprint: bytes,
    has_secret: bool,
    nonce: bytes,
    private: Mapping[int, PrivateKey] | None = None,
) -> OwnShare:
    """`fingerprint`: SHA-256 of the DTLS certificate; `nonce`: 16 random bytes."""
    if len(fingerprint) != FINGERPRINT_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("a fingerprint has 32 bytes, a nonce 16")
    if private is None:
        private = {X25519: X25519PrivateKey.generate(), P256: generate_private_key(SECP256R1())}
    publics = {suite: _public(private[suite]) for suite in sorted(private)}
    keys = b"".join(bytes((suite, len(key))) + key for suite, key in publics.items())
    flags = HAS_SECRET if has_secret else 0
    return OwnShare(bytes((flags, len(publics))) + keys + nonce + fingerprint, private, has_secret)


def decode_share(data: bytes) -> Share:
    """Raises RefusalError `malformed`."""
    at = 0

    def take(length: int) -> bytes:
        nonlocal at
        if at + length > len(data):
            raise RefusalError(Reason.MALFORMED)
        at += length
        return data[at - length : at]

    flags, count = take(2)
    if flags & ~HAS_SECRET:
        raise RefusalError(Reason.MALFORMED)
    keys: dict[int, bytes] = {}
    last = 0
    for _ in range(count):
        suite, length = take(2)
        if suite <= last:
            raise RefusalError(Reason.MALFORMED)
        last, key = suite, take(length)
        if suite in _KEY_BYTES:
            if length != _KEY_BYTES[suite]:
                raise RefusalError(Reason.MALFORMED)
            keys[suite] = key
    take(NONCE_BYTES)
    fingerprint = take(FINGERPRINT_BYTES)
    if at != len(data):
        raise RefusalError(Reason.MALFORMED)
    return Share(flags == HAS_SECRET, keys, fingerprint)


def commitment_to(share: bytes) -> bytes:
    return hashlib.sha256(_label("konsil/1 commit") + share).digest()


def check_commitment(commitment: bytes, share: bytes) -> None:
    """Raises RefusalError `commit_mismatch`."""
    if not hmac.compare_digest(commitment, commitment_to(share)):
        raise RefusalError(Reason.COMMIT_MISMATCH)


def derive(
    own: OwnShare,
    theirs: Share,
    context: Context,
    shares: tuple[bytes, bytes],
    link_secret: bytes | None,
) -> Keys:
    """Section 7.2. `shares`: of A and of B; `link_secret`: 16 bytes where both flags say so.

    Raises RefusalError `no_common_suite`, or `malformed` for a point that is none.
    """
    shared = _agree(own.private, theirs.keys)
    transcript = hashlib.sha256(
        _label("konsil/1 transcript")
        + b"".join(map(_lp, (context.room, context.a, context.b, context.exchange)))
        + b"".join(map(_lp, shares))
    ).digest()
    salt = bytes(32) if link_secret is None else link_secret

    def hkdf(purpose: str, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt, _label(purpose) + transcript).derive(shared)

    code = int.from_bytes(hkdf("konsil/1 code", 8), "big") % 1_000_000
    return Keys(hkdf("konsil/1 key A>B", 32), hkdf("konsil/1 key B>A", 32), f"{code:06d}")


def seal(key: bytes, context: Context, *, by_a: bool, seq: int, plaintext: bytes) -> bytes:
    """Ciphertext and tag (section 7.3). `seq` is the nonce: never twice under one key."""
    return AESGCM(key).encrypt(_nonce(seq), plaintext, _aad(context, by_a))


def unseal(key: bytes, context: Context, *, by_a: bool, seq: int, ciphertext: bytes) -> bytes:
    """Raises RefusalError `unsealing_failed`."""
    try:
        return AESGCM(key).decrypt(_nonce(seq), ciphertext, _aad(context, by_a))
    except (InvalidTag, ValueError):
        raise RefusalError(Reason.UNSEALING_FAILED) from None


def _agree(private: Mapping[int, PrivateKey], public: Mapping[int, bytes]) -> bytes:
    for suite in sorted(set(private) & set(public)):
        own, theirs = private[suite], public[suite]
        try:
            if isinstance(own, X25519PrivateKey):
                return own.exchange(X25519PublicKey.from_public_bytes(theirs))
            point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), theirs)
            return own.exchange(ECDH(), point)
        except ValueError:
            raise RefusalError(Reason.MALFORMED) from None
    raise RefusalError(Reason.NO_COMMON_SUITE)


def _public(key: PrivateKey) -> bytes:
    if isinstance(key, X25519PrivateKey):
        return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _aad(context: Context, by_a: bool) -> bytes:
    ends = (context.a, context.b) if by_a else (context.b, context.a)
    parts = (context.room, *ends, context.exchange, "sealed")
    return _label("konsil/1 sealed") + b"".join(map(_lp, parts))


def _nonce(seq: int) -> bytes:
    return bytes(4) + seq.to_bytes(8, "big")


def _label(text: str) -> bytes:
    return text.encode("ascii") + b"\0"


def _lp(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data
