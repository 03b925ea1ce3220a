"""The way of the media of every group of this node: on which forwarder, what that tells, its moves.

Where a room's media is, is decided in its session (waiting_room/media.py); here a forwarder is
proposed, the pages are told what comes from it, and one that is dead is left. Several nodes may do
all this for one room at once: the session takes the first, and what is asked of a forwarder may be
asked twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from signaling.forwarders import (
    ConnectionGone,
    ForwarderGoneError,
    Forwarders,
    ForwardersChanged,
    Heard,
    Sources,
    Speakers,
    Way,
)
from signaling.group_messages import (
    GroupGone,
    GroupSources,
    GroupSpeakers,
)
from signaling.metrics import Metrics
from signaling.node import NodeLink
from signaling.room import Member, Room
from signaling.rooms import Rooms
from waiting_room.errors import Refused, StoreUnavailable
from waiting_room.events import (
    Change,
    MoveMedia,
    PlaceMedia,
    Sweep,
)
from waiting_room.media import MediaMode, is_due
from waiting_room.session import Session

_log = logging.getLogger(__name__)

TICK_S: Final = 0.5
NODE_WAIT_S: Final = 1.5
"""How long an offer waits for a forwarder to come up: about as long as one takes to restart."""

RETRY_AFTER_S: Final = 1.0
MAX_DROPS: Final = 1024
"""Farewells to forwarders on their way at once; one more is left to the forwarder's timeouts."""

LINGER_S: Final = 22.0
"""How long a former way stays: the pages go on with it until media comes the new way, or 20 s."""

_LOOK_AGAIN_S: Final = 0.1
_PLACINGS: Final = 4
_PAUSES_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0)

Job = Coroutine[Any, Any, None]
Changer = Callable[[Room, Change], Job]


def way_of(session: Session) -> Way:
    """The present way of its media."""
    return Way(session.room, session.created_at, session.media.generation)


