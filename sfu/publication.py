"""One source that a participant publishes: its layers, and who wants it."""

from __future__ import annotations

from sfu import rtcp
from sfu.fanout import FanOut
from sfu.interfaces import Bounds, Codec, Counters, Kind, SendTrack, Source
from sfu.stream import Stream

MICROPHONE = "microphone"
"""The source that tells who speaks."""

_MAX_LAYERS = 4  # what a leg can name; further RIDs are not forwarded


class Publication:
    """A send track and its streams, smallest picture first; one stream without simulcast."""

    __slots__ = ("codec", "participant", "serial", "streams", "track")

    def __init__(
        self,
        participant: str,
        track: SendTrack,
        fanout: FanOut,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self.participant = participant
        self.track = track
        payload_type, self.codec = _main_codec(track)
        self.serial = 0  # of FIRs sent
        self.streams = [
            Stream(
                kind=track.kind,
                layer=layer,
                name=self.codec.name.lower(),
                clock_rate=self.codec.clock,
                payload_type=payload_type,
                rtx_payload_type=self.codec.rtx_pt,
                feedback=self.codec.feedback,
                fanout=fanout,
                counters=counters,
                bounds=bounds,
                voice=track.source == MICROPHONE,
            )
            for layer in range(max(1, min(len(track.rids), _MAX_LAYERS)))
        ]

    @property
    def key(self) -> tuple[str, str]:
        return self.participant, self.track.source

    @property
    def source(self) -> Source:
        return Source(self.participant, self.track.source, self.track.kind, len(self.streams))

    def same_as(self, track: SendTrack) -> bool:
        """Whether a track negotiated now is this one, so that it goes on without a gap."""
        ours = self.track
        return (ours.mid, ours.source, ours.kind, ours.rids, ours.ssrcs) == (
            track.mid,
            track.source,
            track.kind,
            track.rids,
            track.ssrcs,
        ) and dict(ours.codecs) == dict(track.codecs)

    def stream_of_rid(self, rid: str) -> Stream | None:
        """The stream of a layer; any RID will do where none was negotiated."""
        rids = self.track.rids
        if not rids:
            return self.streams[0]
        at = rids.index(rid) if rid in rids else _MAX_LAYERS
        return self.streams[at] if at < len(self.streams) else None

    def layers_to_be_had(self, now: float) -> list[Stream]:
        """Streams that send, smallest picture first; those without simulcast may be silent (a
        screen on which nothing moves)."""
        if len(self.streams) == 1:
            return self.streams if self.streams[0].ssrc >= 0 else []
        return [stream for stream in self.streams if stream.alive(now)]

    def key_frame_requests(self, now: float) -> list[bytes]:
        """Requests that are due now."""
        requests: list[bytes] = []
        if self.track.kind is Kind.AUDIO:
            return requests
        for stream in self.streams:
            if stream.waiting and stream.alive(now):
                stream.key_frames.want()
            if stream.ssrc >= 0 and stream.key_frames.due(now):
                self.serial += 1
                requests.append(
                    rtcp.fir(stream.ssrc, self.serial) if stream.use_fir else rtcp.pli(stream.ssrc)
                )
        return requests


def _main_codec(track: SendTrack) -> tuple[int, Codec]:
    """The first codec that is forwarded; others of the section are dropped as unknown types."""
    assert track.codecs
    return next(iter(track.codecs.items()))
