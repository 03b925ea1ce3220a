"""What the desk's page is told, and how a sign-in begins whichever way has shown who it is."""

from typing import Any

from aiohttp import web

from signaling.answers import answer
from signaling.credentials import Credentials, SignedIn
from signaling.deps import Deps
from waiting_room.errors import Refused
from waiting_room.links import ID_BYTES, new_id
from waiting_room.providers import Provider
from waiting_room.sign_ins import begin


class Desk:
    """Shared by all that signs in and out."""

    def __init__(self, deps: Deps, credentials: Credentials) -> None:
        self._deps = deps
        self._credentials = credentials

    def welcome(self, provider: Provider, now: float) -> web.Response:
        """Give the cookie to one who has just shown to be this provider.

        `now`: from before the proof was looked at, so that a sign-out everywhere that comes
        meanwhile ends this sign-in as well.
        """
        made = begin(
            provider,
            audience=self._credentials.audience,
            sid=self.new_id(),
            now=now,
        )
        response = self.view(SignedIn(provider, made, now))
        self._credentials.give(response, made)
        return response

    def view(self, found: SignedIn | None) -> web.Response:
        """Times in ms since 1970. Nobody signed in is an answer too, not an error."""
        provider: Provider | None = None if found is None else found.provider
        return answer(
            {
                "provider": None
                if provider is None
                else {"id": provider.id, "name": provider.name},
                "ends_at": None if found is None else found.sign_in.ends_at,
                "ways": self._ways(),
                "server_time": int(self._deps.clock.wall() * 1000),
            }
        )

    async def signed_in(self, request: web.Request) -> SignedIn:
        """Who asks, for what only one who has signed in may do. Raises Refused."""
        found = await self._credentials.signed_in(request)
        if found is None:
            raise Refused("not_signed_in", "sign in first")
        self._credentials.refuse_foreign(request)
        return found

    def new_id(self) -> str:
        return new_id(self._deps.random(ID_BYTES))

    def _ways(self) -> dict[str, Any]:
        """How one can sign in here, besides with a link."""
        openid = self._deps.openid
        return {
            "passkey": self._deps.passkeys is not None,
            "openid": None if openid is None else openid.label,
        }
