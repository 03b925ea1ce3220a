"""The DTLS server against OpenSSL's own client, over memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.certificate import Certificate, fingerprint_of, make_certificate
from sfu.dtls import MTU, DtlsServer, DtlsState, datagrams_of, server_context
from sfu.sdp.offer import Fingerprint
from sfu.srtp import PROFILES, PacketBuffer, SrtpKeys, SrtpSession, reason, split_material

NODE = make_certificate(time.time(), os.urandom)
PAGE = make_certificate(time.time(), os.urandom)
STRANGER = make_certificate(time.time(), os.urandom)
CONTEXT = server_context(NODE)


class Page:
    """A browser's side: an OpenSSL client with a certificate."""

    def __init__(
        self,
        certificate: Certificate | None = PAGE,
        profiles: bytes = b":".join(profile.name for profile in PROFILES),
    ) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        if certificate is not None:
            context.use_certificate(certificate.certificate)
            context.use_privatekey(certificate.key)
        self.connection = SSL.Connection(context, None)
        self.connection.set_ciphertext_mtu(MTU)
        self.connection.set_connect_state()
        self.done = False
        self.error: SSL.Error | None = None

    def step(self, datagrams: Iterable[bytes] = ()) -> list[bytes]:
        """Take datagrams, give datagrams."""
        for datagram in datagrams:
            self.connection.bio_write(datagram)
            self._shake()
        if not self.done:
            self._shake()
        try:
            return [self.connection.bio_read(1 << 16)]
        except SSL.WantReadError:
            return []

    def _shake(self) -> None:
        try:
            self.connection.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = error


def announced(certificate: Certificate = PAGE, algorithm: str = "sha-256") -> list[Fingerprint]:
    return [fingerprint_of(certificate.certificate, algorithm)]


def meet(page: Page, server: DtlsServer) -> None:
    """Pass datagrams until neither side has one."""
    towards: list[bytes] = page.step()
    while towards:
        for datagram in towards:
            server.receive(datagram, time.monotonic())
        towards = page.step(server.outgoing())


def keys_of(page: Page) -> SrtpKeys:
    name = page.connection.get_selected_srtp_profile()
    profile = next(profile for profile in PROFILES if profile.name == name)
    material = page.connection.export_keying_material(b"EXTRACTOR-dtls_srtp", profile.material)
    return split_material(profile, material)


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_an_announced_certificate_connects_with_the_longest_key(algorithm: str) -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced(algorithm=algorithm))
    meet(page, server)
    assert page.done
    assert server.state is DtlsState.CONNECTED
    assert server.keys == keys_of(page)
    assert server.keys.profile.name == b"SRTP_AEAD_AES_256_GCM"
    assert page.connection.get_protocol_version_name() == "DTLSv1.2"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name.decode())
def test_every_profile_carries_packets_both_ways(profile: object) -> None:
    page = Page(profiles=profile.name)  # type: ignore[attr-defined]
    server = DtlsServer(CONTEXT, announced())
    meet(page, server)
    assert server.keys is not None
    ours, theirs = SrtpSession(server.keys), SrtpSession(keys_of(page), client=True)
    packet = b"\x80\x60" + (7).to_bytes(2) + (900).to_bytes(4) + (5).to_bytes(4) + b"payload"
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        buffer = PacketBuffer(bytearray(2048))
        buffer.view[: len(packet)] = packet
        size = sender.rtp_protector(buffer)(len(packet))
        assert size > len(packet)
        assert bytes(buffer.view[12 : len(packet)]) != packet[12:]
        protected = bytes(buffer.view[:size])
        assert receiver.unprotect_rtp(buffer, size) == len(packet)
        assert bytes(buffer.view[: len(packet)]) == packet
        buffer.view[:size] = protected
        assert reason(receiver.unprotect_rtp(buffer, size)) == "srtp_replayed"
        buffer.view[:size] = protected
        buffer.view[size - 1] ^= 1
        assert reason(receiver.unprotect_rtp(buffer, size)) in ("srtp_bad_tag", "srtp_replayed")
        report = b"\x80\xc9\x00\x01" + (5).to_bytes(4)
        buffer.view[: len(report)] = report
        size = sender.protect_rtcp(buffer, len(report))
        assert receiver.unprotect_rtcp(buffer, size) == len(report)


