"""One participant of a room, as the forwarder sees it: what comes from it and what goes to it."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.bandwidth import Bandwidth
from sfu.downlink import Downlink
from sfu.interfaces import Bounds, Extension, Kind, Tile, Transport
from sfu.media import MediaPacket
from sfu.nack import RepeatBudget
from sfu.probing import Probe
from sfu.publication import Publication
from sfu.stream import Stream
from sfu.subscription import Subscription
from sfu.twcc import Arrivals

_MAX_SSRCS = 64  # that a participant can send with; packets of further ones are dropped
_REBIND = 0.5  # seconds between two changes of a stream's SSRC; sooner ones are dropped


class Participant:
    """State of one participant. `media` and `repairs` find the stream of an incoming SSRC,
    `by_ssrc` the subscription of one of ours.

    `allowance` is how many octets may still come in before the next tick, `control_allowance` how
    many RTCP packets; what is beyond them is dropped.
    """

    __slots__ = (
        "allocated_at", "allowance", "arrivals", "bandwidth", "by_mid", "by_ssrc", "calm",
        "connected", "control_allowance", "downlink", "ids", "level", "lowered_at", "media",
        "pid", "probe", "publications", "raised_at", "rebound", "repairs", "repeat_budget",
        "reported_at", "round_trip", "send_rtcp", "sent_before", "subscriptions", "tiles",
        "told_at", "transport_cc",
    )  # fmt: skip

    def __init__(self, pid: str, transport: Transport, bounds: Bounds, now: float) -> None:
        self.pid = pid
        self.send_rtcp = transport.send_rtcp
        self.downlink = Downlink(transport.send_rtp, transport.send_rtcp)
        self.connected = False
        self.publications: dict[str, Publication] = {}  # by source
        self.by_mid: dict[str, Publication] = {}
        self.subscriptions: dict[str, Subscription] = {}  # by MID
        self.by_ssrc: dict[int, Subscription] = {}
        self.media: dict[int, Stream] = {}
        self.repairs: dict[int, Stream] = {}
        self.rebound: dict[Stream, float] = {}
        self.ids: dict[str, int] = {}
        self.transport_cc = 0  # extension id, 0 for none
        self.level = 0
        self.arrivals = Arrivals()
        self.bandwidth = Bandwidth(bounds.start_bitrate, bounds.max_bitrate_down, now)
        self.probe = Probe(now)
        self.repeat_budget = RepeatBudget(now)
        self.round_trip = 0.1
        self.tiles: Mapping[tuple[str, str], Tile] | None = None
        self.allowance = bounds.max_bitrate_up // 8
        self.control_allowance = 100.0
        self.allocated_at = self.reported_at = self.told_at = now
        self.lowered_at = self.raised_at = float("-inf")
        self.sent_before = 0  # the transport-wide number when last looked at
        self.calm = 0.0  # seconds after `lowered_at` in which nothing is raised

    def streams(self) -> list[Stream]:
        return [stream for one in self.publications.values() for stream in one.streams]

    def set_publications(self, publications: list[Publication]) -> None:
        """Take the publications negotiated now; streams of those gone are forgotten."""
        self.publications = {one.track.source: one for one in publications}
        self.by_mid = {one.track.mid: one for one in publications}
        # Bundled sections share one number space of extensions (RFC 8843 §9).
        self.ids = {}
        for one in publications:
            self.ids.update(one.track.extensions)
        self.transport_cc = self.ids.get(Extension.TRANSPORT_CC, 0)
        self.level = self.ids.get(Extension.AUDIO_LEVEL, 0)
        streams = set(self.streams())
        self.media = {ssrc: stream for ssrc, stream in self.media.items() if stream in streams}
        self.repairs = {ssrc: stream for ssrc, stream in self.repairs.items() if stream in streams}
        self.rebound = {stream: at for stream, at in self.rebound.items() if stream in streams}
        for one in publications:
            self._bind_announced(one)

    def _bind_announced(self, publication: Publication) -> None:
        """SSRCs that the offer names; with RIDs these tell more, and are waited for."""
        track = publication.track
        if track.rids and Extension.RID in track.extensions:
            return
        for stream, ssrc in zip(publication.streams, track.ssrcs, strict=False):
            if stream.ssrc < 0 and ssrc not in self.media and ssrc not in self.repairs:
                stream.bind(ssrc)
                self.media[ssrc] = stream
                repair = track.rtx_ssrcs.get(ssrc)
                if repair is not None and repair not in self.media:
                    self.repairs[repair] = stream

    def learn(self, packet: MediaPacket, now: float) -> str | None:
        """Find out which stream an unknown SSRC is (RFC 8843 §9.2, RFC 8852 §3); None when it is
        known now, otherwise why not, in a word for the counters."""
        ids = self.ids
        publication = self.by_mid.get(packet.text(ids.get(Extension.MID)))
        if publication is None:
            publication = self._only_one_with(packet.payload_type)
        if publication is None:
            return "unknown_ssrc"
        rid = packet.text(ids.get(Extension.RID))
        repaired = packet.text(ids.get(Extension.REPAIRED_RID))
        stream = publication.stream_of_rid(repaired or rid)
        if stream is None:
            return "unknown_ssrc"
        if len(self.media) + len(self.repairs) >= _MAX_SSRCS:
            return "too_many_ssrcs"
        if packet.payload_type == stream.payload_type and not repaired:
            if stream.ssrc >= 0:
                if now - self.rebound.get(stream, float("-inf")) < _REBIND:
                    return "unknown_ssrc"
                self.media.pop(stream.ssrc, None)
                self.rebound[stream] = now
            stream.bind(packet.ssrc)
            self.media[packet.ssrc] = stream
            return None
        if packet.payload_type == stream.rtx_payload_type:
            for old in [ssrc for ssrc, of in self.repairs.items() if of is stream]:
                del self.repairs[old]
            self.repairs[packet.ssrc] = stream
            return None
        return "unknown_payload_type"

    def _only_one_with(self, payload_type: int) -> Publication | None:
        """The only publication without simulcast that uses a payload type."""
        found = [
            one
            for one in self.publications.values()
            if not one.track.rids
            and payload_type in {one.streams[0].payload_type, one.streams[0].rtx_payload_type}
        ]
        return found[0] if len(found) == 1 else None

    def any_ssrc(self) -> int:
        """One of the SSRCs that the participant sends with, 0 when it sends nothing."""
        return next(iter(self.media), 0)

    def videos(self) -> list[Subscription]:
        """Subscriptions of video that somebody publishes."""
        return [
            one
            for one in self.subscriptions.values()
            if one.track.kind is Kind.VIDEO and one.publication is not None
        ]

    def sound_bitrate(self) -> int:
        """Bits per second of the sound it gets."""
        return sum(
            one.stream.bitrate(3)
            for one in self.subscriptions.values()
            if one.track.kind is Kind.AUDIO and one.stream is not None
        )
