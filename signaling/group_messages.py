"""The messages of docs/protocol.md section 9: calls whose media goes through a forwarder."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.forms import MAX_SDP, ClientBase, Id, Millis, ParticipantId, ServerBase, Token

MAX_TRACKS: Final = 128
MAX_TILES: Final = 128
MAX_PIXELS: Final = 16_384

Generation = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Mode = Literal["p2p", "sfu"]
Source = Literal["microphone", "camera", "screen", "screen_audio"]
Mid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,16}\Z")]
Sdp = Annotated[str, Meta(min_length=1, max_length=MAX_SDP)]
Pixels = Annotated[int, Meta(ge=0, le=MAX_PIXELS)]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A member of a message."""


# --- from page to server ---


class SourceOf(_Part, frozen=True):
    """One source of one participant."""

    participant: ParticipantId
    source: Source


class Track(_Part, frozen=True):
    """What a section of an offer is for: `send` or `receive`, which `messages.parse` sees to."""

    mid: Mid
    send: Source | UnsetType = UNSET
    receive: SourceOf | UnsetType = UNSET


class Tile(_Part, frozen=True):
    """How large a source is shown, in device pixels; width 0: not at all."""

    participant: ParticipantId
    source: Source
    width: Pixels
    height: Pixels
    pinned: bool = False


class GroupOffer(ClientBase, frozen=True, gc=True, tag="group_offer"):
    id: Id
    generation: Generation
    sdp: Sdp
    tracks: Annotated[tuple[Track, ...], Meta(max_length=MAX_TRACKS)]


class GroupWant(ClientBase, frozen=True, gc=True, tag="group_want"):
    id: Id
    generation: Generation
    tiles: Annotated[tuple[Tile, ...], Meta(max_length=MAX_TILES)]


class GroupFailed(ClientBase, frozen=True, tag="group_failed"):
    id: Id
    generation: Generation


class P2pFailed(ClientBase, frozen=True, tag="p2p_failed"):
    id: Id
    participant: ParticipantId


class AskMute(ClientBase, frozen=True, tag="ask_mute"):
    id: Id
    participant: ParticipantId


class InviteGuest(ClientBase, frozen=True, tag="invite_guest"):
    id: Id


# --- from server to page ---


class Media(_Part, frozen=True):
    """Which way the media of a room goes: the member `media` of `room`."""

    mode: Mode
    generation: Generation


class SourceView(_Part, frozen=True):
    """A source that can be received; `layers`: in how many sizes it is sent (simulcast)."""

    participant: ParticipantId
    source: Source
    kind: Literal["audio", "video"]
    layers: Annotated[int, Meta(ge=1, le=16)] = 1


class GroupAnswer(ServerBase, frozen=True, tag="group_answer"):
    id: Id
    sdp: Sdp


class GroupSources(ServerBase, frozen=True, tag="group_sources"):
    generation: Generation
    sources: tuple[SourceView, ...]


class GroupSpeakers(ServerBase, frozen=True, tag="group_speakers"):
    generation: Generation
    speaking: tuple[ParticipantId, ...]


class GroupGone(ServerBase, frozen=True, tag="group_gone"):
    generation: Generation
    reason: Literal["silent", "never_connected", "wrong_certificate"]


class MuteAsked(ServerBase, frozen=True, tag="mute_asked"):
    from_: ParticipantId = msgspec.field(name="from")


class GuestLink(ServerBase, frozen=True, tag="guest_link"):
    id: Id
    token: Token
    closes_at: Millis
