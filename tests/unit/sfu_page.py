"""A page as the forwarder sees one: offers, checks, DTLS and SRTP, without a socket.

It is made of aioice's STUN, OpenSSL's client and pylibsrtp's own calls: no code of the forwarder's
judges what the forwarder does.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from aioice import stun
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from sfu.certificate import Certificate, make_certificate
from sfu.control import Offer, Source, SourceRef, Track

PROFILES = {
    b"SRTP_AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
MID_EXTENSION = 1
CERTIFICATE = make_certificate(time.time(), os.urandom)  # making one for each page takes long


@dataclass
class Section:
    """A media section of the page's offers."""

    mid: str
    kind: str
    direction: str
    track: Track | None = None
    rids: tuple[str, ...] = ()
    ssrc: int = 0


def microphone(mid: str = "0", ssrc: int = 1111) -> Section:
    return Section(mid, "audio", "sendonly", Track(mid, send=Source.MICROPHONE), ssrc=ssrc)


def camera(mid: str = "1", rids: tuple[str, ...] = (), ssrc: int = 2222) -> Section:
    return Section(mid, "video", "sendonly", Track(mid, send=Source.CAMERA), rids, ssrc)


def receiver(mid: str, participant: str, source: Source) -> Section:
    wanted = Track(mid, receive=SourceRef(participant, source))
    return Section(mid, source.kind, "recvonly", wanted)


AUDIO_LINES = """a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=extmap:14 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"""
VIDEO_LINES = """a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 transport-cc
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"""


