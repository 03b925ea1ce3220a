"""An authenticator in software, for tests: makes passkeys and signs with them as Web Authentication
Level 3 has it, and does it wrong where it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

UP, UV, ATTESTED = 0x01, 0x04, 0x40


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One passkey in one device. Its faults are fields that a test sets."""

    origin: str
    rp_id: str
    user: str
    flags: int = UP | UV
    count: int = 0  # 0 and never more: a synced passkey
    counts: bool = True
    algorithm: int = -7
    typ: str | None = None
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def id(self) -> str:
        return b64(self.credential)

    def makes(self, challenge: str, fmt: str = "none", **more: Any) -> dict[str, str]:
        """The body of POST /api/v1/passkeys."""
        numbers = self.private.public_key().public_numbers()
        key = {1: 2, 3: self.algorithm, -1: 1}
        key |= {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential)) + self.credential
        data = self._data(self.flags | ATTESTED) + attested + cbor2.dumps(key)
        attestation = cbor2.dumps({"fmt": fmt, "attStmt": {}, "authData": data})
        client = self._client(self.typ or "webauthn.create", challenge, **more)
        return {"id": self.id, "client_data": b64(client), "attestation": b64(attestation)}

    def signs(self, challenge: str, **more: Any) -> dict[str, str]:
        """The body of POST /api/v1/sign-in/passkey."""
        if self.counts:
            self.count += 1
        data = self._data(self.flags)
        client = self._client(self.typ or "webauthn.get", challenge, **more)
        signed = data + hashlib.sha256(client).digest()
        return {
            "id": self.id,
            "user": self.user,
            "client_data": b64(client),
            "authenticator_data": b64(data),
            "signature": b64(self.private.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client(self, typ: str, challenge: str, **more: Any) -> bytes:
        said = {"type": typ, "challenge": b64(challenge.encode()), "origin": self.origin, **more}
        return json.dumps({**said, "crossOrigin": False}).encode()
