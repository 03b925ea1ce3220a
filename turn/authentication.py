"""The long-term credential mechanism, server side (RFC 8489 §9.2.4)."""

from __future__ import annotations

from dataclasses import dataclass

from turn.attributes import Attribute, ErrorCode
from turn.credentials import Claim, Credentials, PasswordAlgorithm
from turn.five_tuple import FiveTuple
from turn.message import Digest, Message
from turn.nonce import Nonces

# What PASSWORD-ALGORITHMS offers, strongest first: two entries without parameters (§14.11).
OFFERED_ALGORITHMS = bytes.fromhex("0002 0000 0001 0000")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed a request, and with what the answer is to be signed."""

    username: bytes
    claim: Claim
    key: bytes
    digest: Digest
    algorithm: PasswordAlgorithm


class Authenticator:
    """Decides whether a request is signed by a holder of a credential that is valid now."""

    __slots__ = ("_credentials", "_nonces", "_realm", "long_challenge_size")

    def __init__(self, realm: str, credentials: Credentials, nonces: Nonces) -> None:
        self._realm = realm.encode()
        self._credentials = credentials
        self._nonces = nonces
        # Bytes of an error response with the long challenge and nothing else: header, ERROR-CODE,
        # REALM, NONCE and PASSWORD-ALGORITHMS.
        self.long_challenge_size = 20 + 8 + 4 + (len(self._realm) + 3 & ~3) + 4 + 36 + 12

    def check(
        self, request: Message, flow: FiveTuple, now: float, wall: float
    ) -> Identity | ErrorCode:
        """The signer, or the code to refuse with: 400 as it is, 401 and 438 with a challenge."""
        # No integrity: the first request of a client that does not know us yet.
        digest = request.digest
        if digest is None:
            return ErrorCode.UNAUTHORIZED
        # Integrity without the attributes that belong to it.
        username = request.get(Attribute.USERNAME)
        realm = request.get(Attribute.REALM)
        nonce = request.get(Attribute.NONCE)
        named = username is not None or request.has(Attribute.USERHASH)
        if not named or realm is None or nonce is None:
            return ErrorCode.BAD_REQUEST
        # Password algorithms: bound to the nonce's feature bits.
        algorithm = self._algorithm(request, nonce)
        if algorithm is None:
            return ErrorCode.BAD_REQUEST
        # USERHASH is never offered (we keep no list of names to find one in), so it matches none.
        if username is None or realm != self._realm:
            return ErrorCode.UNAUTHORIZED
        claim = self._credentials.claim(username, wall)
        if claim is None:
            return ErrorCode.UNAUTHORIZED
        # Integrity under any secret of the ring.
        for key in self._credentials.keys(username, algorithm):
            if request.signed_with(key, digest):
                break
        else:
            return ErrorCode.UNAUTHORIZED
        # A nonce of another five-tuple is as stale as an old one.
        if not self._nonces.check(nonce, flow, now):
            return ErrorCode.STALE_NONCE
        return Identity(username, claim, key, digest, algorithm)

    def _algorithm(self, request: Message, nonce: bytes) -> PasswordAlgorithm | None:
        chosen = request.get(Attribute.PASSWORD_ALGORITHM)
        echoed = request.get(Attribute.PASSWORD_ALGORITHMS)
        if chosen is None and echoed is None:
            return PasswordAlgorithm.MD5
        if not self._nonces.offers_features(nonce):
            # Never offered with this nonce: the attributes are taken at their word, so that a
            # client that met the long challenge elsewhere may still use SHA-256.
            echoed = OFFERED_ALGORITHMS if echoed is None else echoed
        if echoed != OFFERED_ALGORITHMS or chosen is None or chosen[2:] != b"\0\0":
            return None
        number = int.from_bytes(chosen[:2], "big")
        return PasswordAlgorithm(number) if number in (1, 2) else None

    def challenge(self, flow: FiveTuple, now: float, *, features: bool) -> list[tuple[int, bytes]]:
        """REALM, NONCE and, with features, PASSWORD-ALGORITHMS for a 401 or 438."""
        attributes: list[tuple[int, bytes]] = [
            (Attribute.REALM, self._realm),
            (Attribute.NONCE, self._nonces.make(flow, now, features=features)),
        ]
        if features:
            attributes.append((Attribute.PASSWORD_ALGORITHMS, OFFERED_ALGORITHMS))
        return attributes
