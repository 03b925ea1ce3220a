"""The messages of docs/protocol.md sections 3 and 4, both ways, as msgspec structs; section 9 has
its own in group_messages.py.

`parse` is strict where JSON parsers are lenient: it refuses unknown types and fields, missing,
duplicate and ill-typed fields, integers beyond 2^53-1 and lone surrogates, always with a
`MessageError` and never with anything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from signaling.forms import (
    MAX_INTEGER,
    ClientBase,
    DeviceWord,
    Id,
    Instance,
    Millis,
    ParticipantId,
    Role,
    Secret,
    ServerBase,
    SignalData,
    Status,
    Token,
)
from signaling.group_messages import (
    AskMute,
    GroupAnswer,
    GroupFailed,
    GroupGone,
    GroupOffer,
    GroupSources,
    GroupSpeakers,
    GroupWant,
    GuestLink,
    InviteGuest,
    Media,
    MuteAsked,
    P2pFailed,
    Track,
)
from signaling.names import UnshowableName, clean_name
from signaling.strictjson import MessageError, refusal, refuse_duplicates

Words = Annotated[str, Meta(max_length=500)]
Minutes = Annotated[int, Meta(ge=0, le=600)]

# --- from page to server (section 3) ---


class Hello(ClientBase, frozen=True, tag="hello"):
    """`name` is trimmed and NFC; ``""`` when the page gave none (a given name is never empty)."""

    token: Token
    secret: Secret
    instance: Instance
    name: str = ""
    last_seq: Id = 0
    reopen: bool = False
    groups: bool = False


class Admit(ClientBase, frozen=True, tag="admit"):
    id: Id
    participant: ParticipantId


class Decline(ClientBase, frozen=True, tag="decline"):
    id: Id
    participant: ParticipantId


class BackToWaiting(ClientBase, frozen=True, tag="back_to_waiting"):
    id: Id
    participant: ParticipantId


class Remove(ClientBase, frozen=True, tag="remove"):
    id: Id
    participant: ParticipantId


class Lock(ClientBase, frozen=True, tag="lock"):
    id: Id
    locked: bool


class End(ClientBase, frozen=True, tag="end"):
    id: Id


class Leave(ClientBase, frozen=True, tag="leave"):
    id: Id


class Connected(ClientBase, frozen=True, tag="connected"):
    id: Id


class Signal(ClientBase, frozen=True, tag="signal"):
    """`to` is a participant by length only; `parse` checks its characters (a pattern here would
    double the time of the relay's hot path)."""

    id: Id
    to: Annotated[str, Meta(min_length=22, max_length=22)]
    data: SignalData


class Tell(ClientBase, frozen=True, tag="tell"):
    """To one who waits, or to all: words, and in how many minutes their turn may come."""

    id: Id
    text: Words
    minutes: Minutes | UnsetType = UNSET
    participant: ParticipantId | UnsetType = UNSET


class ShowDevices(ClientBase, frozen=True, tag="show_devices"):
    """One who waits lets the reception see, in one word each, how camera and microphone do."""

    id: Id
    camera: DeviceWord
    microphone: DeviceWord


class Ack(ClientBase, frozen=True, tag="ack"):
    seq: Id


class Ping(ClientBase, frozen=True, tag="ping"):
    pass


ClientMessage = (
    Hello | Admit | Decline | BackToWaiting | Remove | Lock | End | Leave | Connected | Signal | Ack
    | Ping | Tell | ShowDevices | GroupOffer | GroupWant | GroupFailed | P2pFailed | AskMute
    | InviteGuest
)  # fmt: skip


# --- from server to page (section 4) ---


class Person(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of `room.participants`. `since`: ms since 1970."""

    id: ParticipantId
    instance: Instance
    name: str
    role: Role
    status: Status
    connected: bool
    since: Millis
    groups: bool
    onward: str = ""


class RoomView(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The member `room` of `welcome`: the fields of `Room` without its `type`.

    ``msgspec.convert(view, RoomView, from_attributes=True)`` makes one of the waiting room's view.
    """

    version: Id
    you: Status
    host_present: bool
    locked: bool
    place: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None
    participants: tuple[Person, ...]
    media: Media
    onward: str = ""


class Welcome(ServerBase, frozen=True, tag="welcome"):
    participant: ParticipantId
    role: Role
    resumed: bool
    seq: Id
    server_time: Millis
    opens_at: Millis
    closes_at: Millis
    provider: str
    ice_transport_policy: Literal["all", "relay"]
    media_topology: Literal["auto", "p2p", "sfu"]
    room: RoomView


class Room(ServerBase, frozen=True, tag="room"):
    version: Id
    you: Status
    host_present: bool
    locked: bool
    place: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None
    participants: tuple[Person, ...]
    media: Media
    onward: str = ""


class Relayed(ServerBase, frozen=True, tag="signal"):
    """A signal on its way to its recipient."""

    seq: Id
    from_: ParticipantId = msgspec.field(name="from")
    data: SignalData


class Delivered(ServerBase, frozen=True, tag="delivered"):
    to: ParticipantId
    id: Id


class Ok(ServerBase, frozen=True, tag="ok"):
    id: Id


class Error(ServerBase, frozen=True, tag="error"):
    """`retry_after` in seconds, `opens_at` in ms since 1970; `reason` with `token_invalid`."""

    code: str
    detail: str
    id: Id | UnsetType = UNSET
    field: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    retry_after: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    opens_at: Millis | UnsetType = UNSET


class Closing(ServerBase, frozen=True, tag="closing"):
    closes_at: Millis


class Bye(ServerBase, frozen=True, tag="bye"):
    reason: Literal["ended", "declined", "removed", "left", "taken_over", "going_away"]


class Told(ServerBase, frozen=True, tag="told"):
    """Words of a host, or `by` the reception, to those who wait; `at`: ms since 1970.

    The newest of each stands for all before.
    """

    text: Words
    at: Millis
    minutes: Minutes | UnsetType = UNSET
    by: Literal["reception"] | UnsetType = UNSET


class Pong(ServerBase, frozen=True, tag="pong"):
    pass


ServerMessage = (
    Welcome | Room | Relayed | Delivered | Ok | Error | Closing | Bye | Pong
    | Told | GroupAnswer | GroupSources | GroupSpeakers | GroupGone | MuteAsked | GuestLink
)  # fmt: skip


_client_decoder: Final[Decoder[ClientMessage]] = Decoder(ClientMessage)
_server_decoder: Final[Decoder[ServerMessage]] = Decoder(ServerMessage)
_decode_client: Final = _client_decoder.decode
_encode: Final = msgspec.json.Encoder().encode
_NOTHING: Final[dict[str, object]] = {}
_base64url: Final = re.compile(r"[A-Za-z0-9_-]*").fullmatch


def parse(data: bytes) -> ClientMessage:
    """One text message of a page. Raises MessageError, nothing else."""
    try:
        message = _decode_client(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise refusal(data, error) from None
    # The canonical text is the shortest: the encoder escapes only what must be, and numbers have
    # one form. So a text of the same length has no member twice, nor anything else unusual.
    given = _NOTHING if len(_encode(message)) == len(data) else refuse_duplicates(data)
    if type(message) is Signal:
        if not _base64url(message.to):
            raise MessageError("bad_message", "to", "not of the required form")
    elif type(message) is Hello and (message.name or "name" in given):
        return _with_clean_name(message)
    elif type(message) is GroupOffer:
        _refuse_ambiguous(message.tracks)
    return message


def _with_clean_name(hello: Hello) -> Hello:
    try:
        name = clean_name(hello.name)
    except UnshowableName as error:
        raise MessageError("bad_name", "name", str(error)) from None
    return hello if name == hello.name else msgspec.structs.replace(hello, name=name)


def _refuse_ambiguous(tracks: Sequence[Track]) -> None:
    for index, track in enumerate(tracks):
        if (track.send is UNSET) == (track.receive is UNSET):
            raise MessageError("bad_message", f"tracks[{index}]", "either send or receive")


def parse_server(data: bytes) -> ServerMessage:
    """One message of a server, for the programs of tests and measurements. Raises MessageError."""
    try:
        message = _server_decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise refusal(data, error) from None
    if len(_encode(message)) != len(data):
        refuse_duplicates(data)
    return message


def encode(message: ServerMessage | ClientMessage) -> bytes:
    """The JSON text (UTF-8) of any message."""
    return _encode(message)


def encode_signal(seq: int, sender: str, data: str) -> bytes:
    """``{"type":"signal","seq":…,"from":…,"data":…}``: the relay's hot path."""
    return _encode(Relayed(seq, sender, data))


def room_message(view: object) -> Room:
    """The `room` message of a waiting-room view (any object with its attributes)."""
    return msgspec.convert(view, Room, from_attributes=True)


def room_view(view: object) -> RoomView:
    """The member `room` of `welcome`, of the same."""
    return msgspec.convert(view, RoomView, from_attributes=True)
