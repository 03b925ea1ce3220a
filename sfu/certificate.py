"""The certificate of this node's DTLS, made at its start and kept in memory (RFC 8827 §6.5)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sfu.sdp.offer import Fingerprint

# Pages compare the fingerprint, not the dates; these only have to be in order.
_BEFORE: Final = datetime.timedelta(days=1)
_AFTER: Final = datetime.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate with its key (ECDSA on P-256)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> Fingerprint:
        return fingerprint_of(self.certificate, "sha-256")


def make_certificate(wall: float, random: Callable[[int], bytes]) -> Certificate:
    """A certificate that is good from `wall`, seconds since 1970, on. The key is of the system's
    own randomness; `random` gives the name and number, which say nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, random(8).hex())])
    now = datetime.datetime.fromtimestamp(wall, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(random(16)) >> 1 or 1)
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .sign(key, hashes.SHA256())
    )
    return Certificate(certificate, key)


_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """RFC 8122 §5; `algorithm` is one that `sfu.sdp.offer` lets through."""
    return Fingerprint(algorithm, certificate.fingerprint(_HASHES[algorithm]()))