class GroupWatch:
    """The groups of one node."""

    def __init__(
        self,
        *,
        forwarders: Forwarders,
        rooms: Rooms,
        change: Changer,
        link: NodeLink,
        metrics: Metrics,
        spawn: Callable[[Job], asyncio.Task[None]],
    ) -> None:
        """`change` makes a change of a room's session, raising StoreUnavailable."""
        self._forwarders = forwarders
        self._rooms = rooms
        self._change = change
        self._link = link
        self._metrics = metrics
        self._spawn = spawn
        self._busy: set[str] = set()
        self._drops = 0
        rooms.adopted = self._adopted
        rooms.ended = self._ended

    async def run(self) -> None:
        """Tick for ever: a fault in one tick must not cost all that follow."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
            except Exception:
                _log.exception("group_tick_failed")

    # --- where the media is ---

    async def placed(self, room: Room, generation: int) -> tuple[str, Way]:
        """Give the forwarder of this generation; one is chosen where there is none yet.

        Raises Refused: `stale_generation`, `sfu_unavailable`, `room_ended`, or StoreUnavailable.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + NODE_WAIT_S
        for _ in range(_PLACINGS):
            session = current(room, generation)
            if session.media.node is not None:
                return session.media.node, way_of(session)
            while (node := self._forwarders.choose()) is None:
                if loop.time() >= deadline:
                    raise unavailable()
                await asyncio.sleep(_LOOK_AGAIN_S)
                current(room, generation)
            await self._change(room, PlaceMedia(generation, node))
        raise unavailable()

    async def abandon(self, room: Room, way: Way, node: str) -> bool:
        """That forwarder does not answer: leave it, if there is another. Whether it was left.

        Where there is none nothing is won by it: perhaps it is only Redis that it does not hear,
        and the call goes on. Raises StoreUnavailable.
        """
        session = room.session
        if session is None or way_of(session) != way or session.media.node != node:
            return True
        if self._forwarders.choose(without=node) is None:
            return False
        await self._change(room, MoveMedia(way.generation, node))
        return True

    async def relocate(self, room: Room, way: Way, node: str) -> bool:
        """That forwarder takes no more: leave it, if nobody of this room is there yet."""
        try:
            events = await self._forwarders.watch(node, way)
        except ForwarderGoneError:
            events = ()
        if any(isinstance(event, Sources) and event.sources for event in events):
            return False
        return await self.abandon(room, way, node)

    def tick(self) -> None:
        """Leave forwarders that are dead; bring those back to peer-to-peer who are few."""
        now_ms = self._link.now_ms()
        for room in self._rooms:
            session = room.session
            if session is None or session.media.mode is not MediaMode.SFU or room.ended:
                continue
            node = session.media.node
            if is_due(session.media, now_ms):
                self._once(room, self._change(room, Sweep()))
            elif node is not None and self._forwarders.is_gone(node):
                self._once(room, self._leave_dead(room, way_of(session), node))

    async def _leave_dead(self, room: Room, way: Way, node: str) -> None:
        # It may only have been us who heard nothing.
        if not await self._forwarders.answers(node):
            await self.abandon(room, way, node)

    def _once(self, room: Room, job: Job) -> None:
        """Do `job` for a room unless one is being done; without Redis the next tick tries again."""
        if room.id in self._busy:
            job.close()
            return
        self._busy.add(room.id)
        self._spawn(self._settled(room.id, job))

    async def _settled(self, room: str, job: Job) -> None:
        try:
            await job
        except StoreUnavailable:
            await asyncio.sleep(RETRY_AFTER_S)
        finally:
            self._busy.discard(room)

    # --- what becomes of a room ---

    def _adopted(self, room: Room, before: Session | None) -> None:
        """The session has changed: who is no longer inside is dropped at once, and a way that is no
        longer taken when the new one has had time to come about. Every node that knows the room
        says so, for one of them may just die."""
        session = room.session
        if session is None or before is None:
            return
        old, new = before.media, session.media
        if way_of(session) != way_of(before):
            self._metrics.media_moves += 1
            self._close_former(room)
            if old.node is not None:
                room.former = (old.node, way_of(before))
                self._spawn(self._close_later(room, room.former))
        present = (new.node, way_of(session)) if new.node is not None else None
        for participant in before.inside - session.inside:
            for where in (present, room.former):
                if where is not None:
                    self.drop(*where, participant)

    def _ended(self, room: Room) -> None:
        self._close_former(room)
        session = room.session
        if session is not None and session.media.node is not None:
            self._close(session.media.node, way_of(session))

    async def _close_later(self, room: Room, former: tuple[str, Way]) -> None:
        await asyncio.sleep(LINGER_S)
        if room.former == former:
            self._close_former(room)

    def _close_former(self, room: Room) -> None:
        former, room.former = room.former, None
        if former is not None:
            self._close(*former)

    def _close(self, node: str, way: Way) -> None:
        self._drop(node, lambda: self._forwarders.close(node, way))

    def drop(self, node: str, way: Way, participant: str) -> None:
        """Have a participant dropped by a forwarder, unless it has been let in again meanwhile."""

        async def leave() -> None:
            room = self._rooms.get(way.room)
            session = None if room is None else room.session
            there = session is not None and way_of(session) == way
            if room is None or not there or participant not in room.inside:
                await self._forwarders.leave(node, way, participant)

        self._drop(node, leave)

    def _drop(self, node: str, job: Callable[[], Awaitable[None]]) -> None:
        if self._drops < MAX_DROPS:
            self._drops += 1
            self._spawn(self._persistently(node, job))

    async def _persistently(self, node: str, job: Callable[[], Awaitable[None]]) -> None:
        try:
            for pause in _PAUSES_S:
                await asyncio.sleep(pause)
                try:
                    await job()
                except StoreUnavailable:
                    continue
                except ForwarderGoneError:
                    if self._forwarders.is_gone(node):
                        return
                else:
                    return
        finally:
            self._drops -= 1

    # --- what pages are told ---

    def greet(self, member: Member) -> None:
        """Tell one who has just been welcomed what there is; be told of changes from now on."""
        session = member.room.session
        if session is None or member.id not in member.room.inside:
            return
        if session.media.mode is MediaMode.SFU and session.media.node is not None:
            self._spawn(self._greet(member, session.media.node, way_of(session)))

    async def _greet(self, member: Member, node: str, way: Way) -> None:
        told = member.room.sources_told
        try:
            for event in await self._forwarders.watch(node, way):
                # What was told to all meanwhile is newer, and this one has got it as well.
                late = isinstance(event, Sources) and member.room.sources_told != told
                if not late and not isinstance(event, ForwardersChanged):
                    self._take(event, member)
        except ForwarderGoneError:
            self._once(member.room, self._leave_dead(member.room, way, node))
        except StoreUnavailable:
            return  # an offer or wish of its makes up for it

    def heard(self, event: Heard) -> None:
        """A forwarder tells something."""
        if isinstance(event, ForwardersChanged):
            self.tick()
        else:
            self._take(event, None)

    def _take(self, event: Sources | Speakers | ConnectionGone, only: Member | None) -> None:
        room = self._rooms.get(event.way.room)
        session = None if room is None else room.session
        if room is None or session is None or way_of(session) != event.way:
            return
        if session.media.mode is not MediaMode.SFU:
            return
        if isinstance(event, ConnectionGone):
            member = room.members.get(event.participant)
            if member is not None and event.reason != "closed":
                _send(member, GroupGone(event.way.generation, event.reason))
            return
        if only is None and isinstance(event, Sources) and event.to is None:
            room.sources_told += 1
        message = _message(event, room)
        for member in room.members.values():
            if only in (None, member) and (
                not isinstance(event, Sources) or event.to in (None, member.id)
            ):
                _send(member, message)


def current(room: Room, generation: int) -> Session:
    """The session of a room whose media goes this way. Raises Refused."""
    session = room.session
    if room.ended or session is None:
        raise Refused("room_ended", "the consultation has ended")
    if session.media.mode is not MediaMode.SFU or session.media.generation != generation:
        raise Refused("stale_generation", "the media goes another way by now")
    return session


def unavailable(retry_after: float = RETRY_AFTER_S) -> Refused:
    """Nobody forwards right now."""
    return Refused("sfu_unavailable", "no forwarder can be had", {"retry_after": retry_after})


def _message(event: Sources | Speakers, room: Room) -> GroupSources | GroupSpeakers:
    """Without those who are not inside any more: the forwarder may not yet have heard of it."""
    if isinstance(event, Speakers):
        return GroupSpeakers(
            event.way.generation, tuple(one for one in event.speaking if one in room.inside)
        )
    return GroupSources(
        event.way.generation,
        tuple(one for one in event.sources if one.participant in room.inside),
    )


def _send(member: Member, message: GroupSources | GroupSpeakers | GroupGone) -> None:
    if member.connected and member.id in member.room.inside and member.socket is not None:
        member.socket.send(message)
