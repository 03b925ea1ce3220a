"""The session: one consultation as one value, and everything that may happen to it.

Pure: `apply(session, event, now_ms)` gives the next session, the same object where nothing
changed, or a `Refusal`. Who may move whom from where to where is the table `TRANSITIONS`.
All times are ms since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal, assert_never

from . import media
from .events import (
    Admit,
    BackToWaiting,
    Decline,
    Disconnect,
    End,
    EnterCall,
    Event,
    HostCommand,
    Join,
    Leave,
    Lock,
    MoveMedia,
    NodeGone,
    PassOn,
    PeersApart,
    PlaceMedia,
    Remove,
    ShowDevices,
    Sweep,
    Unlock,
)
from .media import PEER_TO_PEER, Media, Topology
from .participant import INSIDE, LIVE, Participant, Role, Status

LIVE_MAX: Final = 50  # people present or waiting; the next client or guest gets `room_full`
HOST_SEATS: Final = 5  # beyond LIVE_MAX, for hosts only: no crowd locks a host out of the room
GROUP_MAX: Final = 16  # people in a group: nobody more is admitted. A forwarder has HOST_SEATS more
FINAL_MAX: Final = 50  # left, declined and removed ones kept; beyond it the oldest are forgotten
AWAY_MAX_MS: Final = 15 * 60 * 1000  # without a socket for longer counts as having left

TTL_CONNECTED_MS: Final = 3600 * 1000  # somebody is connected
TTL_AWAY_MS: Final = 120 * 1000  # nobody is connected, somebody may come back
TTL_EMPTY_MS: Final = 60 * 1000  # nobody is left


class SessionStatus(StrEnum):
    OPEN = "open"
    ENDED = "ended"  # never stored: an ended session is deleted


class Verb(StrEnum):
    ADMIT = "admit"
    DECLINE = "decline"
    BACK_TO_WAITING = "back_to_waiting"
    REMOVE = "remove"
    ENTER_CALL = "enter_call"
    LEAVE = "leave"


# What is not here is `not_allowed`. A state mapped to itself has already come about: no error,
# no change, so that a command sent twice does no harm.
TRANSITIONS: Final[Mapping[tuple[Status, Verb], Status]] = {
    (Status.WAITING, Verb.ADMIT): Status.ADMITTED,
    (Status.ADMITTED, Verb.ADMIT): Status.ADMITTED,
    (Status.IN_CALL, Verb.ADMIT): Status.IN_CALL,
    (Status.WAITING, Verb.DECLINE): Status.DECLINED,
    (Status.DECLINED, Verb.DECLINE): Status.DECLINED,
    (Status.ADMITTED, Verb.BACK_TO_WAITING): Status.WAITING,
    (Status.IN_CALL, Verb.BACK_TO_WAITING): Status.WAITING,
    (Status.WAITING, Verb.BACK_TO_WAITING): Status.WAITING,
    (Status.WAITING, Verb.REMOVE): Status.REMOVED,
    (Status.ADMITTED, Verb.REMOVE): Status.REMOVED,
    (Status.IN_CALL, Verb.REMOVE): Status.REMOVED,
    (Status.LEFT, Verb.REMOVE): Status.REMOVED,
    (Status.DECLINED, Verb.REMOVE): Status.REMOVED,
    (Status.REMOVED, Verb.REMOVE): Status.REMOVED,
    (Status.ADMITTED, Verb.ENTER_CALL): Status.IN_CALL,
    (Status.IN_CALL, Verb.ENTER_CALL): Status.IN_CALL,
    (Status.WAITING, Verb.LEAVE): Status.LEFT,
    (Status.ADMITTED, Verb.LEAVE): Status.LEFT,
    (Status.IN_CALL, Verb.LEAVE): Status.LEFT,
    (Status.LEFT, Verb.LEAVE): Status.LEFT,
    (Status.DECLINED, Verb.LEAVE): Status.DECLINED,
    (Status.REMOVED, Verb.LEAVE): Status.REMOVED,
}

# What says something of one who stays in their place, and while they are what. All else is
# `not_allowed`; and what was said is void as soon as they are moved.
REMARKS: Final[Mapping[type[PassOn | ShowDevices], Status]] = {
    PassOn: Status.WAITING,
    ShowDevices: Status.WAITING,
}


@dataclass(frozen=True, slots=True)
class Session:
    room: str
    provider: str
    version: int  # rises by every change
    locked: bool
    created_at: int  # tells a room that was opened again from the one that ended
    closes_at: int
    participants: tuple[Participant, ...] = ()  # in the order of the line
    lock_changed: int = 0  # the version that last changed `locked`
    media: Media = PEER_TO_PEER
    status: SessionStatus = SessionStatus.OPEN

    @classmethod
    def new(
        cls,
        room: str,
        provider: str,
        closes_at: int,
        now_ms: int,
        topology: Topology = Topology.P2P,
    ) -> Session:
        """An empty session, not yet stored. `closes_at` and `now_ms` in ms."""
        return cls(room, provider, 0, False, now_ms, closes_at, media=Media(topology))

    def find(self, participant: str) -> Participant | None:
        return next((p for p in self.participants if p.id == participant), None)

    @property
    def nodes(self) -> frozenset[str]:
        """The nodes that hold a socket of this session."""
        return frozenset(p.node for p in self.participants if p.node is not None)

    @property
    def inside(self) -> frozenset[str]:
        """Who may exchange signals and media."""
        return frozenset(p.id for p in self.participants if p.status in INSIDE)

    @property
    def host_present(self) -> bool:
        return any(p.role is Role.HOST and p.live and p.connected for p in self.participants)


RefusalCode = Literal[
    "group_unsupported",
    "not_allowed",
    "room_ended",
    "room_full",
    "room_locked",
    "unknown_participant",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event changes nothing; `code` is one of docs/protocol.md section 6."""

    code: RefusalCode
    detail: str = ""


