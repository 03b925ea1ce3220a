"""What may happen to a session, one value for each; waiting_room.session says what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from .participant import Onward, Role, ShownDevices


@dataclass(frozen=True, slots=True)
class Join:
    """A hello: somebody new, or somebody coming back (perhaps on another node or page load)."""

    participant: str
    role: Role
    name: str
    instance: str
    node: str
    groups: bool = False
    came: int | None = None  # since when they wait for this provider, if they were passed on


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A socket is gone. Says nothing if the participant has since come back elsewhere."""

    participant: str
    instance: str
    node: str


@dataclass(frozen=True, slots=True)
class Admit:
    by: str
    participant: str


@dataclass(frozen=True, slots=True)
class Decline:
    by: str
    participant: str


@dataclass(frozen=True, slots=True)
class BackToWaiting:
    by: str
    participant: str


@dataclass(frozen=True, slots=True)
class Remove:
    by: str
    participant: str


@dataclass(frozen=True, slots=True)
class Lock:
    by: str


@dataclass(frozen=True, slots=True)
class Unlock:
    by: str


@dataclass(frozen=True, slots=True)
class EnterCall:
    """Media flows to this participant."""

    participant: str


@dataclass(frozen=True, slots=True)
class Leave:
    participant: str


@dataclass(frozen=True, slots=True)
class PassOn:
    """The reception asks one who waits to go to another room; None: not any more.

    The one thing that a reception, who is no participant, may do to a session.
    """

    participant: str
    onward: Onward | None


@dataclass(frozen=True, slots=True)
class ShowDevices:
    """One who waits lets the reception see how camera and microphone are doing."""

    participant: str
    devices: ShownDevices


@dataclass(frozen=True, slots=True)
class PeersApart:
    """No connection comes about between these two who are inside."""

    by: str
    participant: str


@dataclass(frozen=True, slots=True)
class PlaceMedia:
    """The forwarder `node` has been chosen for this generation, if none has been before."""

    generation: int
    node: str


@dataclass(frozen=True, slots=True)
class MoveMedia:
    """The forwarder `node`, on which the media of this generation is, is gone."""

    generation: int
    node: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Nothing but the passing of time (which every other event takes account of too)."""


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node has stopped, or is found dead: its participants have no socket any more."""

    node: str


@dataclass(frozen=True, slots=True)
class End:
    """The end for all. `by` is a host, or None when the house itself ends it."""

    by: str | None = None


HostCommand = Admit | Decline | BackToWaiting | Remove
# What leaves a session in place, and what does not.
MediaChange = PeersApart | PlaceMedia | MoveMedia
Change = (
    Join | Disconnect | HostCommand | Lock | Unlock | EnterCall | Leave | Sweep | NodeGone
    | PassOn | ShowDevices | MediaChange
)  # fmt: skip
Event = Change | End
