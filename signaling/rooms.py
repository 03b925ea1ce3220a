"""The rooms of this node, and who in them is here, away for a while, or gone."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from signaling.codes import GOING_AWAY, close_code
from signaling.messages import Bye
from signaling.node import Clock
from signaling.room import Hold, Member, Room
from waiting_room.connection import RETRY_AFTER
from waiting_room.errors import RoomUnavailable, StoreUnavailable
from waiting_room.session import Session

_ENDED: Final = Bye(reason="ended")
_TAKEN_OVER: Final = Bye(reason="taken_over")


class Rooms:
    """Bounded by what is connected: a room lives as long as it has members, and the session's own
    bounds (105 people) hold for each."""

    def __init__(self, clock: Clock, node: str, *, tells_place: bool = True) -> None:
        self._tells_place = tells_place
        self._clock = clock
        self._node = node
        self._rooms: dict[str, Room] = {}
        self.away: dict[Member, None] = {}
        """Members without a socket, in the order in which they lost it."""
        self.stale: dict[Member, None] = {}
        """Members of whom Redis has to be told, or has to be asked for mail."""
        self.late: dict[Member, None] = {}
        """Members whose view has changed and is to be shown in a moment."""
        self.later: Callable[[], None] = lambda: None
        """Called when there are some; whoever is called has `show_late` done."""
        self.adopted: Callable[[Room, Session | None], None] = lambda room, before: None
        """Called with every newer session that a room takes, and the one before."""
        self.ended: Callable[[Room], None] = lambda room: None
        """Called once for each room that is over."""

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, room: str) -> Room | None:
        """Give a room that is held here."""
        return self._rooms.get(room)

    def session(self, room: str) -> Session | None:
        """Give the session of a room that is held here, as far as it is known."""
        found = self._rooms.get(room)
        return None if found is None else found.session

    @contextmanager
    def using(self, room: str) -> Iterator[Room]:
        """A room, made if it is not held here; it is not forgotten while it is in use."""
        found = self._rooms.get(room)
        if found is None:
            found = self._rooms[room] = Room(room, tells_place=self._tells_place)
        found.users += 1
        try:
            yield found
        finally:
            found.users -= 1
            self._close_if_empty(found)

    @asynccontextmanager
    async def turn(self, room: Room) -> AsyncIterator[None]:
        """Be the only one to change the session of `room` from this node, in the order of asking.

        Raises RoomUnavailable when somebody who was served meanwhile got no answer: those
        who queued behind would only have to wait as long again, one after the other.
        """
        asked_at = self._clock.monotonic()
        async with room.lock:
            if room.failed_at >= asked_at:
                raise RoomUnavailable("the waiting room cannot be reached", RETRY_AFTER)
            try:
                yield
            except StoreUnavailable:
                room.failed_at = self._clock.monotonic()
                raise

    def _close_if_empty(self, room: Room) -> None:
        if not room.members and not room.users and self._rooms.get(room.id) is room:
            del self._rooms[room.id]

    def adopt(self, room: Room, session: Session) -> None:
        """Take a newer session: see Room.adopt. Who is no longer part of it is forgotten."""
        before = room.session
        gone = room.adopt(session)
        if room.session is session:
            self._show(list(room.members.values()))
        if room.session is not before:
            self.adopted(room, before)
        for member in gone:
            self.forget(member)
        for member in list(room.members.values()):
            known = session.find(member.id)
            if known is None:
                self._begin_anew(member)
                continue
            if known.node == self._node and known.instance == member.instance:
                continue
            if member.socket is None or member.hold is Hold.BEHIND:
                continue
            if known.node is None:
                # Another node thinks that we are gone: say again who is here.
                self.mark_stale(member)
            else:
                # It has come to another node, which is going to ask for its mailbox.
                member.socket.say_bye(_TAKEN_OVER, close_code("taken_over"))
        self._close_if_empty(room)

    def show_late(self) -> None:
        """Show what had to wait, to those whose time has come."""
        late, self.late = self.late, {}
        self._show(late)

    def _show(self, members: Iterable[Member]) -> None:
        now = self._clock.monotonic()
        for member in members:
            if member.room.show(member, now):
                self.late.pop(member, None)
            else:
                self.late[member] = None
        if self.late:
            self.later()

    def _begin_anew(self, member: Member) -> None:
        """Redis had lost the session, and another node began one before it could be put back.

        A page that says hello again is part of that one.
        """
        if member.socket is not None:
            if member.hold is Hold.HERE:
                self.forget(member)
            member.socket.say_bye(Bye(reason="going_away"), GOING_AWAY)

    def end(self, room: Room) -> None:
        """The consultation is over: everybody is told and forgotten."""
        if not room.ended:
            room.ended = True
            self.ended(room)
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]
        for member in list(room.members.values()):
            self.forget(member)
            if member.socket is not None:
                member.socket.say_bye(_ENDED, close_code("room_ended"))

    def farewell(self, room: Room, participant: str) -> tuple[Bye, int]:
        """What to say, and close with, to a socket whose participant is not served here."""
        if room.ended:
            return _ENDED, close_code("room_ended")
        return room.farewell(participant) or (_TAKEN_OVER, close_code("taken_over"))

    def take_over(self, member: Member) -> None:
        """Another node serves this member now."""
        self.forget(member)
        if member.socket is not None:
            member.socket.say_bye(_TAKEN_OVER, close_code("taken_over"))

    def lost(self, member: Member) -> None:
        """A member has no socket any more."""
        member.socket = None
        if member.room.members.get(member.id) is member:
            member.lost_at = self._clock.monotonic()
            self.away.pop(member, None)
            self.away[member] = None

    def found(self, member: Member) -> None:
        """It has one again."""
        member.lost_at = None
        self.away.pop(member, None)

    def forget(self, member: Member) -> None:
        """It is no longer served here."""
        self.away.pop(member, None)
        self.stale.pop(member, None)
        self.late.pop(member, None)
        if member.room.members.get(member.id) is member:
            del member.room.members[member.id]
            self._close_if_empty(member.room)

    def mark_stale(self, member: Member) -> None:
        """Redis has to be told of this member again."""
        self.stale[member] = None
