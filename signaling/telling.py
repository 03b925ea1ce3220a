"""What those who wait are told: by a host words, and in how many minutes their turn may come; by
the reception words.

It passes through and is kept nowhere: who is away in that moment does not get it. Whoever waits has
no keys yet, so it is not sealed; it never reaches a log.
"""

from typing import Final

import msgspec
from msgspec import UNSET

from signaling.deps import Deps
from signaling.limits import Allowance
from signaling.messages import Error, Ok, Tell, Told
from signaling.node import NodeLink, Note, NoteKind
from signaling.refusals import error_of
from signaling.room import Member, Room
from signaling.rooms import Rooms
from signaling.socket import Socket
from waiting_room.errors import Refused
from waiting_room.participant import (
    Participant,
    Role,
    Status,
)
from waiting_room.session import Session

RATE: Final = (1.0, 60)
"""Messages a second, after a burst of so many: as many as may wait, one by one."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Told).decode


class Telling:
    """The words of the hosts and receptions of this node, and to the members of this node."""

    def __init__(self, deps: Deps, rooms: Rooms, link: NodeLink) -> None:
        self._deps = deps
        self._rooms = rooms
        self._link = link

    def receive(self, socket: Socket, member: Member, message: Tell) -> None:
        """Pass a host's words on, and answer."""
        allowance = member.allowances.get(Tell.__name__)
        if allowance is None:
            allowance = member.allowances[Tell.__name__] = Allowance(*RATE)
        wait = allowance.take(self._deps.clock.monotonic())
        if wait > 0:
            detail = "too many of these messages"
            self._refuse(socket, Error("slow_down", detail, id=message.id, retry_after=wait))
            return
        try:
            recipients = _recipients(member, message)
        except Refused as refused:
            self._refuse(socket, error_of(refused, message.id))
            return
        told = Told(text=message.text, at=self._link.now_ms(), minutes=message.minutes)
        for recipient in recipients:
            self._pass_on(member.room.id, recipient, told)
        socket.send(Ok(message.id))

    def greet(self, session: Session, participant: str | None, text: str) -> int:
        """Pass a reception's words to one who waits, or to all; gives how many are there to read.

        Raises Refused `not_found` where nobody of that id waits.
        """
        told = Told(text=text, at=self._link.now_ms(), by="reception")
        waiting = [p for p in session.participants if p.status is Status.WAITING]
        recipients = [p for p in waiting if participant in (None, p.id)]
        if participant is not None and not recipients:
            raise Refused("not_found", "nobody of that id waits")
        for recipient in recipients:
            self._pass_on(session.room, recipient, told)
        return sum(p.connected for p in recipients)

    def _pass_on(self, room_id: str, recipient: Participant, told: Told) -> None:
        if recipient.node == self._deps.store.node:
            room = self._rooms.get(room_id)
            if room is not None:
                self._say(room, recipient.id, told)
        elif recipient.node is not None:
            note = Note(NoteKind.TOLD, recipient.id, letters=(_encode(told),))
            self._link.tell(recipient.node, room_id, note)

    def noted(self, room: Room, note: Note) -> None:
        """Another node has passed words on for a member of this one."""
        for letter in note.letters:
            self._say(room, note.participant, _decode(letter))

    def _say(self, room: Room, participant: str, told: Told) -> None:
        member = room.members.get(participant)
        if member is not None and member.socket is not None:
            member.socket.send(told)

    def _refuse(self, socket: Socket, error: Error) -> None:
        self._deps.metrics.refused(error.code)
        socket.send(error)


def _recipients(member: Member, message: Tell) -> list[Participant]:
    """Whom it is for: those who wait. Raises Refused."""
    room = member.room
    if member.role is not Role.HOST or room.members.get(member.id) is not member:
        raise Refused("not_allowed", "only a host may do this")
    session = room.session
    waiting = [
        p for p in (() if session is None else session.participants) if p.status is Status.WAITING
    ]
    if message.participant is UNSET:
        return waiting
    found = [p for p in waiting if p.id == message.participant]
    if not found:
        raise Refused("unknown_participant", "nobody of that id waits")
    return found
