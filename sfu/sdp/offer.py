"""What a browser offers, with every value checked (RFC 8829 §5.8, RFC 8843, RFC 8853, RFC 5576)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sfu.sdp.lines import BadDescriptionError, Block, Description, Line, split

MAX_CODECS: Final = 64  # payload types of a section
MAX_RIDS: Final = 4
MAX_SSRCS: Final = 32  # announced in a section
MAX_EXTENSIONS: Final = 32

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,16}")
_ICE: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_FINGERPRINT: Final = re.compile(
    r"(sha-(?:256|384|512)) ((?:[0-9A-F]{2}:){31,63}[0-9A-F]{2})", re.I
)
_RID: Final = re.compile(r"[A-Za-z0-9_-]{1,16}")
_EXTMAP: Final = re.compile(
    r"([0-9]{1,4})(?:/(sendonly|recvonly|sendrecv|inactive))? (\S{1,256}).*"
)
_RTPMAP: Final = re.compile(r"([0-9]{1,3}) ([A-Za-z0-9.+_-]{1,32})/([0-9]{1,8})(?:/([0-9]{1,2}))?")
_MEDIA: Final = re.compile(r"(audio|video|application) ([0-9]{1,5}) (\S{1,40}) (.+)")
_DIGESTS: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_PROTOCOLS: Final = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF")
_FEEDBACK: Final = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})


class Direction(StrEnum):
    """Which way media goes, as seen by whoever says it (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """User name fragment and password of one side (RFC 8839 §5.4)."""

    ufrag: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digest of a certificate (RFC 8122 §5); `algorithm` in lower case, as `sha-256`."""

    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class OfferedCodec:
    """A payload type with everything said about it."""

    pt: int
    name: str
    clock: int
    channels: int
    fmtp: str
    feedback: frozenset[str]


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One media section. `active` is false for rejected, stopped and unknown media, which are
    answered with port 0; everything but `kind`, `line`, `protocol` and `mid` is then empty."""

    line: Line
    kind: str
    protocol: str
    mid: str
    active: bool
    direction: Direction = Direction.INACTIVE
    codecs: tuple[OfferedCodec, ...] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)
    reduced_size: bool = False


@dataclass(frozen=True, slots=True)
class SessionOffer:
    """A whole offer. `session_id` names the page's connection: another one means another."""

    session_id: str
    ice: IceCredentials
    fingerprints: frozenset[Fingerprint]
    sections: tuple[OfferedSection, ...]


def parse_offer(text: str) -> SessionOffer:
    """Read an offer; raises BadDescriptionError."""
    description = split(text)
    if not description.sections:
        raise BadDescriptionError(description.last_line, "", "no media section")
    bundled = _bundle(description)
    sections: list[OfferedSection] = []
    mids: set[str] = set()
    extension_of: dict[int, str] = {}
    for block in description.sections:
        section = _section(block, bundled, extension_of)
        if section.mid in mids:
            line = block.one("a=mid") or section.line
            raise line.bad("MID used twice")
        mids.add(section.mid)
        sections.append(section)
    head = next((b for b, s in zip(description.sections, sections, strict=True) if s.active), None)
    if head is None:
        raise sections[0].line.bad("no media section is in use")
    blocks = (head, description.session)
    _setup(blocks)
    return SessionOffer(
        _session_id(description.session),
        _ice(blocks, sections),
        _fingerprints(blocks, sections),
        tuple(sections),
    )


def _session_id(session: Block) -> str:
    origin = session.one("o")
    parts = origin.value.split(" ") if origin is not None else []
    if origin is None or len(parts) != 6 or len(origin.value) > 256 or not _number(parts[1]):
        raise (origin or session.lines[0]).bad("no o= line with a session id")
    return f"{parts[0]} {parts[1]}"


def _bundle(description: Description) -> frozenset[str]:
    """MIDs of the BUNDLE group (RFC 8843 §7.2)."""
    for line in description.session.all("a=group"):
        semantics, *mids = line.value.split(" ")
        if semantics == "BUNDLE":
            return frozenset(mids)
    return frozenset()


