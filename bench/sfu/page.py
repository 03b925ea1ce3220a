"""A page without a browser: ICE checks, DTLS as client, SRTP, and a socket that can be flooded.

The same one talks to every server: it offers one SRTP profile, and answers what it is asked.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aioice import stun
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from sfu.certificate import make_certificate
from sfu.rtcp import ReportBlock, receiver_report
from sfu.twcc import Arrivals
from turn.relay_socket import set_receive_buffer

TRANSPORT_CC = 3
MID = 1
VP8, RTX = 96, 97
PROFILES = {
    "AEAD_AES_256_GCM": (b"SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    "AEAD_AES_128_GCM": (b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "AES_CM_128_HMAC_SHA1_80": (
        b"SRTP_AES128_CM_SHA1_80",
        Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        16,
        14,
    ),
}
_DOCUMENTATION = "198.51.100.1"  # connecting a UDP socket sends nothing
_CERTIFICATE = make_certificate(time.time(), os.urandom)  # making one for each page takes long
_VIDEO = f"""a=rtpmap:{VP8} VP8/90000
a=rtcp-fb:{VP8} goog-remb
a=rtcp-fb:{VP8} transport-cc
a=rtcp-fb:{VP8} ccm fir
a=rtcp-fb:{VP8} nack
a=rtcp-fb:{VP8} nack pli
a=rtpmap:{RTX} rtx/90000
a=fmtp:{RTX} apt={VP8}
a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:{TRANSPORT_CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"""


def own_address() -> str:
    """The address this host sends from to the internet: servers offer no loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((_DOCUMENTATION, 9))
        return str(sock.getsockname()[0])


@dataclass(frozen=True, slots=True)
class Section:
    """A video section: what is sent there (an SSRC), or something is received."""

    mid: str
    ssrc: int | None = None


@dataclass(slots=True)
class Page:
    """One connection to a server."""

    profile: str
    sock: socket.socket = field(init=False)
    ufrag: str = field(default_factory=lambda: os.urandom(4).hex())
    password: str = field(default_factory=lambda: os.urandom(16).hex())
    remote: tuple[str, int] = ("", 0)
    remote_ufrag: str = ""
    remote_password: str = ""
    outbound: Session = field(init=False)
    inbound: Session = field(init=False)
    transport_cc: bool = False
    arrivals: Arrivals = field(default_factory=Arrivals)
    received: int = 0
    ssrcs: dict[bytes, int] = field(default_factory=dict)  # SSRC -> newest sequence number

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        set_receive_buffer(self.sock, 8 << 20)
        self.sock.setblocking(False)
        self.sock.bind((own_address(), 0))

    def describe(self, sections: list[Section], *, setup: str) -> str:
        """An offer (`setup` actpass) or an answer (active)."""
        mids = " ".join(section.mid for section in sections)
        digest = _CERTIFICATE.fingerprint.digest.hex(":").upper()
        lines = [
            "v=0",
            f"o=- {int.from_bytes(os.urandom(6))} 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mids}",
        ]
        for section in sections:
            lines += [
                f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}",
                "c=IN IP4 0.0.0.0",
                f"a=ice-ufrag:{self.ufrag}",
                f"a=ice-pwd:{self.password}",
                f"a=fingerprint:sha-256 {digest}",
                f"a=setup:{setup}",
                f"a=mid:{section.mid}",
                "a=rtcp-mux",
                "a=rtcp-rsize",
                "a=candidate:1 1 udp 2130706431 {} {} typ host".format(*self.sock.getsockname()),
                "a=end-of-candidates",
                "a=recvonly" if section.ssrc is None else "a=sendonly",
                *_VIDEO.split("\n"),
            ]
            if section.ssrc is not None:
                lines.append(f"a=ssrc:{section.ssrc} cname:bench")
        return "\r\n".join(lines) + "\r\n"

    def connect(self, description: str, timeout: float = 10) -> None:
        """Take the other side's description, and get connected to its first UDP candidate."""
        self.remote_ufrag = _attribute(description, "ice-ufrag")
        self.remote_password = _attribute(description, "ice-pwd")
        self.transport_cc = f"a=extmap:{TRANSPORT_CC} http" in description
        candidate = re.search(
            r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host",
            description,
            re.MULTILINE | re.IGNORECASE,
        )
        if candidate is None:
            raise RuntimeError("no candidate in the description")
        self.remote = candidate[1], int(candidate[2])
        self.sock.connect(self.remote)
        deadline = time.monotonic() + timeout
        self._until(deadline, lambda data: data[:2] == b"\x01\x01", self.check)
        self._shake(deadline)

    def check(self) -> None:
        """A connectivity check that nominates; it keeps consent alive as well."""
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{self.remote_ufrag}:{self.ufrag}",
                "PRIORITY": 1853824767,
                "ICE-CONTROLLING": 7,
                "USE-CANDIDATE": None,
            },
        )
        message.add_message_integrity(self.remote_password.encode())
        message.add_fingerprint()
        self.sock.send(bytes(message))

    def answer(self, data: bytes) -> None:
        """Answer a check; what is no request is what answered ours."""
        request = stun.parse_message(data)
        if request.message_class is not stun.Class.REQUEST:
            return
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": self.remote},
        )
        response.add_message_integrity(self.password.encode())
        response.add_fingerprint()
        self.sock.send(bytes(response))

    def _until(
        self, deadline: float, fits: Callable[[bytes], bool], again: Callable[[], None]
    ) -> bytes:
        """The first datagram that fits; `again` is called every 200 ms."""
        next_time = 0.0
        while (now := time.monotonic()) < deadline:
            if now >= next_time:
                again()
                next_time = now + 0.2
            try:
                data = self.sock.recv(4096)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if data[0] < 4:
                self.answer(data)
            if fits(data):
                return data
        raise TimeoutError("the server does not answer")

    def _shake(self, deadline: float) -> None:
        name, number, key, salt = PROFILES[self.profile]
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_tlsext_use_srtp(name)
        context.use_certificate(_CERTIFICATE.certificate)
        context.use_privatekey(_CERTIFICATE.key)
        dtls = SSL.Connection(context, None)
        dtls.set_ciphertext_mtu(1200)
        dtls.set_connect_state()

        def flush() -> None:
            with contextlib.suppress(SSL.WantReadError):
                for record in _records(dtls.bio_read(1 << 16)):
                    self.sock.send(record)

        def step() -> bool:
            try:
                dtls.do_handshake()
            except SSL.WantReadError:
                return False
            finally:
                flush()
            return True

        def again() -> None:
            """What came before the server was ready for it is lost."""
            self.check()
            dtls.DTLSv1_handle_timeout()
            flush()

        step()
        while True:
            dtls.bio_write(self._until(deadline, lambda data: 20 <= data[0] < 64, again))
            if step():
                break
        if dtls.get_selected_srtp_profile() != name:
            raise RuntimeError("another SRTP profile was selected")
        material = dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        salts = material[2 * key :]
        mine = material[:key] + salts[:salt]
        theirs = material[key : 2 * key] + salts[salt:]
        self.outbound = Session(Policy(mine, Policy.SSRC_ANY_OUTBOUND, srtp_profile=number))
        self.inbound = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=number))

    def report(self) -> None:
        """A receiver report on everything that comes."""
        blocks = [
            ReportBlock(int.from_bytes(ssrc), 0.0, 0, newest, 0, 0, 0)
            for ssrc, newest in list(self.ssrcs.items())[:31]
        ]
        if blocks:
            self.sock.send(self.outbound.protect_rtcp(receiver_report(blocks)))

    def feed_back(self) -> None:
        """Transport-wide feedback, where that is negotiated."""
        if self.transport_cc and (packet := self.arrivals.feedback(1)) is not None:
            self.sock.send(self.outbound.protect_rtcp(packet))

    def close(self) -> None:
        self.sock.close()


def _attribute(description: str, name: str) -> str:
    found = re.search(rf"^a={name}:(\S+)", description, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"no {name} in the description")
    return found[1]


def _records(data: bytes) -> list[bytes]:
    """DTLS records, each a datagram of its own."""
    found = []
    while len(data) >= 13:
        size = 13 + int.from_bytes(data[11:13])
        found.append(data[:size])
        data = data[size:]
    return found