_COMMAND_VERBS: Final[Mapping[type[HostCommand], Verb]] = {
    Admit: Verb.ADMIT,
    Decline: Verb.DECLINE,
    BackToWaiting: Verb.BACK_TO_WAITING,
    Remove: Verb.REMOVE,
}


def apply(session: Session, event: Event, now_ms: int) -> Session | Refusal:
    """The session after `event`.

    Gives the very same object when nothing changed, else one of the next version. Those who have
    been away for more than `AWAY_MAX_MS` are counted as having left before the event is looked at.
    """
    if session.status is SessionStatus.ENDED:
        return session if isinstance(event, End) else Refusal("room_ended")
    swept = _sweep(session, now_ms)
    result = _dispatch(swept, event, now_ms)
    if isinstance(result, Refusal):
        return result
    result = _with_media(
        result, media.settle(result.media, result.inside, now_ms, session.version + 1)
    )
    if result is session:
        return result
    return replace(
        result, version=session.version + 1, participants=keep_bounded(result.participants)
    )


def _dispatch(session: Session, event: Event, now_ms: int) -> Session | Refusal:
    match event:
        case Join():
            return _join(session, event, now_ms)
        case Disconnect():
            return _unplug(
                session,
                lambda p: (
                    (p.id, p.instance, p.node) == (event.participant, event.instance, event.node)
                ),
                now_ms,
            )
        case NodeGone():
            return _unplug(session, lambda p: p.node == event.node, now_ms)
        case Admit() | Decline() | BackToWaiting() | Remove():
            return _command(session, event, now_ms)
        case EnterCall():
            return _move(session, event.participant, Verb.ENTER_CALL, now_ms)
        case Leave():
            return _move(session, event.participant, Verb.LEAVE, now_ms)
        case Lock() | Unlock():
            locked = isinstance(event, Lock)
            if not _is_host(session, event.by):
                return Refusal("not_allowed", "only a host may lock the room")
            if session.locked is locked:
                return session
            return replace(session, locked=locked, lock_changed=session.version + 1)
        case PassOn():
            return _remark(session, event, onward=event.onward)
        case ShowDevices():
            return _remark(session, event, devices=event.devices)
        case PeersApart():
            return _part(session, event)
        case PlaceMedia():
            placed = media.place(session.media, event.generation, event.node, session.version + 1)
            return _with_media(session, placed)
        case MoveMedia():
            moved = media.leave_node(
                session.media, event.generation, event.node, session.version + 1
            )
            return _with_media(session, moved)
        case Sweep():
            return session
        case End():
            if event.by is not None and not _is_host(session, event.by):
                return Refusal("not_allowed", "only a host may end the consultation")
            return replace(session, status=SessionStatus.ENDED)
        case _:
            assert_never(event)


