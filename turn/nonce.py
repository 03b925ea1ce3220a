"""Stateless nonces bound to a five-tuple (RFC 8489 §9.2).

A nonce is a period number and a MAC over that, the five-tuple and the security features offered,
so it cannot be used from another address, outlives nothing and costs no memory. The long form
starts with RFC 8489's nonce cookie, whose feature bits say that PASSWORD-ALGORITHMS was offered;
an attacker who strips that offer breaks the MAC.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from turn.five_tuple import FiveTuple

# Feature bit 0, "password algorithms", is the leftmost of 24 (RFC 8489 §18.1, erratum 6268).
_COOKIE = b"obMatJos2gAAA"
_PERIOD_SECONDS = 32
_SHORT = 9  # bytes before base64: 2 of period, 7 of MAC; 12 characters keep a challenge small
_LONG = 15


class Nonces:
    """Makes and checks nonces under one key (16 to 64 random bytes)."""

    __slots__ = ("_key", "_periods")

    def __init__(self, key: bytes, lifetime: float) -> None:
        self._key = key
        self._periods = max(1, int(lifetime // _PERIOD_SECONDS))

    def make(self, flow: FiveTuple, now: float, *, features: bool) -> bytes:
        """A fresh nonce; `features` chooses the long form, which offers password algorithms."""
        return self._encode(flow, int(now // _PERIOD_SECONDS), features)

    def check(self, nonce: bytes, flow: FiveTuple, now: float) -> bool:
        """Whether this is a nonce of ours, for this five-tuple, and not yet stale."""
        features = self.offers_features(nonce)
        text = nonce[len(_COOKIE) :] if features else nonce
        if len(text) != (_LONG if features else _SHORT) * 4 // 3:
            return False
        try:
            period = int.from_bytes(base64.urlsafe_b64decode(text)[:2], "big")
        except ValueError:
            return False
        current = int(now // _PERIOD_SECONDS)
        age = (current - period) & 0xFFFF
        if age > self._periods:
            return False
        return hmac.compare_digest(nonce, self._encode(flow, current - age, features))

    @staticmethod
    def offers_features(nonce: bytes) -> bool:
        """Whether a nonce has the cookie with the password algorithms bit set."""
        return nonce.startswith(_COOKIE)

    def _encode(self, flow: FiveTuple, period: int, features: bool) -> bytes:
        size = _LONG if features else _SHORT
        stated = repr((period, features, flow.transport.value, flow.client, flow.server)).encode()
        mac = hashlib.blake2b(stated, key=self._key, digest_size=size - 2).digest()
        text = base64.urlsafe_b64encode((period & 0xFFFF).to_bytes(2, "big") + mac)
        return _COOKIE + text if features else text
