"""What the forwarder is asked and what it tells: requests, results and events on the wire.

Pure data (msgspec structs, JSON). Rooms and participants are opaque ids, given by whoever asks.
Every request may be repeated: asking again changes nothing and gives the same kind of result, so
that an answer that was lost costs one more question and nothing else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

MAX_TRACKS: Final = 128
MAX_TILES: Final = 128

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Mid = Annotated[str, Meta(min_length=1, max_length=16)]
Pixels = Annotated[int, Meta(ge=0, le=16_384)]
Generation = Annotated[int, Meta(ge=0, le=2**31)]


class Source(StrEnum):
    """What a participant can publish, once each."""

    MICROPHONE = "microphone"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"

    @property
    def kind(self) -> str:
        """`audio` or `video`, as in the media line of a description."""
        return "audio" if self in (Source.MICROPHONE, Source.SCREEN_AUDIO) else "video"


class SourceRef(Struct, frozen=True, forbid_unknown_fields=True):
    """One source of one participant."""

    participant: Id
    source: Source


class Track(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a media section of the offer is for: exactly one of `send` and `receive`.

    `send`: the page publishes this source there. `receive`: it wants that source of another there.
    A section of the offer that no track names carries nothing.
    """

    mid: Mid
    send: Source | None = None
    receive: SourceRef | None = None


class Tile(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How large a page shows a source, in device pixels; width 0 where it does not show it."""

    participant: Id
    source: Source
    width: Pixels
    height: Pixels
    pinned: bool = False


class Offer(Struct, frozen=True, tag_field="type", tag="offer"):
    """A page's description of its connection to us; the result is `Answer` or `Refused`.

    The first one makes the room and the connection. A `generation` above the room's begins the room
    anew: its former connections are from before it was elsewhere.
    """

    room: Id
    participant: Id
    generation: Generation
    sdp: str
    tracks: Annotated[list[Track], Meta(max_length=MAX_TRACKS)]


class Want(Struct, frozen=True, tag_field="type", tag="want"):
    """What a page shows now; the result is `Done` or `Refused`."""

    room: Id
    participant: Id
    generation: Generation
    tiles: Annotated[list[Tile], Meta(max_length=MAX_TILES)]


class Leave(Struct, frozen=True, tag_field="type", tag="leave"):
    """A participant is gone or has been removed: nothing is sent to or taken from it any more."""

    room: Id
    participant: Id


class Close(Struct, frozen=True, tag_field="type", tag="close"):
    """The room has ended or is peer-to-peer again."""

    room: Id


class Drain(Struct, frozen=True, tag_field="type", tag="drain"):
    """Take no new rooms; those that are here go on."""


Request = Offer | Want | Leave | Close | Drain


class Answer(Struct, frozen=True, tag_field="type", tag="answer"):
    """The answer to an offer."""

    sdp: str


class Done(Struct, frozen=True, tag_field="type", tag="done"):
    """Carried out, or there was nothing to do."""


class Code(StrEnum):
    """Why a request was refused; stable, and the page's own codes."""

    BAD_DESCRIPTION = "bad_description"
    STALE_GENERATION = "stale_generation"
    SFU_UNAVAILABLE = "sfu_unavailable"
    NOT_ALLOWED = "not_allowed"


class Refused(Struct, frozen=True, tag_field="type", tag="refused", omit_defaults=True):
    """Nothing was changed.

    `field`: what is wrong; for `bad_description` the line by number and name, as `line 12 a=mid`
    (never its value: descriptions hold addresses). `detail`: a few words in English.
    `retry_after`: seconds, with `sfu_unavailable` only. `full`: it is for want of a place on the
    node, which no other room would find there either; a room that is full by itself says nothing
    of the node.
    """

    code: Code
    field: str = ""
    detail: str = ""
    retry_after: int = 0
    full: bool = False


Result = Answer | Done | Refused


class AvailableSource(Struct, frozen=True, omit_defaults=True):
    """A source that is published now; `layers` is how many simulcast layers it has."""

    participant: Id
    source: Source
    kind: str
    layers: int = 1


class Sources(Struct, frozen=True, tag_field="type", tag="sources"):
    """All sources of a room: for everybody in it, or for one participant after its first answer."""

    room: str
    generation: int
    sources: list[AvailableSource]
    to: str | None = None


class Speakers(Struct, frozen=True, tag_field="type", tag="speakers"):
    """Who speaks now, loudest first."""

    room: str
    generation: int
    speaking: list[str]


class Gone(Struct, frozen=True, tag_field="type", tag="gone"):
    """A participant's connection has ended by itself.

    `reason`: `silent` (nothing came for 15 s), `never_connected`, `wrong_certificate` (other than
    the one announced), `closed` (the page ended it). What it published is gone from `Sources`.
    """

    room: str
    generation: int
    participant: str
    reason: str


class NodeLoad(Struct, frozen=True, tag_field="type", tag="load"):
    """How busy this node is, once a second. Rates per second; `cpu` as a share of one core."""

    rooms: int
    participants: int
    packets_in: float
    packets_out: float
    cpu: float
    draining: bool


class Restarted(Struct, frozen=True, tag_field="type", tag="restarted"):
    """The node's process has ended, and every room of it with all connections. The next one begins
    empty: whoever was here must come again, here or elsewhere, with a higher generation."""


Event = Sources | Speakers | Gone | NodeLoad | Restarted
