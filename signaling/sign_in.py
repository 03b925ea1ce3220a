"""Signing in and out of the desk: a link is exchanged, once, for the cookie APPSESSION."""

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.credentials import Credentials, used
from signaling.deps import Deps
from signaling.desk import Desk
from signaling.disk import stored
from waiting_room.errors import Refused
from waiting_room.invitations import provider_claims
from waiting_room.providers import Provider
from waiting_room.tokens import mint


class SignOut(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/sign-out."""

    everywhere: bool = False
    passkeys: bool = False
    """With `everywhere`: remove all passkeys, too, so that nothing gets in that did before."""


_sign_out: Final = msgspec.json.Decoder(SignOut)


class SignInApi:
    """Handlers of /api/v1/sign-in, sign-out, sign-in-links and desk."""

    def __init__(self, deps: Deps, credentials: Credentials, desk: Desk) -> None:
        self._deps = deps
        self._credentials = credentials
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/sign-in", self.sign_in),
            web.get("/api/v1/desk", self.desk, allow_head=False),
            web.post("/api/v1/sign-in-links", self.another_link),
            web.post("/api/v1/sign-out", self.sign_out),
        ]

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Exchange a sign-in link for the cookie. A link does that once."""
        now = self._deps.clock.wall()
        claims = await self._credentials.link(request)
        provider = self._deps.providers.get(claims.sub)
        if provider is None or not await asyncio.to_thread(self._deps.used_links.use, claims, now):
            raise used()
        return self._desk.welcome(provider, now)

    async def desk(self, request: web.Request) -> web.StreamResponse:
        """Say who is signed in, if anybody, and keep them signed in."""
        found = await self._credentials.signed_in(request)
        response = self._desk.view(found)
        self._credentials.keep(response, found)
        return response

    async def another_link(self, request: web.Request) -> web.StreamResponse:
        """Make a sign-in link: for the next time, or for another device of the same provider."""
        found = await self._desk.signed_in(request)
        claims = provider_claims(
            found.provider.id,
            found.provider.epoch,
            audience=self._credentials.audience,
            jti=self._desk.new_id(),
            now=found.at,
        )
        token = mint(claims, self._deps.keyring.current)
        response = answer({"token": token, "closes_at": claims.exp * 1000}, status=201)
        self._credentials.keep(response, found)
        return response

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """End this sign-in, or all of the provider with their links that were not used yet."""
        wanted = await read_body(request, _sign_out)
        everywhere = wanted.everywhere
        found = await self._credentials.signed_in(request)
        if found is not None:
            self._credentials.refuse_foreign(request)
            if everywhere:
                await stored(self._end_all, found.provider, wanted.passkeys)
            else:
                await self._credentials.end(found.sign_in)
        elif everywhere:
            raise Refused("not_signed_in", "only who is signed in can sign out everywhere")
        response = self._desk.view(None)
        self._credentials.take(response)
        return response

    def _end_all(self, provider: Provider, passkeys: bool) -> None:
        """Off the loop. First, so that nobody signed in adds a passkey once they are cleared.

        And once more: for who came in by a passkey before that, and for links that were made while
        the providers file was being written.
        """
        self._deps.providers.sign_out(provider.id, self._now_ms)
        try:
            if passkeys and self._deps.passkeys is not None:
                self._deps.passkeys.clear(provider)
        finally:
            self._deps.providers.sign_out(provider.id, self._now_ms)

    def _now_ms(self) -> int:
        return int(self._deps.clock.wall() * 1000)
