"""Our answer in words (RFC 8829 §5.3, RFC 8839 for ICE-lite, RFC 6544 for ICE-TCP)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sfu.interfaces import Kind
from sfu.sdp.codecs import feedback_lines
from sfu.sdp.negotiation import AgreedSection, Agreement
from sfu.sdp.offer import Fingerprint, IceCredentials

_CNAME: Final = "konsil"
_FORMAT: Final = re.compile(r"[A-Za-z0-9-]{1,32}")
_PROTOCOL: Final = re.compile(r"[A-Z]+(?:/[A-Z]+)*")

# RFC 8445 §5.1.2.1: host candidates of component 1; over TCP (RFC 6544 §4.2) with a lower type
# preference, so that UDP comes first. Among themselves the addresses rank as they are given.
_UDP_PRIORITY: Final = (126 << 24) + (65_535 << 8) + 255
_TCP_PRIORITY: Final = (90 << 24) + (65_535 << 8) + 255


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that pages reach us at, over UDP and over TCP on the same port."""

    host: str
    port: int
    tcp: bool


@dataclass(frozen=True, slots=True)
class OwnSide:
    """Our half of a connection. `session_id` is a number, the same for all answers of a connection,
    and `version` grows by one with each."""

    session_id: int
    version: int
    ice: IceCredentials
    fingerprint: Fingerprint
    endpoints: tuple[Endpoint, ...]


def write_answer(agreement: Agreement, own: OwnSide) -> str:
    """The whole answer, its lines ended by CRLF."""
    accepted = [section for section in agreement.sections if section.accepted]
    mids = " ".join(section.offered.mid for section in accepted)
    lines = [
        "v=0",
        f"o=- {own.session_id} {own.version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {mids}",
        "a=ice-lite",
        f"a=fingerprint:{fingerprint_text(own.fingerprint)}",
        "a=msid-semantic:WMS *",
    ]
    for section in agreement.sections:
        if not section.accepted:
            lines += _rejected(section)
            continue
        lines += _accepted(section, own.ice)
        if section is accepted[0]:
            lines += candidate_lines(own.endpoints)
    return "\r\n".join(lines) + "\r\n"


def fingerprint_text(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.algorithm} {fingerprint.digest.hex(':').upper()}"


def candidate_lines(endpoints: Sequence[Endpoint]) -> Iterable[str]:
    for rank, endpoint in enumerate(endpoints):
        where = f"{endpoint.host} {endpoint.port} typ host"
        yield f"a=candidate:{2 * rank + 1} 1 udp {_UDP_PRIORITY - (rank << 8)} {where}"
        if endpoint.tcp:
            priority = _TCP_PRIORITY - (rank << 8)
            yield f"a=candidate:{2 * rank + 2} 1 tcp {priority} {where} tcptype passive"
    yield "a=end-of-candidates"


def _rejected(section: AgreedSection) -> list[str]:
    _, _, protocol, *formats = section.offered.line.value.split(" ")
    protocol = protocol if _PROTOCOL.fullmatch(protocol) else "UDP/TLS/RTP/SAVPF"
    form = formats[0] if formats and _FORMAT.fullmatch(formats[0]) else "0"
    return [
        f"m={section.offered.kind} 0 {protocol} {form}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.offered.mid}",
        "a=inactive",
    ]


def _accepted(section: AgreedSection, ice: IceCredentials) -> list[str]:
    offered = section.offered
    kind = Kind(offered.kind)
    types = [
        pt
        for media, codec in section.codecs.items()
        for pt in (media, codec.rtx_pt)
        if pt is not None
    ]
    lines = [
        f"m={kind} 9 {offered.protocol} {' '.join(map(str, types))}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{offered.mid}",
        f"a={section.direction}",
        f"a=ice-ufrag:{ice.ufrag}",
        f"a=ice-pwd:{ice.password}",
        "a=setup:passive",
        "a=rtcp-mux",
    ]
    if offered.reduced_size:
        lines.append("a=rtcp-rsize")
    for pt, codec in section.codecs.items():
        channels = "/2" if codec.name == "opus" else ""
        lines.append(f"a=rtpmap:{pt} {codec.name}/{codec.clock}{channels}")
        if codec.fmtp:
            lines.append(f"a=fmtp:{pt} {codec.fmtp}")
        lines += [f"a=rtcp-fb:{pt} {item}" for item in feedback_lines(kind, codec.feedback)]
        if codec.rtx_pt is not None:
            lines.append(f"a=rtpmap:{codec.rtx_pt} rtx/{codec.clock}")
            lines.append(f"a=fmtp:{codec.rtx_pt} apt={pt}")
    lines += [f"a=extmap:{number} {uri}" for uri, number in section.extensions.items()]
    if section.rids:
        lines += [f"a=rid:{rid} recv" for rid in section.rids]
        lines.append(f"a=simulcast:recv {';'.join(section.rids)}")
    if (stream := section.stream) is not None:
        lines.append(f"a=msid:{stream.stream} {stream.track}")
        if stream.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {stream.ssrc} {stream.rtx_ssrc}")
        lines.append(f"a=ssrc:{stream.ssrc} cname:{_CNAME}")
        if stream.rtx_ssrc is not None:
            lines.append(f"a=ssrc:{stream.rtx_ssrc} cname:{_CNAME}")
    return lines
