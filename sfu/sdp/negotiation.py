"""From an offer and what its sections are for to what is agreed on each (RFC 8829 §5.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sfu.control import SourceRef, Track
from sfu.interfaces import Codec, Extension, Kind, ReceiveTrack, SendTrack
from sfu.sdp.codecs import agreed_codecs, agreed_extensions
from sfu.sdp.offer import Direction, OfferedSection, SessionOffer


class BadTrackError(ValueError):
    """The list of tracks does not fit the offer. `field` names the track: `tracks[2]`."""

    def __init__(self, index: int, detail: str) -> None:
        super().__init__(f"tracks[{index}]: {detail}")
        self.field = f"tracks[{index}]"
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Stream:
    """What we send on a section: our SSRCs, and the names of stream and track (RFC 8830)."""

    ssrc: int
    rtx_ssrc: int | None
    stream: str
    track: str


@dataclass(frozen=True, slots=True)
class AgreedSection:
    """One section of the answer; `accepted` false is answered with port 0. `direction` is ours."""

    offered: OfferedSection
    accepted: bool
    direction: Direction = Direction.INACTIVE
    codecs: Mapping[int, Codec] = field(default_factory=dict)
    extensions: Mapping[str, int] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    stream: Stream | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What an offer comes to: sections for the answer, tracks for the core."""

    sections: tuple[AgreedSection, ...]
    send: tuple[SendTrack, ...]
    receive: tuple[ReceiveTrack, ...]


class Streams:
    """The SSRCs we send with on one connection. A source keeps its own for as long as its section
    receives it; one that was given back is not used again soon, so late packets meet nobody.

    `random` gives n unpredictable bytes.
    """

    __slots__ = ("_given", "_random", "_taken")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._given: dict[tuple[str, SourceRef], tuple[int, int]] = {}
        self._taken: set[int] = set()

    def ssrcs(self, mid: str, source: SourceRef, avoid: frozenset[int]) -> tuple[int, int]:
        """The SSRC for media and the one that repairs it; `avoid` are the page's own."""
        key = (mid, source)
        if key not in self._given:
            self._given[key] = (self._fresh(avoid), self._fresh(avoid))
        return self._given[key]

    def keep(self, used: set[tuple[str, SourceRef]]) -> list[int]:
        """Forget all but these; gives the SSRCs that ended."""
        ended = [key for key in self._given if key not in used]
        return [ssrc for key in ended for ssrc in self._given.pop(key)]

    def _fresh(self, avoid: frozenset[int]) -> int:
        if len(self._taken) > 4096:
            self._taken = {ssrc for pair in self._given.values() for ssrc in pair}
        while True:
            ssrc = int.from_bytes(self._random(4))
            if ssrc and ssrc not in self._taken and ssrc not in avoid:
                self._taken.add(ssrc)
                return ssrc


def negotiate(
    offer: SessionOffer,
    tracks: Sequence[Track],
    streams: Streams,
    label: Callable[[SourceRef], tuple[str, str]],
) -> Agreement:
    """Agree on every section; raises BadDescriptionError or BadTrackError and changes nothing then.

    `label` gives the names of stream and track for a source. A track whose section does not go its
    way just now, as one that is inactive, is left out. `Streams.keep` is for the caller to call
    once the answer is taken.
    """
    named = _by_mid(offer, tracks)
    avoid = frozenset(
        ssrc for section in offer.sections for ssrc in (*section.ssrcs, *section.rtx_ssrcs.values())
    )
    # All checks before the first SSRC is given.
    codecs_of = {section.mid: _codecs(section) for section in offer.sections}
    sections: list[AgreedSection] = []
    send: list[SendTrack] = []
    receive: list[ReceiveTrack] = []
    for section in offer.sections:
        if not section.active:
            sections.append(AgreedSection(section, accepted=False))
            continue
        codecs, track = codecs_of[section.mid], named.get(section.mid)
        if track is not None and track.send is not None and section.direction.sends:
            upward = SendTrack(
                mid=section.mid,
                source=track.send.value,
                kind=Kind(section.kind),
                codecs=codecs,
                extensions=agreed_extensions(section, upstream=True),
                rids=_rids(section),
                ssrcs=section.ssrcs,
                rtx_ssrcs=section.rtx_ssrcs,
            )
            send.append(upward)
            sections.append(
                AgreedSection(
                    section,
                    accepted=True,
                    direction=Direction.RECVONLY,
                    codecs=codecs,
                    extensions=upward.extensions,
                    rids=upward.rids,
                )
            )
        elif track is not None and track.receive is not None and section.direction.receives:
            pair = streams.ssrcs(section.mid, track.receive, avoid)
            downward = _downward(section, track.receive, codecs, pair)
            receive.append(downward)
            sections.append(
                AgreedSection(
                    section,
                    accepted=True,
                    direction=Direction.SENDONLY,
                    codecs=codecs,
                    extensions=downward.extensions,
                    stream=Stream(downward.ssrc, downward.rtx_ssrc, *label(track.receive)),
                )
            )
        else:
            sections.append(
                AgreedSection(
                    section,
                    accepted=True,
                    codecs=codecs,
                    extensions=agreed_extensions(section, upstream=True),
                )
            )
    return Agreement(tuple(sections), tuple(send), tuple(receive))


def _by_mid(offer: SessionOffer, tracks: Sequence[Track]) -> dict[str, Track]:
    sections = {section.mid: section for section in offer.sections}
    named: dict[str, Track] = {}
    sent: set[str] = set()
    received: set[SourceRef] = set()
    for index, track in enumerate(tracks):
        section = sections.get(track.mid)
        if section is None:
            raise BadTrackError(index, "no media section has this MID")
        if track.mid in named:
            raise BadTrackError(index, "a second track for one media section")
        match track:
            case Track(send=None, receive=SourceRef() as wanted):
                source = wanted.source
                if wanted in received:
                    raise BadTrackError(index, "a source received twice")
                received.add(wanted)
            case Track(send=published, receive=None) if published is not None:
                source = published
                if published in sent:
                    raise BadTrackError(index, "a source sent twice")
                sent.add(published)
            case _:
                raise BadTrackError(index, "exactly one of send and receive")
        if section.kind != source.kind:
            raise BadTrackError(index, f"not a media section for {source.kind}")
        named[track.mid] = track
    return named


def _codecs(section: OfferedSection) -> dict[int, Codec]:
    if not section.active:
        return {}
    codecs = agreed_codecs(section)
    if not codecs:
        raise section.line.bad("no codec that we forward")
    return codecs


def _rids(section: OfferedSection) -> tuple[str, ...]:
    """RIDs are of use only where packets can carry them."""
    if section.kind != Kind.VIDEO or Extension.RID not in agreed_extensions(section, upstream=True):
        return ()
    return section.rids


def _downward(
    section: OfferedSection, source: SourceRef, codecs: dict[int, Codec], pair: tuple[int, int]
) -> ReceiveTrack:
    repaired = any(codec.rtx_pt is not None for codec in codecs.values())
    return ReceiveTrack(
        mid=section.mid,
        participant=source.participant,
        source=source.source.value,
        kind=Kind(section.kind),
        ssrc=pair[0],
        rtx_ssrc=pair[1] if repaired else None,
        codecs=codecs,
        extensions=agreed_extensions(section, upstream=False),
    )