def _is_host(session: Session, participant: str) -> bool:
    found = session.find(participant)
    return found is not None and found.role is Role.HOST and found.live


def _join(session: Session, event: Join, now_ms: int) -> Session | Refusal:
    known = session.find(event.participant)
    if known is not None and known.status in (Status.DECLINED, Status.REMOVED):
        return Refusal("not_allowed", f"this participant was {known.status}")
    version = session.version + 1
    if known is not None and known.live and known.role is event.role:
        # Once admitted, the name stays the one that the host has admitted.
        name = event.name if known.status is Status.WAITING else known.name
        back = replace(known, name=name, instance=event.instance, node=event.node, away_since=None)
        shown = known.devices if known.instance == event.instance else None
        back = replace(back, groups=event.groups, devices=shown)
        if back == known:
            return session
        return _put(session, replace(back, changed=version))

    # New, back after having left, or back with a link of another role: the end of the line.
    is_host = event.role is Role.HOST
    if is_host and (refusal := _no_group(session, event.participant, groups=event.groups)):
        return refusal
    if session.locked and not is_host:
        return Refusal("room_locked", "the host has locked the room")
    others = sum(p.live for p in session.participants if p.id != event.participant)
    if others >= LIVE_MAX + (HOST_SEATS if is_host else 0):
        return Refusal("room_full", f"{LIVE_MAX} people are present or waiting")
    newcomer = Participant(
        id=event.participant,
        role=event.role,
        name=event.name,
        status=Status.ADMITTED if is_host else Status.WAITING,
        instance=event.instance,
        since=now_ms,
        node=event.node,
        away_since=None,
        place=version,
        changed=version,
        groups=event.groups,
    )
    # Once: who has been here and left has given up that place.
    if event.came is not None and known is None and not is_host:
        return _put_since(session, newcomer, min(event.came, now_ms))
    return _put_last(session, newcomer)


def _command(session: Session, event: HostCommand, now_ms: int) -> Session | Refusal:
    if not _is_host(session, event.by):
        return Refusal("not_allowed", "only a host may do this")
    target = session.find(event.participant)
    # A host never waits, and nobody is locked out by a slip of their own hand.
    if target is not None and not isinstance(event, Admit):
        if target.role is Role.HOST and not isinstance(event, Remove):
            return Refusal("not_allowed", "a host does not wait")
        if target.id == event.by:
            return Refusal("not_allowed", "leave, or end the consultation, instead")
    if target is not None and target.status is Status.WAITING and isinstance(event, Admit):
        refusal = _no_group(session, target.id, groups=target.groups)
        if refusal is not None:
            return refusal
        inside = len(session.inside)
        if inside >= GROUP_MAX and media.needs_forwarder(session.media, inside + 1):
            return Refusal("room_full", f"{GROUP_MAX} people are in the group")
    return _move(session, event.participant, _COMMAND_VERBS[type(event)], now_ms)


def _no_group(session: Session, newcomer: str, *, groups: bool) -> Refusal | None:
    """Why `newcomer` cannot come in: it would make a group with a browser that is none for it."""
    others = [p for p in session.participants if p.status in INSIDE and p.id != newcomer]
    if not media.needs_forwarder(session.media, len(others) + 1):
        return None
    if groups and all(p.groups for p in others):
        return None
    return Refusal("group_unsupported", "a browser here cannot take part in a group")


def _part(session: Session, event: PeersApart) -> Session | Refusal:
    one, other = session.find(event.by), session.find(event.participant)
    if one is None or other is None:
        return Refusal("unknown_participant")
    if one is other or one.status not in INSIDE or other.status not in INSIDE:
        return Refusal("not_allowed", "only for two who are inside")
    parted = media.part(session.media, one.id, other.id, session.version + 1)
    if parted is not session.media and not (one.groups and other.groups):
        return Refusal("group_unsupported", "a browser here cannot take part in a group")
    return _with_media(session, parted)