@dataclass
class Page:
    """One RTCPeerConnection. `take` an answer, then `check` and `shake` until `connected`."""

    participant: str
    sections: list[Section] = field(default_factory=lambda: [microphone(), camera()])
    certificate: Certificate = CERTIFICATE
    announced: Certificate = CERTIFICATE
    room: str = "room"
    generation: int = 1
    session: int = field(default_factory=lambda: int.from_bytes(os.urandom(7)))
    ufrag: str = field(default_factory=lambda: os.urandom(4).hex())
    password: str = field(default_factory=lambda: os.urandom(16).hex())

    def __post_init__(self) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_tlsext_use_srtp(b":".join(PROFILES))
        context.use_certificate(self.certificate.certificate)
        context.use_privatekey(self.certificate.key)
        self.dtls = SSL.Connection(context, None)
        self.dtls.set_ciphertext_mtu(1200)
        self.dtls.set_connect_state()
        self.connected = False
        self.failed = False
        self.answer = ""
        self.sequence = 0
        self.received: list[bytes] = []

    # Descriptions

    def sdp(self) -> str:
        mids = " ".join(section.mid for section in self.sections)
        digest = self.announced.fingerprint.digest.hex(":").upper()
        lines = [
            "v=0",
            f"o=- {self.session} 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mids}",
            "a=msid-semantic: WMS",
        ]
        for section in self.sections:
            types = "111" if section.kind == "audio" else "96 97"
            lines += [
                f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {types}",
                "c=IN IP4 0.0.0.0",
                f"a=ice-ufrag:{self.ufrag}",
                f"a=ice-pwd:{self.password}",
                f"a=fingerprint:sha-256 {digest}",
                "a=setup:actpass",
                f"a=mid:{section.mid}",
                f"a=extmap:{MID_EXTENSION} urn:ietf:params:rtp-hdrext:sdes:mid",
                f"a={section.direction}",
                "a=rtcp-mux",
                "a=rtcp-rsize",
                *(AUDIO_LINES if section.kind == "audio" else VIDEO_LINES).split("\n"),
            ]
            lines += [f"a=rid:{rid} send" for rid in section.rids]
            if section.rids:
                lines.append(f"a=simulcast:send {';'.join(section.rids)}")
            elif section.direction == "sendonly":
                lines.append(f"a=ssrc:{section.ssrc} cname:page")
                if section.kind == "video":
                    lines.append(f"a=ssrc:{section.ssrc + 1} cname:page")
                    lines.append(f"a=ssrc-group:FID {section.ssrc} {section.ssrc + 1}")
        return "\r\n".join(lines) + "\r\n"

    def offer(self) -> Offer:
        tracks = [section.track for section in self.sections if section.track is not None]
        return Offer(self.room, self.participant, self.generation, self.sdp(), tracks)

    def take(self, answer: str) -> None:
        self.answer = answer

    def attribute(self, name: str) -> str:
        found = re.search(rf"^a={name}:(.*)\r$", self.answer, re.MULTILINE)
        assert found is not None, name
        return found[1]

    def downstream(self, mid: str) -> int:
        """The SSRC that the answer announces for a section."""
        section = self.answer.split(f"a=mid:{mid}\r\n", 1)[1].split("\r\nm=", 1)[0]
        found = re.search(r"^a=ssrc:(\d+) ", section, re.MULTILINE)
        assert found is not None
        return int(found[1])

    def restart_ice(self) -> None:
        self.ufrag, self.password = os.urandom(4).hex(), os.urandom(16).hex()

    # Packets

    def check(
        self,
        *,
        nominate: bool = True,
        ufrag: str | None = None,
        password: str | None = None,
        attributes: dict[str, object] | None = None,
    ) -> bytes:
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{ufrag or self.attribute('ice-ufrag')}:{self.ufrag}",
                "PRIORITY": 1853824767,
                **({"ICE-CONTROLLING": 7} if attributes is None else attributes),
            },
        )
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity((password or self.attribute("ice-pwd")).encode())
        return bytes(message)

    def answer_check(self, datagram: bytes) -> bytes:
        """The answer to a check of the other side, which must be addressed to this page."""
        question = stun.parse_message(datagram)
        assert question.message_class is stun.Class.REQUEST
        assert question.attributes["USERNAME"] == f"{self.ufrag}:{self.attribute('ice-ufrag')}"
        assert question.check_message_integrity(self.password.encode())
        assert "ICE-CONTROLLED" in question.attributes
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=question.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": ("192.0.2.1", 10000)},
        )
        message.add_message_integrity(self.password.encode())
        return bytes(message)

    def shake(self, datagrams: Iterable[bytes] = ()) -> list[bytes]:
        """Take DTLS datagrams of the other side, give those to send."""
        for datagram in datagrams:
            self.dtls.bio_write(datagram)
            self._step()
        if not self.connected:
            self._step()
        try:
            return [self.dtls.bio_read(1 << 16)]
        except SSL.WantReadError:
            return []

    def rtp(self, ssrc: int, pt: int, payload: bytes = b"payload", mid: str = "") -> bytes:
        """A protected packet."""
        self.sequence += 1
        header = bytes([0x90 if mid else 0x80, pt]) + (self.sequence & 0xFFFF).to_bytes(2)
        header += (self.sequence * 960).to_bytes(4) + ssrc.to_bytes(4)
        if mid:
            element = bytes([MID_EXTENSION << 4 | len(mid) - 1]) + mid.encode()
            element += bytes(-len(element) % 4)
            header += b"\xbe\xde" + (len(element) // 4).to_bytes(2) + element
        return self.outbound.protect(header + payload)

    def rtcp(self, ssrc: int = 1111) -> bytes:
        """A protected, empty receiver report."""
        return self.outbound.protect_rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4))

    def take_media(self, datagram: bytes) -> None:
        if 192 <= datagram[1] <= 223:
            self.inbound.unprotect_rtcp(datagram)
        else:
            self.received.append(self.inbound.unprotect(datagram))

    def _step(self) -> None:
        try:
            self.dtls.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self.failed = True
            return
        if self.connected:
            return
        self.connected = True
        number, key, salt = PROFILES[self.dtls.get_selected_srtp_profile()]
        material = self.dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        salts = material[2 * key :]
        mine = material[:key] + salts[:salt]
        theirs = material[key : 2 * key] + salts[salt:]
        self.outbound = Session(Policy(mine, Policy.SSRC_ANY_OUTBOUND, srtp_profile=number))
        self.inbound = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=number))
