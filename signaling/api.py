"""The HTTP API, version 1. `openapi.json` beside this file describes it."""

import base64
import hashlib
import math
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.arrival import participant_id
from signaling.arrivals import GRACE_S
from signaling.credentials import PARTICIPANT, Credentials, participant_secret
from signaling.deps import Deps
from signaling.headers import CACHE_REVALIDATE
from signaling.ice_entries import entries
from signaling.rooms import Rooms
from waiting_room.errors import Refused
from waiting_room.invitations import OPENS_BEFORE_DEFAULT, issue, plan
from waiting_room.links import ID_BYTES, new_id
from waiting_room.participant import (
    INSIDE,
    Role,
    Status,
)
from waiting_room.session import Session
from waiting_room.tokens import Claims, TokenType

_ROOM_TOKENS: Final = (TokenType.HOST, TokenType.CLIENT, TokenType.GUEST)
_LONGEST_TIME: Final = 64


class NewConsultation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/consultations; the bounds are waiting_room.invitations'."""

    starts_at: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_TIME)]
    minutes: int
    opens_before: int = OPENS_BEFORE_DEFAULT
    links: int = 1


_new_consultation: Final = msgspec.json.Decoder(NewConsultation)


class Api:
    """Handlers of /api/v1."""

    def __init__(self, deps: Deps, credentials: Credentials, rooms: Rooms) -> None:
        self._deps = deps
        self._rooms = rooms
        self._relay_key = deps.random(32)
        self._credentials = credentials
        self._openapi = resources.files(__package__).joinpath("openapi.json").read_bytes()
        self._openapi_etag = '"' + hashlib.sha256(self._openapi).hexdigest()[:32] + '"'

    def routes(self) -> list[web.RouteDef]:
        """Give what there is under /api/v1."""
        return [
            web.get("/api/v1/link", self.link, allow_head=False),
            web.post("/api/v1/consultations", self.consultations),
            web.get("/api/v1/queue", self.queue, allow_head=False),
            web.get("/api/v1/ice-servers", self.ice_servers, allow_head=False),
            web.get("/api/v1/openapi.json", self.openapi),
        ]

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Say what a link is good for."""
        claims = await self._credentials.claims(request, tuple(TokenType))
        await self._credentials.refuse_used(claims)
        provider = self._deps.providers.get(claims.sub)
        return answer(
            {
                "role": claims.role.value,
                "room": claims.room,
                "provider": "" if provider is None else provider.name,
                "opens_at": claims.opens_at * 1000,
                "closes_at": claims.closes_at * 1000,
                "server_time": self._now_ms(),
                "call_quality": self._deps.client_quality,
            }
        )

    async def consultations(self, request: web.Request) -> web.StreamResponse:
        """Make the two tokens of a new consultation. Nothing of it is kept."""
        provider, signed_in = await self._credentials.provider(request)
        wanted = await read_body(request, _new_consultation)
        now = self._deps.clock.wall()
        invitation = plan(
            provider=provider.id,
            epoch=provider.epoch,
            room=self._new_id(),
            starts_at=_seconds(wanted.starts_at, now),
            minutes=wanted.minutes,
            opens_before=wanted.opens_before,
            now=now,
        )
        links = issue(
            invitation,
            self._deps.keyring.current,
            audience=self._credentials.audience,
            new_id=self._new_id,
            now=now,
            clients=wanted.links,
        )
        response = answer(
            {
                "room": invitation.room,
                "host_token": links.host_token,
                "client_token": links.client_token,
                "client_tokens": list(links.client_tokens),
                "starts_at": invitation.starts_at * 1000,
                "opens_at": invitation.opens_at * 1000,
                "closes_at": invitation.closes_at * 1000,
            },
            status=201,
        )
        self._credentials.keep(response, signed_in)
        return response

    async def queue(self, request: web.Request) -> web.StreamResponse:
        """Say who waits in the room of a host's token, to whoever has it at the desk."""
        claims = await self._credentials.claims(request, (TokenType.HOST,), grace=GRACE_S)
        held = self._rooms.session(claims.room)
        session = held or await self._deps.store.load(claims.room)
        people = () if session is None else session.participants
        return answer(
            {
                "open": session is not None,
                "host_present": session is not None and session.host_present,
                "inside": sum(p.status in INSIDE and p.role is not Role.HOST for p in people),
                "waiting": [
                    {"name": p.name, "since": p.since, "connected": p.connected}
                    for p in people
                    if p.status is Status.WAITING
                ],
                "server_time": self._now_ms(),
            }
        )

    async def ice_servers(self, request: web.Request) -> web.StreamResponse:
        """Give what a page needs for RTCPeerConnection, to one who has been admitted."""
        # A call under way may run on past the planned end, and its ICE be restarted.
        claims = await self._credentials.claims(request, _ROOM_TOKENS, grace=GRACE_S)
        whom = await self._admitted(claims, request)
        # Credentials name nobody: the relay learns a digest by a key that only this process has.
        text = f"{claims.room}\0{whom}".encode()
        digest = hashlib.blake2b(text, key=self._relay_key, digest_size=12).digest()
        made = self._deps.ice_servers(
            base64.urlsafe_b64encode(digest).decode("ascii"), claims.closes_at + GRACE_S
        )
        return answer({"ice_servers": entries(made.servers), "ttl": made.ttl})

    async def _admitted(self, claims: Claims, request: web.Request) -> str:
        """Give the participant id, or for a host without one the token's. Raises Refused.

        A host is admitted by the link alone, so that a relay is at hand before the room is open.
        """
        secret = participant_secret(request)
        if not secret:
            if claims.role is TokenType.HOST and PARTICIPANT not in request.headers:
                return claims.jti
            raise Refused("not_allowed", f"{PARTICIPANT} must be the secret of a participant")
        participant = participant_id(claims.room, secret)
        # Another node may have let them in a moment ago; Redis knows.
        if not (
            _is_admitted(self._rooms.session(claims.room), participant, claims.role)
            or _is_admitted(await self._deps.store.load(claims.room), participant, claims.role)
        ):
            raise Refused("not_allowed", "only for those whom the host has admitted")
        return participant

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """Give the description of this API."""
        headers = {"Cache-Control": CACHE_REVALIDATE, "ETag": self._openapi_etag}
        if request.headers.get("If-None-Match") == self._openapi_etag:
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=self._openapi, headers={**headers, "Content-Type": "application/json"}
        )

    def _new_id(self) -> str:
        return new_id(self._deps.random(ID_BYTES))

    def _now_ms(self) -> int:
        return int(self._deps.clock.wall() * 1000)


def _is_admitted(session: Session | None, participant: str, role: TokenType) -> bool:
    known = None if session is None else session.find(participant)
    if known is None:
        return role is TokenType.HOST
    if known.role.value != role.value:
        return False
    # A host who has left is let in again by the link.
    return known.status in INSIDE or (role is TokenType.HOST and known.status is Status.LEFT)


def _seconds(text: str, now: float) -> int:
    """Read `starts_at`: ISO 8601 with an offset (RFC 3339), or "now"."""
    if text == "now":
        return int(now)
    try:
        moment = datetime.fromisoformat(text)
        seconds = math.floor(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise _bad_start("is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise _bad_start("needs an offset, like 2030-01-31T14:00:00+01:00")
    return seconds


def _bad_start(detail: str) -> Refused:
    return Refused("bad_request", f"starts_at {detail}", {"field": "starts_at"})
