"""What the forwarding core and the transports around it say to one another.

The core (`sfu.room.Room`) is pure: it is given decrypted RTP and RTCP, and the time, and gives
plain packets back. The transports (ICE, DTLS, SRTP, sockets, SDP) belong to the shell around it.

RTP leaves through one shared buffer: the core writes a whole plain packet to its start and calls
`Transport.send_rtp(length)`; the transport protects in place and sends before it returns. So a
packet costs no object, and a native path can take the place of the Python one.

Times are seconds of one monotonic clock, as floats. Participants are opaque strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

MAX_PACKET = 1500
"""Longest plain RTP or RTCP packet either way; a longer one coming in is dropped and counted."""

BUFFER_SIZE = 2048
"""Size of the shared buffer: what `MAX_PACKET` leaves is for SRTP's authentication tag."""


class Kind(StrEnum):
    """What an RTP stream carries."""

    AUDIO = "audio"
    VIDEO = "video"


class Extension(StrEnum):
    """URIs of the RTP header extensions the core knows (RFC 8285); others are not to be answered.

    Downstream all but the RIDs may be used; a receive track without one of them just lacks it.
    """

    MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
    RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
    ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


@dataclass(frozen=True, slots=True)
class Codec:
    """One media payload type of a section. `rtx_pt` is the type that repairs it (RFC 4588).

    `name` is as in `a=rtpmap` ("VP8", "opus"), compared without regard to case; `feedback` holds
    values of `a=rtcp-fb` ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc").
    """

    name: str
    clock: int
    rtx_pt: int | None = None
    fmtp: str = ""
    feedback: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SendTrack:
    """A section on which the page sends, as negotiated.

    `rids` are the simulcast layers offered, smallest picture first; empty without simulcast.
    `ssrcs` are those the offer announces for media, `rtx_ssrcs` maps each to the one that repairs
    it; both are empty for pages that announce none, whose streams are then learnt from MID and RID.
    """

    mid: str
    source: str
    kind: Kind
    codecs: Mapping[int, Codec]
    extensions: Mapping[str, int]
    rids: tuple[str, ...] = ()
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReceiveTrack:
    """A section on which the page receives one source of another participant.

    `ssrc` and `rtx_ssrc` are ours, as the answer announces them; none is ever used again in the
    life of a connection, for numbers begin anew with each. `extensions` holds only what was
    negotiated for this section. The first codec of the same name and clock as the publisher's is
    used; with none the section stays silent.
    """

    mid: str
    participant: str
    source: str
    kind: Kind
    ssrc: int
    rtx_ssrc: int | None
    codecs: Mapping[int, Codec]
    extensions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """How large a page shows a source, in device pixels; width or height 0: not visible."""

    participant: str
    source: str
    width: int
    height: int
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One source that somebody publishes. `layers` is how many simulcast layers it has."""

    participant: str
    source: str
    kind: Kind
    layers: int = 1


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that is published in the room now; everybody is to be told."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks now, loudest first. Given on change, and at most every 300 ms."""

    speaking: tuple[str, ...]


Output = Sources | Speakers


class Transport(Protocol):
    """One participant's way out. Neither call may raise, whatever the network does, nor call the
    core back; a full socket drops the packet and counts it."""

    def send_rtp(self, length: int) -> None:
        """Protect and send the plain RTP packet in the first `length` bytes of the shared buffer.

        The buffer's contents are lost by it: the core writes every packet anew. No number of an
        SSRC comes twice, but they may come out of order by up to 511: SRTP's replay window for
        sending must be larger than that.
        """

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one compound (or reduced-size) RTCP packet."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one room, and what happens at each.

    Participants beyond the bound are refused by `add_participant` (`RoomFullError`); tracks
    beyond it are left out by `set_tracks`, last first. Bit rates are per participant and
    direction: a publisher is told `max_bitrate_up` by REMB, and its packets beyond 1.5 times that
    are dropped; a subscriber is not sent video beyond `max_bitrate_down` (sound is not cut).
    """

    participants: int = 21  # as many as signaling lets in: 16, and five hosts more
    send_tracks: int = 6
    receive_tracks: int = 64
    max_bitrate_up: int = 5_000_000
    max_bitrate_down: int = 12_000_000
    start_bitrate: int = 1_000_000
    video_sources_shown: int = 9
    history_packets: int = 512
    history_bytes: int = 600_000
    history_seconds: float = 1.0


class RoomFullError(Exception):
    """A participant more than the room may hold."""


@dataclass(slots=True)
class Counters:
    """Totals of a room; `dropped` is by reason, and the reasons are a closed set of words."""

    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0
    retransmitted: int = 0
    key_frames_asked: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class ForwardingRoom(Protocol):
    """What `sfu.room.Room(buffer, random, bounds)` promises to its shell.

    `buffer` is a `bytearray` of `BUFFER_SIZE`, one for a whole process; `random(n)` gives n random
    bytes. Nothing here raises on what a participant sends. Calls about a participant unknown, or
    gone, do nothing, except `add_participant`.

    `poll_output` gives what is to be told since it was last asked. Ask after every call except
    `receive_rtp` and `receive_rtcp`: these never make an output, the next `handle_timer` does.
    """

    counters: Counters

    def add_participant(self, pid: str, transport: Transport, now: float) -> None:
        """Raises RoomFullError. A participant added again begins anew, with nothing kept."""

    def remove_participant(self, pid: str, now: float) -> None: ...

    def set_connected(self, pid: str, connected: bool, now: float) -> None:
        """Tell that media can flow (DTLS done), or can not (path lost). Participants begin
        unconnected; until then nothing is sent to them and no key frame is asked for them."""

    def set_tracks(
        self, pid: str, send: Iterable[SendTrack], receive: Iterable[ReceiveTrack], now: float
    ) -> None:
        """Take the whole of what is negotiated now, at every answer. Tracks that stay the same
        (MID, source and, downstream, participant and SSRC) go on without a gap."""

    def want(self, pid: str, tiles: Iterable[Tile], now: float) -> None:
        """Take the whole list of tiles. Video of sources not named is paused; before the first
        call a page is taken to show everything it receives in small tiles. Screens and pinned
        tiles come first when bandwidth is short, then tiles by size. Sound is always sent."""

    def receive_rtp(self, pid: str, packet: bytes, now: float) -> None:
        """Forward one decrypted RTP packet at once. The core may keep `packet`."""

    def receive_rtcp(self, pid: str, packet: bytes, now: float) -> None:
        """Take one decrypted RTCP packet, compound or reduced-size (RFC 5506)."""

    def next_timeout(self) -> float | None:
        """When to call `handle_timer`; None when nobody is connected. `receive_rtp` and
        `receive_rtcp` never move it: ask again after the other calls only."""

    def handle_timer(self, now: float) -> None: ...

    def poll_output(self) -> list[Output]: ...
