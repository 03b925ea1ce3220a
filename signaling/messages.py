"""The messages of docs/protocol.md sections 3 and 4, both ways, as msgspec structs.

`parse` is strict where JSON parsers are lenient: it refuses unknown types and fields, missing,
duplicate and ill-typed fields, integers beyond 2^53-1 and lone surrogates, always with a
`MessageError` and never with anything else.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_INTEGER: Final = 2**53 - 1

# The forms of docs/protocol.md section 2.
Id = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Millis = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
ParticipantId = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{22}$")]
Secret = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{22,64}$")]
Instance = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{8,32}$")]
Token = Annotated[str, Meta(min_length=1, max_length=2048)]
SignalData = Annotated[str, Meta(min_length=1, max_length=60_000)]

Role = Literal["host", "client", "guest"]
Status = Literal["waiting", "admitted", "in_call", "left", "declined", "removed"]


class MessageError(Exception):
    """A message that is refused; the socket lives.

    `code` is ``bad_message`` or ``bad_name``; `field` the wire name of the field at fault (``""``
    when it is the message as a whole); `detail` one plain sentence without any of the content.
    """

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(code, field, detail)
        self.code = code
        self.field = field
        self.detail = detail


class ClientBase(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False,
                 tag_field="type"):
    """Common configuration; not a message."""


# --- from page to server (section 3) ---


class Hello(ClientBase, frozen=True, tag="hello"):
    """`name` is trimmed and NFC; ``""`` when the page gave none (a given name is never empty)."""

    token: Token
    secret: Secret
    instance: Instance
    name: str = ""
    last_seq: Id = 0
    reopen: bool = False


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
    id: Id
    to: ParticipantId
    data: SignalData


class Ack(ClientBase, frozen=True, tag="ack"):
    seq: Id


class Ping(ClientBase, frozen=True, tag="ping"):
    pass


ClientMessage = (
    Hello | Admit | Decline | BackToWaiting | Remove | Lock | End | Leave | Connected | Signal | Ack
    | Ping
)  # fmt: skip


# --- from server to page (section 4) ---


class Person(Struct, frozen=True, forbid_unknown_fields=True):
    """One of `room.participants`. `since`: ms since 1970."""

    id: ParticipantId
    instance: Instance
    name: str
    role: Role
    status: Status
    connected: bool
    since: Millis


class RoomView(Struct, frozen=True, forbid_unknown_fields=True):
    """The member `room` of `welcome`: the fields of `Room` without its `type`.

    ``msgspec.convert(view, RoomView, from_attributes=True)`` makes one of the waiting room's view.
    """

    version: Id
    you: Status
    host_present: bool
    locked: bool
    place: Annotated[int, Meta(ge=1, le=MAX_INTEGER)] | None
    participants: tuple[Person, ...]


class ServerBase(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True,
                 tag_field="type"):
    """Common configuration; not a message."""


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


class Pong(ServerBase, frozen=True, tag="pong"):
    pass


ServerMessage = (
    Welcome | Room | Relayed | Delivered | Ok | Error | Closing | Bye | Pong
)  # fmt: skip


def parse(data: bytes) -> ClientMessage:
    """One text message of a page. Raises MessageError, nothing else."""
    raise NotImplementedError


def parse_server(data: bytes) -> ServerMessage:
    """One message of a server, for the programs of tests and measurements. Raises MessageError."""
    raise NotImplementedError


def encode(message: ServerMessage) -> bytes:
    """The JSON text (UTF-8) of any message to a page."""
    raise NotImplementedError


def encode_signal(seq: int, sender: str, data: str) -> bytes:
    """``{"type":"signal","seq":…,"from":…,"data":…}``: the relay's hot path."""
    raise NotImplementedError


def room_message(view: object) -> Room:
    """The `room` message of a waiting-room view (any object with its attributes)."""
    raise NotImplementedError


def room_view(view: object) -> RoomView:
    """The member `room` of `welcome`, of the same."""
    raise NotImplementedError