def _with_media(session: Session, changed: Media) -> Session:
    return session if changed is session.media else replace(session, media=changed)


def _move(session: Session, target: str, verb: Verb, now_ms: int) -> Session | Refusal:
    found = session.find(target)
    if found is None:
        return Refusal("unknown_participant")
    status = TRANSITIONS.get((found.status, verb))
    if status is None:
        return Refusal("not_allowed", f"cannot {verb} one who is {found.status}")
    if status is found.status:
        return session
    version = session.version + 1
    moved = replace(found, status=status, since=now_ms, changed=version, onward=None, devices=None)
    if status is Status.WAITING:
        return _put_last(session, replace(moved, place=version, came=None))
    if status not in LIVE:
        moved = replace(moved, node=None, away_since=None)
    return _put(session, moved)


def _remark(session: Session, event: PassOn | ShowDevices, **said: Any) -> Session | Refusal:
    found = session.find(event.participant)
    if found is None:
        return Refusal("unknown_participant")
    if found.status is not REMARKS[type(event)]:
        return Refusal("not_allowed", f"not for one who is {found.status}")
    remarked = replace(found, **said)
    if remarked == found:
        return session
    return _put(session, replace(remarked, changed=session.version + 1))


def _unplug(session: Session, gone: Callable[[Participant], bool], now_ms: int) -> Session:
    return _each(session, lambda p: replace(p, node=None, away_since=now_ms) if gone(p) else p)


def _sweep(session: Session, now_ms: int) -> Session:
    def swept(p: Participant) -> Participant:
        if p.away_since is None or now_ms - p.away_since <= AWAY_MAX_MS:
            return p
        status = TRANSITIONS[p.status, Verb.LEAVE]
        return replace(p, status=status, since=now_ms, away_since=None, onward=None, devices=None)

    return _each(session, swept)


def _each(session: Session, change: Callable[[Participant], Participant]) -> Session:
    """Every participant changed; the same session when none was."""
    version = session.version + 1
    changed = False
    participants = []
    for before in session.participants:
        after = change(before)
        if after is not before:
            after = replace(after, changed=version)
            changed = True
        participants.append(after)
    return replace(session, participants=tuple(participants)) if changed else session


def _put(session: Session, participant: Participant) -> Session:
    """In the same place as before."""
    return replace(
        session,
        participants=tuple(
            participant if p.id == participant.id else p for p in session.participants
        ),
    )


def _put_last(session: Session, participant: Participant) -> Session:
    others = tuple(p for p in session.participants if p.id != participant.id)
    return replace(session, participants=(*others, participant))


def _put_since(session: Session, participant: Participant, came: int) -> Session:
    """Before all who have begun to wait later than `came`."""
    later = (p for p in session.participants if p.status is Status.WAITING and p.since > came)
    place = next((p.place for p in later), participant.place)
    placed = replace(participant, since=came, came=came, place=place)
    line = sorted((*session.participants, placed), key=lambda p: p.line)
    return replace(session, participants=tuple(line))


def keep_bounded(participants: tuple[Participant, ...]) -> tuple[Participant, ...]:
    """At most `FINAL_MAX` who are not live. Forgets first who may come back anyway (left), then
    the longest ago: a declined or removed one is kept out as long as there is room to know it."""
    final = [p for p in participants if not p.live]
    if len(final) <= FINAL_MAX:
        return participants
    final.sort(key=lambda p: (p.status is not Status.LEFT, p.since, p.id))
    forgotten = {p.id for p in final[: len(final) - FINAL_MAX]}
    return tuple(p for p in participants if p.id not in forgotten)


def lifetime_ms(session: Session) -> int:
    """How long the stored session outlives its last change or renewal."""
    if session.nodes:
        return TTL_CONNECTED_MS
    return TTL_AWAY_MS if any(p.live for p in session.participants) else TTL_EMPTY_MS


def lapsed(session: Session, now_ms: int) -> bool:
    """Whether a session held in memory would have run out in the store by itself."""
    if session.nodes:
        return False
    last = max((p.away_since or p.since for p in session.participants), default=session.created_at)
    return now_ms - last >= lifetime_ms(session)
