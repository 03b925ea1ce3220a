"""What a host tells those who wait: words, and in how many minutes their turn may come.

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
from signaling.room import Member, Room
from signaling.socket import Socket
from waiting_room.errors import Refused
from waiting_room.participant import (
    Participant,
    Role,
    Status,
)

RATE: Final = (1.0, 60)
"""Messages a second, after a burst of so many: as many as may wait, one by one."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Told).decode


class Telling:
    """The words of the hosts of this node, and to the members of this node."""

    def __init__(self, deps: Deps, link: NodeLink) -> None:
        self._deps = deps
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
            self._refuse(socket, Error(refused.code, refused.detail, id=message.id))
            return
        told = Told(text=message.text, at=self._link.now_ms(), minutes=message.minutes)
        for recipient in recipients:
            self._pass_on(member.room, recipient, told)
        socket.send(Ok(message.id))

    def _pass_on(self, room: Room, recipient: Participant, told: Told) -> None:
        if recipient.node == self._deps.store.node:
            self._say(room, recipient.id, told)
        elif recipient.node is not None:
            note = Note(NoteKind.TOLD, recipient.id, letters=(_encode(told),))
            self._link.tell(recipient.node, room.id, note)

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
