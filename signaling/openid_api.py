"""Signing in by way of an OpenID provider, over HTTP: what the page goes there with, and what it
comes back with."""

import math
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.credentials import Credentials, address_of
from signaling.deps import Deps, OpenIdSettings
from signaling.desk import Desk
from signaling.limits import Allowances, address_key
from signaling.openid_client import OpenIdClient, RequestRefused
from waiting_room import openid
from waiting_room.errors import Refused
from waiting_room.once import Once
from waiting_room.openid import Challenge, Client, Verifier

PAGE: Final = "/provider"
"""Where the OpenID provider sends people back to."""

EXCHANGE_RATE: Final = 0.5  # per second
EXCHANGE_BURST: Final = 6
"""Of one address: codes that are taken to the OpenID provider, which has to look at made-up ones as
well. Fewer at once than all exchanges under way, so that nobody keeps others out."""


class Going(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/sign-in/openid/request."""

    challenge: Challenge


class Coming(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/sign-in/openid."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    state: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    verifier: Verifier
    issuer: Annotated[str, msgspec.Meta(max_length=2048)] = ""


_going: Final = msgspec.json.Decoder(Going)
_coming: Final = msgspec.json.Decoder(Coming)


class OpenIdApi:
    """Handlers of /api/v1/sign-in/openid."""

    def __init__(
        self, deps: Deps, settings: OpenIdSettings, credentials: Credentials, desk: Desk
    ) -> None:
        self._deps = deps
        self._credentials = credentials
        self._desk = desk
        client = Client(
            issuer=settings.issuer,
            client_id=settings.client_id,
            redirect_uri=credentials.audience + PAGE,
            audience=credentials.audience,
            claim=settings.claim,
            scope=settings.scope,
        )
        self._issuer = OpenIdClient(client, settings.secret, deps.clock.monotonic)
        self._once = Once(deps.store.shared)
        self._exchanges = Allowances(EXCHANGE_RATE, EXCHANGE_BURST)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Own the connections to the OpenID provider while the server runs."""
        await self._issuer.start()
        yield
        await self._issuer.stop()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/sign-in/openid/request", self.go),
            web.post("/api/v1/sign-in/openid", self.come),
        ]

    async def go(self, request: web.Request) -> web.StreamResponse:
        """Say where to sign in. Nothing of it is kept: the state says all of it, signed."""
        challenge = (await read_body(request, _going)).challenge
        url, state = openid.ask(
            self._issuer.client,
            await self._issuer.metadata(),
            challenge,
            new_id=self._desk.new_id(),
            nonce=self._desk.new_id(),
            key=self._deps.keyring.current,
            now=self._deps.clock.wall(),
        )
        return answer({"url": url, "state": state})

    async def come(self, request: web.Request) -> web.StreamResponse:
        """Exchange a code for the cookie, in the tab that has gone for it, once."""
        given = await read_body(request, _coming)
        try:
            now = self._deps.clock.wall()
            asked = openid.returned(
                self._issuer.client,
                await self._issuer.metadata(),
                state=given.state,
                verifier=given.verifier,
                issuer=given.issuer,
                ring=self._deps.keyring,
                now=now,
            )
            self._take(request)
            value = await self._issuer.identity(
                given.code, given.verifier, nonce=asked.nonce, now=now
            )
            # Only now: what strangers make up puts nothing into Redis.
            await self._once.use(asked.id, asked.exp - now, openid.refused("used"))
        except Refused as refused:
            if refused.code == "openid_refused" or isinstance(refused, RequestRefused):
                await self._credentials.hold_up(request)
            raise
        provider = self._deps.providers.known_as(value)
        if provider is None:
            raise Refused("openid_unknown", "nobody here is known by this sign-in")
        return self._desk.welcome(provider, now)

    def _take(self, request: web.Request) -> None:
        key = address_key(address_of(request, self._deps))
        wait = self._exchanges.take(key, self._deps.clock.monotonic())
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            detail = "too many sign-ins from this address"
            raise Refused("slow_down", detail, {"retry_after": retry_after})
