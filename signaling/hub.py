"""The hub of one node: every WebSocket, every room of this node, and what connects them.

Socket -> Hub -> Arrivals   hello: tokens, joining, coming back
              -> Courier    signals and acknowledgements
              -> Commands   what hosts and others ask for
timer  -> Upkeep            the away, the lost, renewal
Redis  -> Hub               changes made by other nodes
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

from signaling.arrivals import Arrivals
from signaling.brake import Brake
from signaling.codes import GOING_AWAY
from signaling.commands import Commands
from signaling.courier import Courier, entry_of
from signaling.deps import Deps
from signaling.group_watch import GroupWatch
from signaling.groups import GroupMessage, Groups
from signaling.mailbox import Mailbox
from signaling.messages import Ack, Bye, ClientMessage, Hello, Signal, Tell
from signaling.metrics import Gauges
from signaling.node import KIND, NodeLink, Note, NoteKind
from signaling.room import VIEW_EVERY_S, Member, Room
from signaling.room_search import RoomSearch
from signaling.rooms import Rooms
from signaling.seats import Seat
from signaling.socket import Socket
from signaling.tasks import Tasks
from signaling.telling import Telling
from signaling.upkeep import Upkeep
from signaling.wheel import Wheel
from waiting_room.codec import CodecError, decode
from waiting_room.media import MediaMode
from waiting_room.participant import Status

_CLOSING_TIME_S: Final = 2.0


class Hub:
    """The Service of all sockets of a node."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self.monotonic: Callable[[], float] = deps.clock.monotonic
        self.wheel = Wheel(self.monotonic())
        self.sockets: set[Socket] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._tasks = Tasks()
        spawn = self._tasks.spawn
        store = deps.store
        self._brake = Brake(deps.random(32))
        self.rooms = Rooms(deps.clock, store.node, tells_place=deps.tells_place)
        self.rooms.later = self._show_later
        self._showing: asyncio.Task[None] | None = None
        self._link = NodeLink(store, deps.clock, spawn)
        self._courier = Courier(
            store=store,
            link=self._link,
            metrics=deps.metrics,
            spawn=spawn,
            suspect=self._renew_soon,
            mark_stale=self.rooms.mark_stale,
            new_mailbox=partial(Mailbox.fresh, deps.random),
        )
        self.upkeep = Upkeep(
            store=store,
            rooms=self.rooms,
            courier=self._courier,
            link=self._link,
            clock=deps.clock,
            wheel=self.wheel,
            metrics=deps.metrics,
            spawn=spawn,
        )
        self.watch = GroupWatch(
            forwarders=deps.forwarders,
            rooms=self.rooms,
            change=self.upkeep.change,
            link=self._link,
            metrics=deps.metrics,
            spawn=spawn,
        )
        self._groups = Groups(deps, self.watch, self._link, spawn)
        self.search = RoomSearch(store, self.rooms, spawn)
        self.telling = Telling(deps, self.rooms, self._link)
        self.arrivals = Arrivals(
            deps, self.rooms, self._courier, self._link, greet=self.watch.greet, spawn=spawn
        )
        self._commands = Commands(
            store,
            self.rooms,
            self._link,
            deps.metrics,
            clock=deps.clock,
            unsupported=self._groups.unsupported,
            spawn=spawn,
        )
        deps.metrics.watch(self._gauges)

    # --- life ---

    async def start(self) -> None:
        """Begin to listen to the other nodes and to the clock."""
        self._tasks.spawn(self._deps.store.run_bus(self.heard))
        self._tasks.spawn(self.upkeep.run())
        self._tasks.spawn(self._deps.forwarders.run(self.watch.heard))
        self._tasks.spawn(self.watch.run())

    async def drain(self, seconds: float) -> None:
        """Send everybody to another node (or this one's successor) without losing a message.

        Redis has `seconds` for taking what is in memory.
        """
        self.arrivals.draining = self.upkeep.leaving = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.upkeep.evacuate()
        for socket in list(self.sockets):
            socket.say_bye(Bye(reason="going_away"), GOING_AWAY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_TIME_S):
                await self._nobody.wait()

    async def stop(self) -> None:
        """End all that runs here; connections that are still open are cut."""
        for socket in list(self.sockets):
            socket.abort()
        await self._tasks.stop()

    # --- sockets ---

    def enter(self, address: str, seat: Seat | None = None) -> Socket | None:
        """Make the socket of a new connection; None: too many of that address say nothing.

        `seat` is left when the connection is lost.
        """
        if not self.arrivals.awaiting.enter(address):
            return None
        socket = Socket(self, address, self.place_of(address), seat)
        self.sockets.add(socket)
        self._nobody.clear()
        return socket

    @property
    def braking(self) -> bool:
        """Whether anybody may have to wait."""
        return bool(self._brake)

    def wait_of(self, address: str) -> float:
        """Seconds before a new WebSocket from there is opened."""
        return self._brake.wait(self.place_of(address), self.monotonic())

    def place_of(self, address: str) -> int:
        """The number by which an address is counted; see `signaling.brake`."""
        return self._brake.place_of(address)

    def offended(self, socket: Socket) -> None:
        """It is closed for what no page does."""
        self._brake.offended(socket.place, self.monotonic())

    def signal(self, socket: Socket, message: Signal) -> None:
        """Pass a signal on."""
        if socket.member is not None:
            self._courier.signal(socket, socket.member, message)

    def receive(self, socket: Socket, message: ClientMessage) -> None:
        """Act on any other message."""
        if isinstance(message, Hello):
            self.arrivals.hello(socket, message)
        elif socket.member is None:
            return
        elif isinstance(message, Ack):
            self._courier.acknowledge(socket.member, message.seq)
        elif isinstance(message, Tell):
            self.telling.receive(socket, socket.member, message)
        elif isinstance(message, GroupMessage):
            self._groups.receive(socket, socket.member, message)
        else:
            self._commands.receive(socket, socket.member, message)

    def slow_reader(self) -> None:
        """Count one."""
        self._deps.metrics.slow_readers += 1

    def lost(self, socket: Socket) -> None:
        """A connection is gone."""
        self.sockets.discard(socket)
        if not self.sockets:
            self._nobody.set()
        self.arrivals.said_hello(socket)
        if socket.seat is not None:
            socket.seat.leave()
        member = socket.member
        if member is not None and member.socket is socket:
            self.rooms.lost(member)

    # --- other nodes ---

    def heard(self, kind: str, room_id: str, payload: bytes) -> None:
        """A message from the store's bus; see SessionStore.run_bus."""
        if kind == "reset":
            self.upkeep.renew_soon(fetch=True)
            return
        if self.search.heard(kind, payload):
            return
        room = self.rooms.get(room_id)
        if room is None:
            if kind == KIND:
                self._noted_for_nobody(room_id, payload)
            return
        if kind == "room":
            with contextlib.suppress(CodecError):  # of another version: Redis tells all who ask
                self.rooms.adopt(room, decode(payload))
        elif kind == "ended":
            self.rooms.end(room)
        elif kind == "mail":
            member = room.members.get(payload.decode("ascii", "replace"))
            if member is not None:
                self._courier.fetch(member)
        elif kind == KIND:
            note = self._link.receive(payload)
            if note is not None:
                self._noted(room, note)

    def _noted_for_nobody(self, room_id: str, payload: bytes) -> None:
        note = self._link.receive(payload)
        if note is not None and note.reply_to:
            self._link.tell(note.reply_to, room_id, _handed(note))

    def _noted(self, room: Room, note: Note) -> None:
        if note.kind is NoteKind.TAKEN and note.taken is not None:
            self._courier.delivered(room, note.participant, note.taken)
        elif note.kind is NoteKind.AGAIN:
            self._tasks.spawn(self._again(room, note))
        elif note.kind is NoteKind.HAND_OVER:
            self._link.tell(note.reply_to, room.id, self._hand_over(room, note))
        elif note.kind is NoteKind.TOLD:
            self.telling.noted(room, note)
        else:
            self._groups.noted(room, note)

    async def _again(self, room: Room, note: Note) -> None:
        self._courier.ask_again(room, note.participant)
        await self._courier.settled(room, note.participant)
        self._link.tell(note.reply_to, room.id, _handed(note))

    def _hand_over(self, room: Room, note: Note) -> Note:
        member = room.members.get(note.participant)
        if member is None:
            return _handed(note)
        answer = _handed(note, member if member.instance == note.instance else None)
        self.rooms.take_over(member)
        return answer

    # --- views ---

    def _show_later(self) -> None:
        if self._showing is None or self._showing.done():
            self._showing = self._tasks.spawn(self._show_late())

    async def _show_late(self) -> None:
        while self.rooms.late:
            await asyncio.sleep(VIEW_EVERY_S)
            self.rooms.show_late()

    def _renew_soon(self) -> None:
        self.upkeep.renew_soon()

    # --- numbers ---

    def _gauges(self) -> Gauges:
        waiting = kept = groups = 0
        for room in self.rooms:
            kept += sum(len(member.mailbox) for member in room.members.values())
            if room.session is not None:
                groups += room.session.media.mode is MediaMode.SFU
                waiting += sum(
                    p.status is Status.WAITING and p.id in room.members
                    for p in room.session.participants
                )
        return Gauges(
            connections=len(self.sockets),
            rooms=len(self.rooms),
            waiting=waiting,
            mailbox_entries=kept,
            groups=groups,
        )


def _handed(note: Note, member: Member | None = None) -> Note:
    """The answer to a question for a handover: with the mailbox of `member`, or nothing."""
    if member is None:
        return Note(NoteKind.HANDED, note.participant, serial=note.serial)
    return Note(
        NoteKind.HANDED,
        note.participant,
        serial=note.serial,
        box=member.mailbox.dump(),
        letters=tuple(
            entry_of(letter, member.instance)
            for letter in (*(member.mail or ()), *(member.backlog or ()))
        ),
    )
