"""Signing in and out of the desk: a link is exchanged, once, for the cookie APPSESSION."""

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.credentials import Credentials, SignedIn, used
from signaling.deps import Deps
from waiting_room.errors import Refused
from waiting_room.invitations import provider_claims
from waiting_room.links import ID_BYTES, new_id
from waiting_room.providers import Provider
from waiting_room.sign_ins import begin
from waiting_room.tokens import mint


class SignOut(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/sign-out."""

    everywhere: bool = False


_sign_out: Final = msgspec.json.Decoder(SignOut)


class SignInApi:
    """Handlers of /api/v1/sign-in, sign-out, sign-in-links and desk."""

    def __init__(self, deps: Deps, credentials: Credentials) -> None:
        self._deps = deps
        self._credentials = credentials

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/sign-in", self.sign_in),
            web.get("/api/v1/desk", self.desk, allow_head=False),
            web.post("/api/v1/sign-in-links", self.another_link),
            web.post("/api/v1/sign-out", self.sign_out),
        ]

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Exchange a sign-in link for the cookie. A link does that once."""
        claims = await self._credentials.link(request)
        provider = self._deps.providers.get(claims.sub)
        now = self._deps.clock.wall()
        if provider is None or not await asyncio.to_thread(self._deps.used_links.use, claims, now):
            raise used()
        made = begin(provider, audience=self._credentials.audience, sid=self._new_id(), now=now)
        response = self._view(SignedIn(provider, made))
        self._credentials.give(response, made)
        return response

    async def desk(self, request: web.Request) -> web.StreamResponse:
        """Say who is signed in, if anybody, and keep them signed in."""
        found = await self._credentials.signed_in(request)
        response = self._view(found)
        if found is not None:
            self._credentials.keep(response, found.sign_in)
        return response

    async def another_link(self, request: web.Request) -> web.StreamResponse:
        """Make a sign-in link: for the next time, or for another device of the same provider."""
        found = await self._signed_in(request)
        now = self._deps.clock.wall()
        claims = provider_claims(
            found.provider.id,
            found.provider.epoch,
            audience=self._credentials.audience,
            jti=self._new_id(),
            now=now,
        )
        token = mint(claims, self._deps.keyring.current)
        response = answer({"token": token, "closes_at": claims.exp * 1000}, status=201)
        self._credentials.keep(response, found.sign_in)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End this sign-in, or all of the provider with their links that were not used yet."""
        everywhere = (await read_body(request, _sign_out)).everywhere
        found = await self._credentials.signed_in(request)
        if found is not None:
            self._credentials.refuse_foreign(request)
            if everywhere:
                now_ms = int(self._deps.clock.wall() * 1000)
                await asyncio.to_thread(self._deps.providers.sign_out, found.provider.id, now_ms)
            else:
                await self._credentials.end(found.sign_in)
        elif everywhere:
            raise Refused("not_signed_in", "only who is signed in can sign out everywhere")
        response = self._view(None)
        self._credentials.take(response)
        return response

    async def _signed_in(self, request: web.Request) -> SignedIn:
        found = await self._credentials.signed_in(request)
        if found is None:
            raise Refused("not_signed_in", "sign in with a provider's link")
        self._credentials.refuse_foreign(request)
        return found

    def _view(self, found: SignedIn | None) -> web.Response:
        """Times in ms since 1970. Nobody signed in is an answer too, not an error."""
        provider: Provider | None = None if found is None else found.provider
        return answer(
            {
                "provider": None
                if provider is None
                else {"id": provider.id, "name": provider.name},
                "ends_at": None if found is None else found.sign_in.ends_at,
                "server_time": int(self._deps.clock.wall() * 1000),
            }
        )

    def _new_id(self) -> str:
        return new_id(self._deps.random(ID_BYTES))
