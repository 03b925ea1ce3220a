"""A hello, from its token to its welcome.

The quick way back needs no Redis: the same page load, on the node that still has its messages in
memory. All others go through the session in Redis and, for one who was on another node, through
what that node hands over.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Final

from signaling.arrival import Arrival, Entered, participant_id
from signaling.codes import close_code
from signaling.courier import Courier
from signaling.deps import Deps
from signaling.handover import Handover
from signaling.headers import origin_of
from signaling.limits import AddressThrottle, Allowances, AwaitingHello
from signaling.mailbox import Mailbox, Resumed
from signaling.messages import Bye, Error, Hello, Welcome, room_view
from signaling.node import NodeLink
from signaling.refusals import error_of
from signaling.room import Hold, Member, Room
from signaling.rooms import Rooms
from signaling.socket import Socket
from waiting_room.errors import Refused, StoreUnavailable, TokenError
from waiting_room.events import Join
from waiting_room.media import Topology
from waiting_room.participant import (
    INSIDE,
    Role,
)
from waiting_room.session import (
    Refusal,
    Session,
)
from waiting_room.store import Changed
from waiting_room.tokens import Claims, TokenType, verify

GRACE_S: Final = 3600
"""How long after its closing a token still brings somebody back into a call under way."""

HELLO_RATE: Final = 1.0  # per second
HELLO_BURST: Final = 10
"""Of one participant: somebody who reloads in haste on a bad phone, and no more. Coming back to
messages that are still here costs little and is not counted."""

NEWCOMER_RATE: Final = 5.0
NEWCOMER_BURST: Final = 60
"""Of one room, of clients and guests that its session does not know: each is one more change that
everybody sees. A full room of 50 comes at once, after a restart, too."""

_KINDS: Final = (TokenType.HOST, TokenType.CLIENT, TokenType.GUEST)


class Arrivals:
    """Everybody who comes to this node."""

    def __init__(
        self,
        deps: Deps,
        rooms: Rooms,
        courier: Courier,
        link: NodeLink,
        *,
        greet: Callable[[Member], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        """`greet` is called for each who has been welcomed."""
        self._deps = deps
        self._greet = greet
        self._rooms = rooms
        self._courier = courier
        self._link = link
        self._spawn = spawn
        self._audience = origin_of(deps.public_url)
        self.throttle = AddressThrottle()
        """Delays of answers to bad tokens; the HTTP API shares them."""
        self._handover = Handover(
            store=deps.store,
            courier=courier,
            link=link,
            metrics=deps.metrics,
            new_mailbox=self._new_mailbox,
        )
        self.awaiting = AwaitingHello()
        self._hellos = Allowances(HELLO_RATE, HELLO_BURST)
        self._newcomers = Allowances(NEWCOMER_RATE, NEWCOMER_BURST)
        self.draining = False

    def claims_of(self, token: str, allowed: tuple[TokenType, ...], grace: float = 0) -> Claims:
        """Give what a token says. Raises TokenError."""
        return verify(
            token,
            self._deps.keyring,
            self._deps.clock.wall(),
            audience=self._audience,
            epochs=self._deps.providers.epoch,
            grace=grace,
            allowed=allowed,
        )

    def hello(self, socket: Socket, hello: Hello) -> None:
        """Take a hello. Its answer is welcome, or an error and a close."""
        if self.draining:
            socket.refuse(Error("going_away", "this node is stopping; come back at once"))
            return
        try:
            claims = self.claims_of(hello.token, _KINDS, GRACE_S)
        except TokenError as error:
            self._refuse_token(socket, error)
            return
        role = Role(claims.role)
        name = hello.name
        if not name and role is not Role.HOST:
            self._deps.metrics.joined("bad_name")
            socket.send(Error("bad_name", "a name is needed", field="name"))
            socket.carry_out(socket.connection.hello_refused(self._deps.clock.monotonic()))
            return
        provider = self._deps.providers.get(claims.sub)
        arrival = Arrival(
            socket=socket,
            claims=claims,
            participant=participant_id(claims.room, hello.secret),
            role=role,
            name=name or ("" if provider is None else provider.name),
            instance=hello.instance,
            last_seq=hello.last_seq,
            reopen=hello.reopen and role is Role.HOST,
            groups=hello.groups,
        )
        if self._resume_from_memory(arrival):
            return
        wait = self._wait(arrival)
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            detail = "too many arrivals; come back in a moment"
            self._refuse(socket, Refused("slow_down", detail, {"retry_after": retry_after}))
            return
        self._spawn(self._arrive(arrival))

    def _wait(self, arrival: Arrival) -> float:
        """Seconds until this one may change the session."""
        now = self._deps.clock.monotonic()
        wait = self._hellos.take(arrival.participant, now)
        if wait > 0 or arrival.role is Role.HOST:
            return wait
        session = self._rooms.session(arrival.claims.room)
        if session is not None and session.find(arrival.participant) is not None:
            return 0.0
        return self._newcomers.take(arrival.claims.room, now)

    def _refuse_token(self, socket: Socket, error: TokenError) -> None:
        delay = 0.0
        if error.code == "token_invalid":
            delay = self.throttle.failed(socket.address, self._deps.clock.monotonic())
        if delay > 0:
            self._spawn(self._refuse_late(socket, error, delay))
        else:
            self._refuse(socket, error)

    async def _refuse_late(self, socket: Socket, error: TokenError, delay: float) -> None:
        await asyncio.sleep(delay)
        self._refuse(socket, error)

    def _refuse(self, socket: Socket, refused: Refused) -> None:
        self._deps.metrics.joined(refused.code)
        socket.refuse(error_of(refused))

    # --- the quick way ---

    def _resume_from_memory(self, arrival: Arrival) -> bool:
        room = self._rooms.get(arrival.claims.room)
        member = None if room is None else room.members.get(arrival.participant)
        if room is None or member is None or room.session is None:
            return False
        known = room.session.find(arrival.participant)
        if (
            not arrival.is_same_page(known)
            or known is None
            or known.node != self._deps.store.node
            or known.role is not arrival.role
            or member.instance != arrival.instance
            or member.hold is not Hold.HERE
            or (self._is_closed(arrival.claims) and known.status not in INSIDE)
        ):
            return False
        resumed = member.mailbox.resume(arrival.last_seq)
        if resumed is None:
            return False
        self._deps.metrics.resumes["memory"] += 1
        self._welcome(arrival, member, resumed)
        return True

    # --- the way through Redis ---

    async def _arrive(self, arrival: Arrival) -> None:
        try:
            await self._join(arrival)
        except Refused as refused:
            self._refuse(arrival.socket, refused)

    async def _join(self, arrival: Arrival) -> None:
        with self._rooms.using(arrival.claims.room) as room:
            try:
                async with self._rooms.turn(room):
                    if room.ended:
                        raise Refused("room_ended", "the host has ended this consultation")
                    if not arrival.socket.is_open:
                        return
                    entered = await self._enter(arrival, room)
            except StoreUnavailable:
                if not self._arrive_without_redis(arrival, room):
                    raise
            else:
                await self._complete(arrival, room, entered)

    async def _enter(self, arrival: Arrival, room: Room) -> Entered:
        """Put the participant into the session. Raises Refused."""
        old = room.members.get(arrival.participant)
        if old is not None and old.instance == arrival.instance:
            member = old
        else:
            member = Member(
                room, arrival.participant, arrival.role, arrival.instance, self._new_mailbox()
            )
        hold = member.hold
        # From the change on, signals for it come here; they wait until older ones have come.
        member.hold = Hold.BEHIND
        member.fetching += 1
        room.members[arrival.participant] = member
        try:
            await self._courier.settled(room, arrival.participant)
            changed = await self._change(arrival, room)
        except BaseException:
            member.fetching -= 1
            if hold is Hold.SPILLED:
                member.hold = hold
            self._courier.put_back(room, member, old)
            raise
        before = None if changed.previous is None else changed.previous.find(arrival.participant)
        if old is not None and old is not member:
            self._replace(old)
        self._rooms.adopt(room, changed.session)
        return Entered(
            member, before, arrival.is_same_page(before), was_spilled=hold is Hold.SPILLED
        )

    def _new_mailbox(self) -> Mailbox:
        return Mailbox.fresh(self._deps.random)

    async def _change(self, arrival: Arrival, room: Room) -> Changed:
        claims, now_ms = arrival.claims, self._link.now_ms()

        def create() -> Session:
            return Session.new(
                claims.room,
                claims.sub,
                claims.exp * 1000,
                now_ms,
                Topology(self._deps.media_topology),
            )

        join = Join(
            arrival.participant,
            arrival.role,
            arrival.name,
            arrival.instance,
            self._deps.store.node,
            arrival.groups,
            arrival.came,
        )
        if self._is_closed(claims):
            # A call under way may run on, and whoever was in it may come back to it.
            session = room.session or await self._deps.store.load(claims.room)
            known = None if session is None else session.find(arrival.participant)
            if known is None or known.status not in INSIDE:
                raise TokenError("token_closed", detail="past the planned end")
        with self._deps.metrics.timed():
            changed = await self._deps.store.change(
                claims.room, join, now_ms, room.session, create, reopen=arrival.reopen
            )
        if isinstance(changed, Refusal):
            if changed.code == "room_ended" and room.session is not None:
                self._rooms.end(room)
            raise Refused(changed.code, changed.detail)
        return changed

    def _is_closed(self, claims: Claims) -> bool:
        return self._deps.clock.wall() >= claims.closes_at

    def _arrive_without_redis(self, arrival: Arrival, room: Room) -> bool:
        """Redis is away; if this node knows the page, its call goes on nevertheless."""
        member = room.members.get(arrival.participant)
        known = None if room.session is None else room.session.find(arrival.participant)
        if (
            member is None
            or known is None
            or member.instance != arrival.instance
            or not known.live
            or known.role is not arrival.role
            or not arrival.socket.is_open
            or (self._is_closed(arrival.claims) and known.status not in INSIDE)
        ):
            return False
        resumed = member.mailbox.resume(arrival.last_seq)
        if resumed is None:
            return False
        if member.hold is Hold.SPILLED:
            member.hold = Hold.HERE
        self._rooms.mark_stale(member)
        self._deps.metrics.resumes["memory"] += 1
        self._welcome(arrival, member, resumed)
        return True

    def _replace(self, old: Member) -> None:
        """The same participant has loaded the page anew, here or in another tab."""
        self._rooms.forget(old)
        if old.socket is not None:
            old.socket.say_bye(Bye(reason="taken_over"), close_code("taken_over"))

    async def _complete(self, arrival: Arrival, room: Room, entered: Entered) -> None:
        """Welcome one who is in the session, once its messages are here."""
        member = entered.member
        brought = await self._handover.bring(arrival, room, entered)
        member.fetching -= 1
        if room.members.get(arrival.participant) is not member:
            self._courier.post_on(member, member.instance, brought.letters)
            arrival.socket.say_bye(*self._rooms.farewell(room, arrival.participant))
        elif arrival.socket.is_open:
            self._welcome(arrival, member, brought.resumed)
            self._courier.deliver(member, brought.letters)
        else:
            self._courier.deliver(member, brought.letters)
            if not member.connected:
                self._rooms.lost(member)

    # --- both ways ---

    def _welcome(self, arrival: Arrival, member: Member, resumed: Resumed | None) -> None:
        now = self._deps.clock.monotonic()
        socket, old = arrival.socket, member.socket
        if old is not None and old is not socket:
            old.member = None
            old.say_bye(Bye(reason="taken_over"), close_code("taken_over"))
        self._rooms.found(member)
        member.socket = socket
        socket.member = member
        socket.connection.joined(now)
        self.said_hello(socket)
        view = member.room.view(member)
        assert view is not None, "a member is part of the session"
        claims = arrival.claims
        provider = self._deps.providers.get(claims.sub)
        socket.send(
            Welcome(
                participant=arrival.participant,
                role=arrival.role.value,
                resumed=resumed is not None,
                seq=member.mailbox.seq,
                server_time=self._link.now_ms(),
                opens_at=claims.opens_at * 1000,
                closes_at=claims.closes_at * 1000,
                provider="" if provider is None else provider.name,
                ice_transport_policy=self._deps.ice_transport_policy,
                media_topology=self._deps.media_topology,
                room=room_view(view),
            )
        )
        self._deps.metrics.joined()
        if resumed is not None:
            for text in resumed.missed:
                socket.send_text(text)
            self._courier.confirm(member, resumed.taken)
        self._greet(member)

    def said_hello(self, socket: Socket) -> None:
        """A socket need not be counted among those who have not said hello any more."""
        if socket.address:
            self.awaiting.leave(socket.address)
            socket.address = ""