def test_a_packet_is_never_protected_twice_under_one_number() -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced())
    meet(page, server)
    assert server.keys is not None
    session, buffer = SrtpSession(server.keys), PacketBuffer(bytearray(2048))
    protect = session.rtp_protector(buffer)
    packet = b"\x80\x60" + (7).to_bytes(2) + (900).to_bytes(4) + (5).to_bytes(4) + b"payload"
    buffer.view[: len(packet)] = packet
    assert protect(len(packet)) > 0
    buffer.view[: len(packet)] = packet
    assert protect(len(packet)) < 0


def test_another_certificate_is_refused_and_the_page_is_told() -> None:
    page, server = Page(STRANGER), DtlsServer(CONTEXT, announced(PAGE))
    meet(page, server)
    assert server.state is DtlsState.FAILED
    assert server.failure == "wrong_certificate"
    assert server.keys is None
    assert page.error is not None


def test_no_certificate_is_refused() -> None:
    page, server = Page(None), DtlsServer(CONTEXT, announced())
    meet(page, server)
    assert server.state is DtlsState.FAILED
    assert server.keys is None


def test_a_handshake_without_srtp_is_refused() -> None:
    page, server = Page(profiles=b""), DtlsServer(CONTEXT, announced())
    meet(page, server)
    assert server.failure == "no_srtp_profile"


def test_datagrams_are_whole_records_within_the_mtu() -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced())
    for datagram in page.step():
        server.receive(datagram, time.monotonic())
    flight = list(server.outgoing())
    assert flight
    for datagram in flight:
        assert len(datagram) <= MTU
        at = 0
        while at < len(datagram):
            assert datagram[at] == 22
            at += 13 + int.from_bytes(datagram[at + 11 : at + 13])
        assert at == len(datagram)


def test_a_flight_that_was_lost_is_sent_again() -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced())
    for datagram in page.step():
        server.receive(datagram, time.monotonic())
    lost = list(server.outgoing())
    assert server.deadline is not None
    time.sleep(max(0.0, server.deadline - time.monotonic()))
    server.handle_timer(server.deadline)
    again = list(server.outgoing())
    assert len(again) == len(lost)
    towards = page.step(again)
    while towards:
        for datagram in towards:
            server.receive(datagram, time.monotonic())
        towards = page.step(server.outgoing())
    assert server.state is DtlsState.CONNECTED


def test_the_end_is_told_both_ways() -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced())
    meet(page, server)
    page.connection.shutdown()
    server.receive(page.connection.bio_read(1 << 16), time.monotonic())
    assert server.state is DtlsState.CLOSED

    page, server = Page(), DtlsServer(CONTEXT, announced())
    meet(page, server)
    server.close()
    for datagram in server.outgoing():
        page.connection.bio_write(datagram)
    with pytest.raises(SSL.ZeroReturnError):
        page.connection.recv(100)


def test_a_flood_is_cut_off() -> None:
    server = DtlsServer(CONTEXT, announced())
    taken = 0
    hello = Page().step()[0]
    while server.receive(hello, 0.0):
        taken += 1
        list(server.outgoing())
    assert 10 < taken <= 200
    assert not server.receive(hello, 0.0)


@pytest.mark.parametrize("size", [0, 1, 13, 100, 65_507])
def test_noise_does_no_more_than_fail(size: int) -> None:
    server = DtlsServer(CONTEXT, announced())
    server.receive(b"\x16" + os.urandom(size)[1:] if size else b"", 0.0)
    assert server.state in (DtlsState.HANDSHAKE, DtlsState.FAILED)
    assert server.keys is None


def test_noise_in_the_middle_hurts_nobody() -> None:
    page, server = Page(), DtlsServer(CONTEXT, announced())
    meet(page, server)
    for length in (1, 13, 40, 1200):
        server.receive(b"\x17\xfe\xfd" + os.urandom(length), 0.0)
    assert server.state is DtlsState.CONNECTED


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_records_are_never_cut_and_share_datagrams_within_the_mtu(sizes: list[int]) -> None:
    records = [b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2) + bytes(size) for size in sizes]
    cut = list(datagrams_of(b"".join(records)))
    assert b"".join(cut) == b"".join(records)
    left = list(records)
    for datagram in cut:
        inside = b""
        while len(inside) < len(datagram):
            inside += left.pop(0)
        assert inside == datagram
        assert len(datagram) <= MTU or len(datagram) in map(len, records)
