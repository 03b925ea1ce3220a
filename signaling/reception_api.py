"""The reception: somebody who sees who waits for a provider, has words for them, and may ask them
to go to another room. No participant of any session: nothing here leads into a call, or to a key.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.arrival import participant_id
from signaling.credentials import Credentials, participant_secret
from signaling.deps import Deps
from signaling.forms import ParticipantId, Secret, Token
from signaling.hub import Hub
from signaling.limits import Allowances
from waiting_room.errors import Refused
from waiting_room.events import PassOn
from waiting_room.invitations import (
    RECEPTION_HOURS_DEFAULT,
    guest_claims,
    reception_claims,
)
from waiting_room.links import ID_BYTES, new_id
from waiting_room.participant import INSIDE, Onward, Participant, Role, Status
from waiting_room.session import LIVE_MAX, Refusal, Session
from waiting_room.tokens import Came, Claims, TokenType, mint

RATE: Final = (1.0, 60)
"""What one reception may do a second, after a burst of so many: as many as may wait, one by one."""

LOOK_RATE: Final = (5.0, 100)
"""How often one may look: every node is asked. Its page does every 3 s and after whatever it does,
on as many computers as share the link; that is room for fifteen."""

_GUESTS: Final = (TokenType.CLIENT, TokenType.GUEST)
_RoomId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]


class NewLink(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/reception-links."""

    hours: int = RECEPTION_HOURS_DEFAULT


