"""What a page may ask for besides signals, one after the other for each room.

Who may do what is the session's business (waiting_room.session); here a message becomes an event,
and what comes of it an answer.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from signaling import messages
from signaling.group_messages import P2pFailed
from signaling.limits import Allowance
from signaling.messages import ClientMessage, Error, Ok
from signaling.metrics import Metrics
from signaling.node import Clock, NodeLink
from signaling.refusals import error_of
from signaling.room import MAX_COMMANDS, Member, Room
from signaling.rooms import Rooms
from signaling.socket import Socket
from waiting_room import events
from waiting_room.errors import Refused
from waiting_room.participant import DeviceWord, ShownDevices
from waiting_room.session import Refusal
from waiting_room.store import Changed, SessionStore

Command = (
    messages.Admit
    | messages.Decline
    | messages.BackToWaiting
    | messages.Remove
    | messages.Lock
    | messages.End
    | messages.Leave
    | messages.Connected
    | messages.ShowDevices
    | P2pFailed
)

_SLOW_DOWN_S: Final = 1.0

SHOW_RATE: Final = (1.0, 5)
"""How often a second one may say how the devices do, after a burst of so many: each changes the
session and goes to everybody in the room. A page repeats what was refused, the newest last."""


def event_of(member: Member, command: Command) -> events.Event:
    """Give what `command`, said by `member`, is in the life of the session."""
    match command:
        case messages.Admit(participant=who):
            return events.Admit(member.id, who)
        case messages.Decline(participant=who):
            return events.Decline(member.id, who)
        case messages.BackToWaiting(participant=who):
            return events.BackToWaiting(member.id, who)
        case messages.Remove(participant=who):
            return events.Remove(member.id, who)
        case messages.Lock(locked=locked):
            return events.Lock(member.id) if locked else events.Unlock(member.id)
        case messages.End():
            return events.End(member.id)
        case messages.Leave():
            return events.Leave(member.id)
        case messages.Connected():
            return events.EnterCall(member.id)
        case messages.ShowDevices(camera=camera, microphone=microphone):
            shown = ShownDevices(DeviceWord(camera), DeviceWord(microphone))
            return events.ShowDevices(member.id, shown)
        case P2pFailed(participant=who):
            return events.PeersApart(member.id, who)


class Commands:
    """The commands of the members of this node."""

    def __init__(
        self,
        store: SessionStore,
        rooms: Rooms,
        link: NodeLink,
        metrics: Metrics,
        *,
        clock: Clock,
        unsupported: Callable[[Room, str, str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """`unsupported` is told the room, whom a browser kept out of a group, and the host."""
        self._unsupported = unsupported
        self._store = store
        self._rooms = rooms
        self._link = link
        self._metrics = metrics
        self._clock = clock
        self._spawn = spawn

    def receive(self, socket: Socket, member: Member, message: ClientMessage) -> None:
        """Carry out a command when those before it have been."""
        assert isinstance(message, Command), "hello, signal, ack and ping are handled elsewhere"
        if member.commands >= MAX_COMMANDS:
            detail = "too many commands wait already"
            self._tell(socket, Error("slow_down", detail, id=message.id, retry_after=_SLOW_DOWN_S))
            return
        if isinstance(message, messages.ShowDevices):
            kind = messages.ShowDevices.__name__
            allowance = member.allowances.setdefault(kind, Allowance(*SHOW_RATE))
            wait = allowance.take(self._clock.monotonic())
            if wait > 0:
                detail = "too many of these messages"
                self._tell(socket, Error("slow_down", detail, id=message.id, retry_after=wait))
                return
        member.commands += 1
        self._spawn(self._run(socket, member, message))

    async def _run(self, socket: Socket, member: Member, command: Command) -> None:
        try:
            await self._carry_out(socket, member, command)
        except Refused as refused:
            self._tell(member.present(socket), error_of(refused, command.id))
        finally:
            member.commands -= 1

    async def _carry_out(self, socket: Socket, member: Member, command: Command) -> None:
        with self._rooms.using(member.room.id) as room:
            async with self._rooms.turn(room):
                if room is not member.room or room.ended:
                    raise Refused("room_ended", "the consultation has ended")
                if room.members.get(member.id) is not member:
                    raise Refused("not_allowed", "no longer part of this consultation")
                event = event_of(member, command)
                now_ms = self._link.now_ms()
                with self._metrics.timed():
                    if isinstance(event, events.End):
                        outcome = await self._store.end(room.id, event, now_ms, room.session)
                    else:
                        outcome = await self._store.change(room.id, event, now_ms, room.session)
                self._settle(socket, member, command, outcome)

    def _settle(
        self, socket: Socket, member: Member, command: Command, outcome: Changed | Refusal
    ) -> None:
        room = member.room
        if isinstance(outcome, Refusal):
            if outcome.code == "room_ended":
                self._rooms.end(room)
            elif outcome.code == "group_unsupported" and isinstance(command, messages.Admit):
                self._unsupported(room, command.participant, member.id)
            raise Refused(outcome.code, outcome.detail)
        member.present(socket).send(Ok(id=command.id))
        if isinstance(command, messages.End):
            self._rooms.end(room)
        else:
            self._rooms.adopt(room, outcome.session)

    def _tell(self, socket: Socket, error: Error) -> None:
        self._metrics.refused(error.code)
        socket.send(error)
