"""The DTLS 1.2 server side of one connection, without a socket (RFC 6347, RFC 5764, RFC 8827).

OpenSSL reads and writes memory. Its retransmission timer alone goes by the machine's own monotonic
clock, which `now` is expected to be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

from OpenSSL import SSL

from sfu.certificate import Certificate, fingerprint_of
from sfu.sdp.offer import Fingerprint
from sfu.srtp import PROFILE_BY_NAME, PROFILES, SrtpKeys, split_material

MTU: Final = 1200  # bytes of a datagram we send; fits every path that carries WebRTC
_HANDSHAKE_BYTES: Final = 64 * 1024  # taken from a page before it is done; certificates are small
_HANDSHAKE_DATAGRAMS: Final = 200
_RECORDS_AFTER: Final = 200  # datagrams taken after the handshake: alerts, and late repetitions
_RECORD_HEADER: Final = 13
_VERSION: Final = 0xFEFD  # DTLS 1.2
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
)
_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"


class DtlsState(Enum):
    """Where the association is. `FAILED` and `CLOSED` are final."""

    HANDSHAKE = "handshake"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


def server_context(certificate: Certificate) -> SSL.Context:
    """What all connections of a node share: certificate, ciphers, SRTP profiles."""
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSION)
    context.set_max_proto_version(_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(profile.name for profile in PROFILES))
    return context


class DtlsServer:
    """`receive` datagrams, send what `outgoing` gives, and call `handle_timer` at `deadline`.

    `failure` says why it is FAILED: `wrong_certificate` (other than announced), `no_srtp_profile`,
    `handshake`. The page is told by an alert in either case.
    """

    __slots__ = (
        "_announced", "_bytes", "_connection", "_datagrams", "_matched", "deadline", "failure",
        "keys", "state",
    )  # fmt: skip

    def __init__(self, context: SSL.Context, announced: Iterable[Fingerprint]) -> None:
        self.state = DtlsState.HANDSHAKE
        self.failure = ""
        self.keys: SrtpKeys | None = None
        self.deadline: float | None = None
        self._announced = frozenset(announced)
        self._matched = True
        self._bytes = _HANDSHAKE_BYTES
        self._datagrams = _HANDSHAKE_DATAGRAMS
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data(self)
        self._connection.set_ciphertext_mtu(MTU)
        self._connection.set_accept_state()

    def receive(self, datagram: bytes, now: float) -> bool:
        """Take one datagram; false when it was dropped, as it is beyond the bounds above."""
        if not datagram or self.state in (DtlsState.FAILED, DtlsState.CLOSED):
            return False
        self._bytes -= len(datagram)
        self._datagrams -= 1
        if self._bytes < 0 or self._datagrams < 0:
            return False
        self._connection.bio_write(datagram)
        if self.state is DtlsState.HANDSHAKE:
            self._shake_hands(now)
        if self.state is DtlsState.CONNECTED:
            self._read()
        return True

    def handle_timer(self, now: float) -> None:
        """Repeat what was not answered (RFC 6347 §4.2.4)."""
        if self.deadline is None or now < self.deadline or self.state is not DtlsState.HANDSHAKE:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:  # repeated too often
            self._fail("handshake")
        self._set_deadline(now)

    def outgoing(self) -> Iterator[bytes]:
        """Datagrams to send now."""
        try:
            pending = self._connection.bio_read(1 << 20)
        except SSL.WantReadError:
            return iter(())
        return datagrams_of(pending)

    def close(self) -> None:
        """Tell the page that this is the end (close_notify), if it can be told."""
        if self.state is DtlsState.CONNECTED:
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
        if self.state is not DtlsState.FAILED:
            self.state = DtlsState.CLOSED
        self.deadline = None

    def is_announced(self, certificate: Any) -> bool:
        """Whether a certificate has a fingerprint that the page announced (RFC 8122 §5)."""
        self._matched = any(
            fingerprint_of(certificate, item.algorithm) == item for item in self._announced
        )
        return self._matched

    def _shake_hands(self, now: float) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._set_deadline(now)
            return
        except SSL.Error:
            self._fail("handshake" if self._matched else "wrong_certificate")
            return
        self._connection.set_app_data(None)
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        profile = PROFILE_BY_NAME.get(self._connection.get_selected_srtp_profile())
        if certificate is None or not self.is_announced(certificate):
            self._fail("wrong_certificate")
        elif profile is None:
            self._fail("no_srtp_profile")
        else:
            material = self._connection.export_keying_material(_EXPORTER, profile.material)
            self.keys = split_material(profile, material)
            self.state = DtlsState.CONNECTED
            self.deadline = None
            self._bytes, self._datagrams = _HANDSHAKE_BYTES, _RECORDS_AFTER

    def _read(self) -> None:
        """Alerts and repetitions; data that is not media has no business here and is lost."""
        try:
            while True:
                self._connection.recv(1 << 14)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.close()
        except SSL.Error:
            self._fail("handshake")

    def _fail(self, why: str) -> None:
        self._connection.set_app_data(None)
        self.state, self.failure = DtlsState.FAILED, why
        self.deadline = None

    def _set_deadline(self, now: float) -> None:
        if self.state is not DtlsState.HANDSHAKE:
            return
        wait = self._connection.DTLSv1_get_timeout()
        # A little late, so that OpenSSL's own clock agrees that it is time.
        self.deadline = None if wait is None else now + wait + 0.001


def _verify(
    connection: SSL.Connection, certificate: Any, _error: int, depth: int, _ok: int
) -> bool:
    """A page's certificate is self-signed; what makes it good is that it was announced."""
    if depth:
        return True
    server: DtlsServer = connection.get_app_data()
    return server.is_announced(certificate.to_cryptography())


def datagrams_of(pending: bytes) -> Iterator[bytes]:
    """Cut what OpenSSL wrote into datagrams of whole records: it does not say where its own end."""
    start = end = 0
    while end + _RECORD_HEADER <= len(pending):
        size = _RECORD_HEADER + int.from_bytes(pending[end + 11 : end + 13])
        if end > start and end + size - start > MTU:
            yield pending[start:end]
            start = end
        end += size
    if end > start:
        yield pending[start:end]
