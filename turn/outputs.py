"""What the server core asks of the world around it: the outputs of `TurnServer`.

A relay socket is named by a number the core gives out, never reused in the life of a process.
"""

from __future__ import annotations

from dataclasses import dataclass

from turn.address import Address, Family
from turn.five_tuple import FiveTuple


@dataclass(frozen=True, slots=True)
class Reply:
    """Send these bytes to the client."""

    flow: FiveTuple
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenRelay:
    """Bind a UDP socket on this port of the relay address and answer with `relay_opened` or
    `relay_failed`. Nothing is relayed on it before `AttachRelay`."""

    relay_id: int
    family: Family
    port: int


@dataclass(frozen=True, slots=True)
class AttachRelay:
    """Relay between this socket and the client from now on. `meter`: see OpenMeter; 0 for none."""

    relay_id: int
    flow: FiveTuple
    meter: int = 0


@dataclass(frozen=True, slots=True)
class OpenMeter:
    """So many bytes of payload may pass through all sockets attached with this number, in both
    directions together; there will be no more."""

    meter: int
    size: int


@dataclass(frozen=True, slots=True)
class CloseMeter:
    """Nothing is attached with this number any more."""

    meter: int


@dataclass(frozen=True, slots=True)
class CloseRelay:
    """Close the socket; its permissions and channels go with it."""

    relay_id: int


@dataclass(frozen=True, slots=True)
class Permit:
    """Let datagrams of this peer host through to the client."""

    relay_id: int
    host: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Drop datagrams of this peer host."""

    relay_id: int
    host: str


@dataclass(frozen=True, slots=True)
class BindChannel:
    """ChannelData of this number goes to the peer, and the peer's datagrams come as that."""

    relay_id: int
    number: int
    peer: Address


@dataclass(frozen=True, slots=True)
class UnbindChannel:
    """The number carries nothing any more."""

    relay_id: int
    number: int


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a payload from the relay socket to the peer."""

    relay_id: int
    peer: Address
    payload: bytes
    dont_fragment: bool


@dataclass(frozen=True, slots=True)
class EndFlow:
    """The flow's allocation is gone; a connection that carries nothing else may be closed."""

    flow: FiveTuple


Output = (
    Reply
    | OpenRelay
    | AttachRelay
    | OpenMeter
    | CloseMeter
    | CloseRelay
    | Permit
    | Revoke
    | BindChannel
    | UnbindChannel
    | Transmit
    | EndFlow
)
