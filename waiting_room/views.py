"""What one participant may see of a session: the `room` message of docs/protocol.md section 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .media import MediaMode
from .participant import (
    INSIDE,
    Participant,
    Role,
    Status,
)
from .session import Session


@dataclass(frozen=True, slots=True)
class ParticipantView:
    id: str
    instance: str
    name: str
    role: Role
    status: Status
    connected: bool
    since: int  # ms since 1970
    groups: bool
    onward: str = ""  # to whose room the reception has asked them to go


@dataclass(frozen=True, slots=True)
class MediaView:
    mode: MediaMode
    generation: int


@dataclass(frozen=True, slots=True)
class RoomView:
    version: int
    you: Status
    host_present: bool
    locked: bool
    place: int | None  # 1-based; None when not waiting, or not to be told
    participants: tuple[ParticipantView, ...]  # the others, in the order of the line
    media: MediaView
    onward: str = ""  # to whose room the reception asks oneself to go


# For those outside: whether there is a group inside is none of their business.
_NO_MEDIA: Final = MediaView(MediaMode.P2P, 0)


def view_for(session: Session, participant: str, *, tells_place: bool = True) -> RoomView | None:
    """The view of `participant`; None when the session does not know them.

    A host sees all others, also those who left or were sent away; who is admitted or in call sees
    the others who are; anybody else sees nobody.
    """
    you = session.find(participant)
    if you is None:
        return None
    return RoomView(
        version=session.version,
        you=you.status,
        host_present=session.host_present,
        locked=session.locked,
        place=_place(session, you) if tells_place else None,
        participants=tuple(
            _view(p) for p in session.participants if p.id != you.id and _sees(you, p)
        ),
        media=_NO_MEDIA
        if you.status not in INSIDE
        else MediaView(session.media.mode, session.media.generation),
        onward=_onward(you),
    )


def _sees(you: Participant, other: Participant) -> bool:
    if you.status not in INSIDE:
        return False
    return you.role is Role.HOST or other.status in INSIDE


def _place(session: Session, you: Participant) -> int | None:
    if you.status is not Status.WAITING:
        return None
    waiting = [p.id for p in session.participants if p.status is Status.WAITING]
    return waiting.index(you.id) + 1


def _view(p: Participant) -> ParticipantView:
    return ParticipantView(
        p.id, p.instance, p.name, p.role, p.status, p.connected, p.since, p.groups, _onward(p)
    )


def _onward(p: Participant) -> str:
    return "" if p.onward is None else p.onward.provider