def _setup(blocks: tuple[Block, ...]) -> None:
    """RFC 8842 §5.2: we are the DTLS server, so the page must be able to be the client."""
    for block in blocks:
        if (line := block.one("a=setup")) is not None:
            if line.value not in ("actpass", "active"):
                raise line.bad("the page must be able to take the active role")
            return
    raise blocks[0].lines[0].bad("no a=setup")


def _ice(blocks: tuple[Block, ...], sections: list[OfferedSection]) -> IceCredentials:
    for block in blocks:
        ufrag, password = block.one("a=ice-ufrag"), block.one("a=ice-pwd")
        if ufrag is None and password is None:
            continue
        if ufrag is None or not _ICE.fullmatch(ufrag.value):
            raise (ufrag or block.lines[0]).bad("not an ICE user name fragment")
        if password is None or len(password.value) < 22 or not _ICE.fullmatch(password.value):
            raise (password or block.lines[0]).bad("not an ICE password")
        return IceCredentials(ufrag.value, password.value)
    raise _first(sections).bad("no a=ice-ufrag")


def _fingerprints(
    blocks: tuple[Block, ...], sections: list[OfferedSection]
) -> frozenset[Fingerprint]:
    found: set[Fingerprint] = set()
    for block in blocks:
        for line in block.all("a=fingerprint"):
            match = _FINGERPRINT.fullmatch(line.value)
            if match is None:
                raise line.bad("not a SHA-2 fingerprint")
            digest = bytes.fromhex(match[2].replace(":", ""))
            algorithm = match[1].lower()
            if len(digest) != _DIGESTS[algorithm]:
                raise line.bad("a fingerprint of another length than its hash function's")
            found.add(Fingerprint(algorithm, digest))
            if len(found) > 8:
                raise line.bad("more than 8 fingerprints")
        if found:
            return frozenset(found)
    raise _first(sections).bad("no a=fingerprint")


def _first(sections: list[OfferedSection]) -> Line:
    return next((section.line for section in sections if section.active), sections[0].line)


def _section(block: Block, bundled: frozenset[str], extension_of: dict[int, str]) -> OfferedSection:
    line = block.lines[0]
    match = _MEDIA.fullmatch(line.value)
    if match is None:
        raise line.bad("not a media section we know")
    kind, port, protocol, formats = match[1], int(match[2]), match[3], match[4]
    mid_line = block.one("a=mid")
    if mid_line is None:
        raise line.bad("no a=mid")
    if not _TOKEN.fullmatch(mid_line.value):
        raise mid_line.bad("not a MID")
    mid = mid_line.value
    in_use = port != 0 or block.one("a=bundle-only") is not None
    if kind == "application" or not in_use:
        return OfferedSection(line, kind, protocol, mid, active=False)
    if protocol not in _PROTOCOLS:
        raise line.bad("media must go over DTLS-SRTP with feedback")
    if mid not in bundled:
        raise mid_line.bad("not in the BUNDLE group")
    if block.one("a=rtcp-mux") is None:
        raise line.bad("no a=rtcp-mux")
    ssrcs, rtx_ssrcs = _ssrcs(block)
    return OfferedSection(
        line,
        kind,
        protocol,
        mid,
        active=True,
        direction=_direction(block),
        codecs=_codecs(block, formats.split(" ")),
        extensions=_extensions(block, extension_of),
        rids=_rids(block),
        ssrcs=ssrcs,
        rtx_ssrcs=rtx_ssrcs,
        reduced_size=block.one("a=rtcp-rsize") is not None,
    )


def _direction(block: Block) -> Direction:
    found: Direction | None = None
    for direction in Direction:
        if (line := block.one(f"a={direction}")) is not None:
            if found is not None:
                raise line.bad("two directions")
            found = direction
    return found or Direction.SENDRECV


