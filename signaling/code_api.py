"""Codes to be read over the telephone: a host makes one, whoever types it gets a client's token."""

import math
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.credentials import Credentials, address_of
from signaling.deps import Deps
from signaling.guesses import Guesses
from signaling.rooms import Rooms
from waiting_room.errors import Refused, StoreUnavailable
from waiting_room.links import ID_BYTES, new_id
from waiting_room.tokens import Claims, TokenType, mint
from waiting_room.typed_codes import Leads, TypedCode, TypedCodes


class Typed(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/codes/redeem."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{9}\Z")]


_typed: Final = msgspec.json.Decoder(Typed)


class CodeApi:
    """Handlers of /api/v1/codes."""

    def __init__(self, deps: Deps, credentials: Credentials, rooms: Rooms) -> None:
        self._deps = deps
        self._credentials = credentials
        self._rooms = rooms
        self._codes = TypedCodes(deps.store.shared, deps.random)
        self._guesses = Guesses()

    def routes(self) -> list[web.RouteDef]:
        """Give what there is under /api/v1/codes."""
        return [
            web.get("/api/v1/codes", self.look, allow_head=False),
            web.post("/api/v1/codes", self.make),
            web.post("/api/v1/codes/redeem", self.redeem),
        ]

    async def make(self, request: web.Request) -> web.StreamResponse:
        """Make the code of a room that is open; a former one is void from now on."""
        claims = await self._credentials.claims(request, (TokenType.HOST,))
        await self._need_open(claims.room)
        leads = Leads(claims.room, claims.sub, claims.epoch, claims.closes_at)
        try:
            code = await self._codes.make(leads, self._deps.clock.wall())
        except Refused as refused:
            if refused.code == "room_ended" and self._rooms.session(claims.room) is not None:
                # Redis has lost the session; it is put back from here in a moment.
                raise StoreUnavailable("the room is not known at present") from refused
            raise
        return answer(_view(code), status=201)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Say which code a room has, and whether it has been used."""
        claims = await self._credentials.claims(request, (TokenType.HOST,))
        return answer(_view(await self._codes.of(claims.room, self._deps.clock.wall())))

    async def redeem(self, request: web.Request) -> web.StreamResponse:
        """Give a client's token for a code. It opens the waiting room, and nothing else."""
        digits = (await read_body(request, _typed)).code
        address, now = address_of(request, self._deps), self._deps.clock.monotonic()
        wait = self._guesses.take(address, now)
        if wait > 0:
            raise Refused(
                "slow_down", "too many codes were tried", {"retry_after": math.ceil(wait * 10) / 10}
            )
        wall = self._deps.clock.wall()
        try:
            leads = await self._codes.redeem(digits, wall)
        except Refused as refused:
            if refused.code == "code_unknown":
                self._guesses.wrong(now)
            raise
        self._guesses.right(address)
        await self._need_open(leads.room)
        return answer({"token": self._token(leads, wall), "closes_at": leads.closes_at * 1000})

    async def _need_open(self, room: str) -> None:
        if self._rooms.session(room) is None and await self._deps.store.load(room) is None:
            raise Refused("room_ended", "the room is not open")

    def _token(self, leads: Leads, now: float) -> str:
        claims = Claims(
            aud=self._credentials.audience,
            sub=leads.provider,
            typ=TokenType.CLIENT,
            role=TokenType.CLIENT,
            room=leads.room,
            nbf=int(now),
            exp=leads.closes_at,
            jti=new_id(self._deps.random(ID_BYTES)),
            epoch=leads.epoch,
        )
        return mint(claims, self._deps.keyring.current)


def _view(code: TypedCode | None) -> dict[str, Any]:
    if code is None:
        return {"code": None, "used": False, "expires_at": None}
    return {"code": code.digits, "used": code.used, "expires_at": code.expires_at * 1000}
