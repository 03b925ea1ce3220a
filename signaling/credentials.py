"""Who asks the HTTP API: by a link's token in the Authorization header, or as a provider who has
signed in, by the cookie APPSESSION."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from signaling.address import client_address
from signaling.arrivals import Arrivals
from signaling.deps import Deps
from signaling.headers import origin_of
from waiting_room.errors import Refused, TokenError
from waiting_room.providers import Provider
from waiting_room.sign_ins import COOKIE, SignIn, is_good, is_void, seal, unseal
from waiting_room.sign_outs import SignOuts
from waiting_room.tokens import ROOMLESS, Claims, TokenType

PARTICIPANT: Final = "Konsil-Participant"
"""Header with the secret by which a participant is known; see docs/protocol.md section 2."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{22,64}")
_COOKIE_PATH: Final = "/api/v1"
_SAFE_METHODS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A provider who has signed in."""

    provider: Provider
    sign_in: SignIn
    at: float
    """Seconds since 1970, from before the cookie was looked at. What is made for them counts from
    then, so that a sign-out that comes meanwhile ends it as well."""


class Credentials:
    """Reads them; answers a bad token the later the more came from the same address before."""

    def __init__(self, deps: Deps, arrivals: Arrivals) -> None:
        self._deps = deps
        self._arrivals = arrivals
        self._sign_outs = SignOuts(deps.store.shared)
        self.audience = origin_of(deps.public_url)
        self._secure = self.audience.startswith("https://")

    async def claims(
        self, request: web.Request, allowed: Sequence[TokenType], grace: float = 0
    ) -> Claims:
        """What the token of the request says. Raises TokenError."""
        try:
            return self._arrivals.claims_of(_bearer(request), tuple(allowed), grace)
        except TokenError as error:
            if error.code == "token_invalid":
                await self.hold_up(request)
            raise

    async def hold_up(self, request: web.Request) -> None:
        """Lets one wait who has failed to show who it is: the longer, the more came before."""
        delay = self._arrivals.throttle.failed(
            address_of(request, self._deps), self._deps.clock.monotonic()
        )
        await asyncio.sleep(delay)

    async def link(self, request: web.Request) -> Claims:
        """A provider's sign-in link that still signs in. Raises Refused."""
        claims = await self.claims(request, (TokenType.PROVIDER,))
        await self.refuse_used(claims)
        return claims

    async def reception(self, request: web.Request) -> Claims:
        """A reception's link. Raises Refused."""
        claims = await self.claims(request, (TokenType.RECEPTION,))
        await self.refuse_used(claims)
        return claims

    def receptions_of(self, token: str) -> Claims:
        """The same of a second link that the same request brings along. Raises TokenError."""
        claims = self._arrivals.claims_of(token, (TokenType.RECEPTION,))
        self._refuse_void(claims)
        return claims

    async def refuse_used(self, claims: Claims) -> None:
        """Raises Refused for a provider's or a reception's link that opens nothing any more."""
        if claims.typ not in ROOMLESS:
            return
        self._refuse_void(claims)
        if claims.typ is not TokenType.PROVIDER:
            return
        if await asyncio.to_thread(self._deps.used_links.is_used, claims):
            raise used()

    def _refuse_void(self, claims: Claims) -> None:
        if is_void(claims, self._deps.providers.get(claims.sub)):
            raise TokenError("token_revoked", detail="signed out everywhere since")

    async def signed_in(self, request: web.Request) -> SignedIn | None:
        """The provider of the cookie, or None. Raises StoreUnavailable."""
        now = self._deps.clock.wall()
        found = unseal(
            request.cookies.get(COOKIE, ""),
            self._deps.keyring,
            now,
            audience=self.audience,
            find=self._deps.providers.get,
        )
        if found is None or await self._sign_outs.has(found):
            return None
        provider = self._deps.providers.get(found.sub)  # again: it may have ended while Redis spoke
        if provider is None or not is_good(found, provider):
            return None
        return SignedIn(provider, found, now)

    def refuse_ended(self, found: SignedIn) -> None:
        """Raises Refused where a sign-out everywhere has come since. Looks at the disk only."""
        if not is_good(found.sign_in, self._deps.providers.get(found.provider.id)):
            raise Refused("not_signed_in", "signed out everywhere since")

    async def provider(self, request: web.Request) -> tuple[Provider, SignedIn | None]:
        """A provider by cookie or, for programs, by a sign-in link not yet used. Raises Refused."""
        if "Authorization" in request.headers:
            claims = await self.link(request)
            found = self._deps.providers.get(claims.sub)
            if found is not None:
                return found, None
        known = await self.signed_in(request)
        if known is None:
            raise Refused("not_signed_in", "sign in with a provider's link")
        self.refuse_foreign(request)
        return known.provider, known

    def refuse_foreign(self, request: web.Request) -> None:
        """A browser sends a cookie by itself, so the page it acts for must be one of ours.

        That a foreign Origin is refused is the house's rule for all; here a missing one is, too.
        """
        if request.method not in _SAFE_METHODS and "Origin" not in request.headers:
            raise Refused("origin_refused", "a signed-in browser says where it comes from")

    def keep(self, response: web.StreamResponse, found: SignedIn | None) -> None:
        """Puts a cookie made anew on the response when it is time for that.

        However long the request has taken since, it lives no longer than a sign-out is known.
        """
        if found is not None and found.sign_in.is_due(found.at):
            self.give(response, found.sign_in.renewed(found.at))

    def give(self, response: web.StreamResponse, sign_in: SignIn) -> None:
        # No Max-Age: it ends with the browser's session at the latest.
        response.set_cookie(
            COOKIE,
            seal(sign_in, self._deps.keyring.current),
            path=_COOKIE_PATH,
            httponly=True,
            secure=self._secure,
            samesite="Strict",
        )

    def take(self, response: web.StreamResponse) -> None:
        response.del_cookie(
            COOKIE, path=_COOKIE_PATH, httponly=True, secure=self._secure, samesite="Strict"
        )

    async def end(self, sign_in: SignIn) -> None:
        """This sign-in is over, in whatever browser its cookie has come to be."""
        await self._sign_outs.add(sign_in)


def participant_secret(request: web.Request) -> str:
    """The secret of the participant who asks, or "" where there is none that could be one."""
    given = request.headers.get(PARTICIPANT, "")
    return given if _SECRET.fullmatch(given) else ""


def used() -> Refused:
    return Refused("already_used", "this link has signed in once; it does so no more")


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenError("token_invalid", "malformed", detail="no bearer token")
    return token


def address_of(request: web.Request, deps: Deps) -> str:
    """Give whom limits apply to; see signaling.address."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    host = peer[0] if isinstance(peer, tuple) else ""
    return client_address(host, request.headers.getall("X-Forwarded-For", []), deps.trusted_proxies)
