"""Who takes part in a session: role, status, and where they are. Pure. Times are ms since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    HOST = "host"
    CLIENT = "client"
    GUEST = "guest"


class Status(StrEnum):
    """Of a participant; the diagram is in docs/protocol.md section 2."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    IN_CALL = "in_call"
    LEFT = "left"
    DECLINED = "declined"
    REMOVED = "removed"


LIVE: Final = frozenset({Status.WAITING, Status.ADMITTED, Status.IN_CALL})
INSIDE: Final = frozenset({Status.ADMITTED, Status.IN_CALL})  # may exchange signals


class DeviceWord(StrEnum):
    """How a camera or microphone of one who waits is doing, as coarsely as it can be said."""

    WORKS = "works"
    REFUSED = "refused"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Onward:
    """Where the reception has asked one who waits to go."""

    room: str
    provider: str  # the name of whose room it is


@dataclass(frozen=True, slots=True)
class ShownDevices:
    """What one who waits has let the reception see."""

    camera: DeviceWord
    microphone: DeviceWord


@dataclass(frozen=True, slots=True)
class Participant:
    id: str
    role: Role
    name: str
    status: Status
    instance: str  # the page load last seen
    since: int  # when `status` came about
    node: str | None  # which node holds the socket; None: nobody does
    away_since: int | None  # when the socket was lost; None while connected, or when no longer live
    place: int  # the session version at which it was taken, by them or by whom they go before
    changed: int  # the session version that last changed this participant
    groups: bool = False  # whether the page last seen can take part in a group
    onward: Onward | None = None  # only while waiting, as is what follows
    devices: ShownDevices | None = None
    came: int | None = None  # passed on from a room of the same provider: when they came there

    @property
    def line(self) -> tuple[int, bool, int]:
        """What the line is sorted by. Whoever is passed on stands in the place of one who came
        later, and just before."""
        return self.place, self.came is None, self.came or 0

    @property
    def connected(self) -> bool:
        return self.node is not None

    @property
    def live(self) -> bool:
        return self.status in LIVE
