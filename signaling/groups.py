"""What a page asks for in a group: offers and wishes for the forwarder, and what hosts may do.

Commands that change the session are in commands.py, also `p2p_failed`. Nothing here is kept for a
page that is away.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from signaling.deps import Deps
from signaling.forwarders import Declined, ForwarderGoneError
from signaling.group_messages import (
    AskMute,
    GroupAnswer,
    GroupFailed,
    GroupOffer,
    GroupWant,
    GuestLink,
    InviteGuest,
    MuteAsked,
)
from signaling.group_watch import GroupWatch, current, unavailable
from signaling.headers import origin_of
from signaling.limits import Allowance
from signaling.messages import Error, Ok, ServerMessage
from signaling.node import NodeLink, Note, NoteKind
from signaling.refusals import error_of
from signaling.room import MAX_COMMANDS, Member, Room
from signaling.socket import Socket
from waiting_room.errors import Refused
from waiting_room.invitations import guest_claims
from waiting_room.links import ID_BYTES, new_id
from waiting_room.participant import Role
from waiting_room.tokens import mint

GroupMessage = GroupOffer | GroupWant | GroupFailed | AskMute | InviteGuest

UNSUPPORTED: Final = Error(
    "group_unsupported", "this browser cannot take part in a call of more than two"
)

_RATES: Final[dict[type[GroupMessage], tuple[float, int]]] = {
    # messages a second, after a burst of so many
    GroupOffer: (2.0, 10),
    GroupWant: (4.0, 10),
    GroupFailed: (1.0, 5),
    AskMute: (5.0, 50),
    InviteGuest: (1.0, 10),
}


class Groups:
    """The requests of the members of this node."""

    def __init__(
        self,
        deps: Deps,
        watch: GroupWatch,
        link: NodeLink,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._deps = deps
        self._forwarders = deps.forwarders
        self._watch = watch
        self._link = link
        self._spawn = spawn
        self._audience = origin_of(deps.public_url)

    def receive(self, socket: Socket, member: Member, message: GroupMessage) -> None:
        """Answer a page, at once or when a forwarder has answered."""
        rate, burst = _RATES[type(message)]
        allowance = member.allowances.get(type(message).__name__)
        if allowance is None:
            allowance = member.allowances[type(message).__name__] = Allowance(rate, burst)
        wait = allowance.take(self._deps.clock.monotonic())
        if wait > 0 or member.commands >= MAX_COMMANDS:
            detail = "too many of these messages"
            self._tell(socket, Error("slow_down", detail, id=message.id, retry_after=wait or 1.0))
            return
        member.commands += 1
        self._spawn(self._run(socket, member, message))

    async def _run(self, socket: Socket, member: Member, message: GroupMessage) -> None:
        try:
            answer = await self._carry_out(member, message)
        except Refused as refused:
            answer = error_of(refused, message.id)
        finally:
            member.commands -= 1
        self._tell(member.present(socket), answer)

    async def _carry_out(self, member: Member, message: GroupMessage) -> ServerMessage:
        _check_inside(member)
        match message:
            case GroupOffer():
                return await self._offer(member, message)
            case GroupWant():
                return await self._want(member, message)
            case GroupFailed():
                return await self._failed(member, message)
            case AskMute():
                return self._ask_mute(member, message)
            case InviteGuest():
                return self._invite_guest(member, message)

    # --- the forwarder ---

    async def _offer(self, member: Member, message: GroupOffer) -> ServerMessage:
        node, way = await self._watch.placed(member.room, message.generation)
        try:
            outcome = await self._forwarders.offer(
                node, way, member.id, message.sdp, message.tracks
            )
        except ForwarderGoneError:
            await self._watch.abandon(member.room, way, node)
            current(member.room, message.generation)
            raise unavailable() from None
        try:
            _check_inside(member)
            current(member.room, message.generation)
        except Refused:
            # Sent away meanwhile: the offer may have arrived behind the farewell.
            self._watch.drop(node, way, member.id)
            raise
        if isinstance(outcome, Declined):
            if outcome.full and await self._watch.relocate(member.room, way, node):
                current(member.room, message.generation)
            raise _refused(outcome)
        return GroupAnswer(message.id, outcome.sdp)

    async def _want(self, member: Member, message: GroupWant) -> ServerMessage:
        session = current(member.room, message.generation)
        if session.media.node is None:
            return Ok(
                message.id
            )  # nobody sends anything yet; the page says it again with its offer
        node, way = await self._watch.placed(member.room, message.generation)
        try:
            declined = await self._forwarders.want(node, way, member.id, message.tiles)
        except ForwarderGoneError:
            await self._watch.abandon(member.room, way, node)
            raise unavailable() from None
        if declined is not None:
            raise _refused(declined)
        return Ok(message.id)

    async def _failed(self, member: Member, message: GroupFailed) -> ServerMessage:
        """It may be only this page's network, so the forwarder is asked whether it is there."""
        session = current(member.room, message.generation)
        if session.media.node is not None:
            node, way = await self._watch.placed(member.room, message.generation)
            if not await self._forwarders.answers(node):
                await self._watch.abandon(member.room, way, node)
        return Ok(message.id)

    # --- hosts ---

    def _ask_mute(self, member: Member, message: AskMute) -> ServerMessage:
        _check_host(member)
        room = member.room
        if message.participant not in room.inside:
            raise Refused("unknown_participant", "nobody of that id is in this call")
        note = Note(NoteKind.MUTE_ASKED, message.participant, instance=member.id)
        self._pass_on(room, note)
        return Ok(message.id)

    def _invite_guest(self, member: Member, message: InviteGuest) -> ServerMessage:
        _check_host(member)
        session, now = member.room.session, self._deps.clock.wall()
        assert session is not None, "a member is part of the session"
        epoch = self._deps.providers.epoch(session.provider)
        if epoch is None:
            raise Refused("token_revoked", "the provider's links were voided")
        claims = guest_claims(
            session.provider,
            epoch,
            session.room,
            audience=self._audience,
            jti=new_id(self._deps.random(ID_BYTES)),
            now=now,
            closes_at=session.closes_at // 1000,
        )
        token = mint(claims, self._deps.keyring.current)
        return GuestLink(message.id, token, claims.exp * 1000)

    # --- words to single pages ---

    def unsupported(self, room: Room, newcomer: str, host: str) -> None:
        """Tell the pages that cannot be in a group, and so kept `newcomer` out."""
        session = room.session
        for p in () if session is None else session.participants:
            if (p.id == newcomer or p.id in room.inside) and not p.groups and p.id != host:
                self._pass_on(room, Note(NoteKind.UNSUPPORTED, p.id))

    def _pass_on(self, room: Room, note: Note) -> None:
        session = room.session
        known = None if session is None else session.find(note.participant)
        if known is None or known.node is None:
            return
        if known.node == self._deps.store.node:
            self.noted(room, note)
        else:
            self._link.tell(known.node, room.id, note)

    def noted(self, room: Room, note: Note) -> None:
        """Say it to a page of this node; lost if the page is away."""
        member = room.members.get(note.participant)
        if member is None or member.socket is None:
            return
        if note.kind is NoteKind.UNSUPPORTED:
            self._tell(member.socket, UNSUPPORTED)
        elif member.id in room.inside:
            member.socket.send(MuteAsked(note.instance))

    def _tell(self, socket: Socket, message: ServerMessage) -> None:
        if isinstance(message, Error):
            self._deps.metrics.refused(message.code)
        socket.send(message)


def _check_inside(member: Member) -> None:
    room = member.room
    if room.members.get(member.id) is not member or member.id not in room.inside:
        raise Refused("not_allowed", "only for those who were admitted")


def _check_host(member: Member) -> None:
    if member.role is not Role.HOST:
        raise Refused("not_allowed", "only a host may do this")


def _refused(declined: Declined) -> Refused:
    extra: dict[str, str | int | float] = {}
    if declined.field:
        extra["field"] = declined.field
    if declined.code == "sfu_unavailable":
        extra["retry_after"] = declined.retry_after or 1.0
    return Refused(declined.code, declined.detail, extra)