class Greeting(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/reception/tell; without a participant it is for all who wait."""

    room: _RoomId
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    participant: ParticipantId | None = None


class Passing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/reception/pass-on.

    `to`: another room, null takes it back. `token`: a reception's of the colleague who has it.
    """

    room: _RoomId
    participant: ParticipantId
    to: _RoomId | None
    token: Token | None = None


class GoingOn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/onward; the secret is the participant's in the other room."""

    secret: Secret | None = None


_going_on: Final = msgspec.json.Decoder(GoingOn)
_new_link: Final = msgspec.json.Decoder(NewLink)
_greeting: Final = msgspec.json.Decoder(Greeting)
_passing: Final = msgspec.json.Decoder(Passing)


class ReceptionApi:
    """Handlers of /api/v1/reception, and of the way on."""

    def __init__(self, deps: Deps, credentials: Credentials, hub: Hub) -> None:
        self._deps = deps
        self._credentials = credentials
        self._rooms = hub.rooms
        self._search = hub.search
        self._telling = hub.telling
        self._acts = Allowances(*RATE)
        self._looks = Allowances(*LOOK_RATE)

    def routes(self) -> list[web.RouteDef]:
        """Give what there is about receptions."""
        return [
            web.post("/api/v1/reception-links", self.link),
            web.get("/api/v1/reception", self.look, allow_head=False),
            web.post("/api/v1/reception/tell", self.tell),
            web.post("/api/v1/reception/pass-on", self.pass_on),
            web.post("/api/v1/onward", self.onward),
        ]

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Make a reception's token, for a provider who has signed in."""
        now = self._deps.clock.wall()  # before: what a sign-out everywhere overtakes is void
        provider, signed_in = await self._credentials.provider(request)
        wanted = await read_body(request, _new_link)
        claims = reception_claims(
            provider.id,
            provider.epoch,
            audience=self._credentials.audience,
            jti=self._new_id(),
            now=now,
            hours=wanted.hours,
        )
        made = {"token": self._mint(claims), "closes_at": claims.exp * 1000}
        response = answer(made, status=201)
        self._credentials.keep(response, signed_in)
        return response

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Say who waits in which of the provider's open rooms."""
        claims = await self._credentials.reception(request)
        self._take(self._looks, claims)
        sessions = await self._search.of(claims.sub)
        return answer(
            {
                "provider": self._name(claims.sub),
                "closes_at": claims.closes_at * 1000,
                "rooms": [
                    room_view(session)
                    for session in sorted(sessions, key=lambda s: (s.created_at, s.room))
                    if any(p.live for p in session.participants)
                ],
                "server_time": self._now_ms(),
            }
        )

    async def tell(self, request: web.Request) -> web.StreamResponse:
        """Pass words on to one who waits, or to all in a room."""
        claims = await self._credentials.reception(request)
        greeting = await read_body(request, _greeting)
        self._take(self._acts, claims)
        session = await self._own(claims, greeting.room)
        reached = self._telling.greet(session, greeting.participant, greeting.text)
        return answer({"reached": reached})

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Ask one who waits to go to another room, the provider's own or a colleague's."""
        claims = await self._credentials.reception(request)
        wanted = await read_body(request, _passing)
        self._take(self._acts, claims)
        await self._own(claims, wanted.room)
        onward = None
        if wanted.to is not None:
            if wanted.to == wanted.room:
                raise Refused("bad_request", "to is the room itself", {"field": "to"})
            host = claims
            if wanted.token is not None:
                host = self._credentials.receptions_of(wanted.token)
            _refuse_closed(await self._own(host, wanted.to))
            onward = Onward(wanted.to, self._name(host.sub))
        await self._change(wanted.room, PassOn(wanted.participant, onward))
        return answer({"onward": None if onward is None else onward.provider})

    async def onward(self, request: web.Request) -> web.StreamResponse:
        """Give one whom the reception has asked to go on a token of the other room.

        It comes without that link's secret, which is in the browsers of those two alone. Who stays
        with the same provider does not lose the time for which they have waited.
        """
        claims = await self._credentials.claims(request, _GUESTS)
        going = await read_body(request, _going_on)
        session = await self._deps.store.load(claims.room)
        secret = participant_secret(request)
        who = participant_id(claims.room, secret) if secret else ""
        known = None if session is None else session.find(who)
        if (
            session is None
            or known is None
            or known.onward is None
            or known.status is not Status.WAITING
        ):
            raise Refused("not_allowed", "only for one whom the reception has asked to go on")
        target = await self._deps.store.load(known.onward.room)
        epoch = None if target is None else self._deps.providers.epoch(target.provider)
        if target is None or epoch is None:
            raise _not_open()
        _refuse_closed(target)
        came: Came | msgspec.UnsetType = msgspec.UNSET
        if going.secret is not None and target.provider == session.provider:
            came = Came(participant_id(target.room, going.secret), known.since)
        made = guest_claims(
            target.provider,
            epoch,
            target.room,
            audience=self._credentials.audience,
            jti=self._new_id(),
            now=self._deps.clock.wall(),
            closes_at=target.closes_at // 1000,
            typ=TokenType.CLIENT,
            came=came,
        )
        return answer({"token": self._mint(made), "closes_at": made.exp * 1000})

    async def _own(self, claims: Claims, room: str) -> Session:
        """An open room of the reception's provider. Raises Refused; of others nothing is said."""
        session = await self._deps.store.load(room)
        if session is None or session.provider != claims.sub:
            raise _not_open()
        return session

    async def _change(self, room_id: str, event: PassOn) -> None:
        with self._rooms.using(room_id) as room:
            async with self._rooms.turn(room):
                with self._deps.metrics.timed():
                    outcome = await self._deps.store.change(
                        room_id, event, self._now_ms(), room.session
                    )
                if isinstance(outcome, Refusal):
                    raise _REFUSALS.get(outcome.code, _not_waiting)()
                if room.members:
                    self._rooms.adopt(room, outcome.session)

    def _take(self, allowances: Allowances, claims: Claims) -> None:
        wait = allowances.take(claims.jti, self._deps.clock.monotonic())
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            raise Refused("slow_down", "too much at once", {"retry_after": retry_after})

    def _name(self, provider: str) -> str:
        found = self._deps.providers.get(provider)
        return "" if found is None else found.name

    def _mint(self, claims: Claims) -> str:
        return mint(claims, self._deps.keyring.current)

    def _new_id(self) -> str:
        return new_id(self._deps.random(ID_BYTES))

    def _now_ms(self) -> int:
        return int(self._deps.clock.wall() * 1000)


def room_view(session: Session) -> dict[str, Any]:
    """What a reception may know of a room. Of those inside: that there are some. Pure."""
    people = session.participants
    return {
        "room": session.room,
        "opened_at": session.created_at,
        "closes_at": session.closes_at,
        "locked": session.locked,
        "host_present": session.host_present,
        "in_call": any(p.status in INSIDE and p.role is not Role.HOST for p in people),
        "waiting": [_waiting_view(p) for p in people if p.status is Status.WAITING],
    }


def _waiting_view(p: Participant) -> dict[str, Any]:
    return {
        "participant": p.id,
        "name": p.name,
        "since": p.since,
        "connected": p.connected,
        "onward": None if p.onward is None else {"room": p.onward.room, "to": p.onward.provider},
        "devices": None
        if p.devices is None
        else {"camera": p.devices.camera.value, "microphone": p.devices.microphone.value},
    }


def _refuse_closed(target: Session) -> None:
    """Raises Refused where nobody new could come in, so that nobody gives up a place for it."""
    if target.locked:
        raise Refused("room_locked", "the host has locked the other room")
    if sum(p.live for p in target.participants) >= LIVE_MAX:
        raise Refused("room_full", f"{LIVE_MAX} people are present or waiting there")


def _not_open() -> Refused:
    return Refused("room_ended", "the room is not open")


def _not_waiting() -> Refused:
    return Refused("not_found", "nobody of that id waits")


_REFUSALS: Final[dict[str, Callable[[], Refused]]] = {"room_ended": _not_open}