def _codecs(block: Block, formats: list[str]) -> tuple[OfferedCodec, ...]:
    if len(formats) > MAX_CODECS:
        raise block.lines[0].bad(f"more than {MAX_CODECS} payload types")
    if not all(_number(item) and len(item) <= 3 and int(item) < 128 for item in formats):
        raise block.lines[0].bad("not a list of payload types")
    if len(set(formats)) != len(formats):
        raise block.lines[0].bad("a payload type twice")
    fmtp: dict[str, str] = {}
    feedback: dict[str, set[str]] = {}
    for line in block.all("a=fmtp"):
        pt, _, parameters = line.value.partition(" ")
        fmtp[pt] = parameters.strip()
    for line in block.all("a=rtcp-fb"):
        pt, _, what = line.value.partition(" ")
        if what in _FEEDBACK:
            feedback.setdefault(pt, set()).add(what)
    named: dict[str, OfferedCodec] = {}
    for line in block.all("a=rtpmap"):
        match = _RTPMAP.fullmatch(line.value)
        if match is None:
            raise line.bad("not a payload type")
        pt = match[1]
        if pt in named:
            raise line.bad("a payload type given twice")
        if pt in formats:
            named[pt] = OfferedCodec(
                int(pt),
                match[2],
                int(match[3]),
                int(match[4] or 1),
                fmtp.get(pt, ""),
                frozenset(feedback.get(pt, set()) | feedback.get("*", set())),
            )
    return tuple(named[pt] for pt in formats if pt in named)


def _extensions(block: Block, extension_of: dict[int, str]) -> dict[str, int]:
    """URI to id (RFC 8285 §5); an id means the same in every section of a bundle (RFC 8843 §15)."""
    found: dict[str, int] = {}
    for line in block.all("a=extmap"):
        match = _EXTMAP.fullmatch(line.value)
        if match is None or not 1 <= int(match[1]) <= 4351:
            raise line.bad("not a header extension")
        number, uri = int(match[1]), match[3]
        if extension_of.setdefault(number, uri) != uri:
            raise line.bad("an extension id with two meanings")
        if len(found) == MAX_EXTENSIONS:
            raise line.bad(f"more than {MAX_EXTENSIONS} header extensions")
        found.setdefault(uri, number)
    return found


def _rids(block: Block) -> tuple[str, ...]:
    """RIDs that are sent, in the order of a=simulcast (RFC 8853 §5.1), first of each choice."""
    sent: list[str] = []
    for line in block.all("a=rid"):
        rid, _, rest = line.value.partition(" ")
        if not _RID.fullmatch(rid):
            raise line.bad("not a RID")
        if rest.split(" ")[0] != "send":
            continue
        if rid in sent:
            raise line.bad("RID used twice")
        sent.append(rid)
        if len(sent) > MAX_RIDS:
            raise line.bad(f"more than {MAX_RIDS} RIDs")
    simulcast = block.one("a=simulcast")
    if simulcast is None:
        return ()
    words = simulcast.value.strip().split(" ")
    if len(words) % 2 or any(word not in ("send", "recv") for word in words[::2]):
        raise simulcast.bad("not a simulcast line")
    offered = dict(zip(words[::2], words[1::2], strict=True)).get("send")
    if offered is None:
        return ()
    chosen = [choice.split(",")[0].removeprefix("~") for choice in offered.split(";")]
    if len(set(chosen)) != len(chosen) or not set(chosen) <= set(sent):
        raise simulcast.bad("names a RID twice, or one without a line")
    return tuple(chosen)


def _ssrcs(block: Block) -> tuple[tuple[int, ...], dict[int, int]]:
    """SSRCs of media in their order, and for each the one that repairs it (RFC 5576, RFC 4588)."""
    announced: dict[int, None] = {}
    repairs: dict[int, int] = {}
    for line in block.all("a=ssrc"):
        announced[_ssrc(line, line.value.partition(" ")[0])] = None
        if len(announced) > MAX_SSRCS:
            raise line.bad(f"more than {MAX_SSRCS} SSRCs")
    for line in block.all("a=ssrc-group"):
        semantics, *members = line.value.split(" ")
        if semantics != "FID":
            continue
        if len(members) != 2:
            raise line.bad("not a pair of SSRCs")
        media, rtx = (_ssrc(line, member) for member in members)
        if media == rtx or media not in announced or rtx not in announced or media in repairs:
            raise line.bad("a group of SSRCs that are not announced, or in another group")
        repairs[media] = rtx
    repairing = set(repairs.values())
    return tuple(ssrc for ssrc in announced if ssrc not in repairing), repairs


def _ssrc(line: Line, text: str) -> int:
    if not (_number(text) and len(text) <= 10 and 0 < int(text) < 1 << 32):
        raise line.bad("not an SSRC")
    return int(text)


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
