"""What a page needs to measure the way to the relay before anybody has been admitted."""

import base64
import math
from typing import Final

from aiohttp import web

from signaling.answers import answer
from signaling.check_rates import CheckRates
from signaling.credentials import Credentials, address_of
from signaling.deps import Deps
from signaling.ice_entries import entries
from waiting_room.errors import Refused
from waiting_room.tokens import TokenType

_ALLOWED: Final = (TokenType.HOST, TokenType.CLIENT, TokenType.GUEST)
_OPAQUE_BYTES: Final = 12


class CheckApi:
    """The handler of /api/v1/network-checks."""

    def __init__(self, deps: Deps, credentials: Credentials) -> None:
        self._deps = deps
        self._credentials = credentials
        self._rates = CheckRates()

    def routes(self) -> list[web.RouteDef]:
        """Give what there is under /api/v1/network-checks."""
        return [web.post("/api/v1/network-checks", self.make)]

    async def make(self, request: web.Request) -> web.StreamResponse:
        """Give credentials that a relay takes for a check alone, to any holder of a valid link."""
        claims = await self._credentials.claims(request, _ALLOWED)
        wait = self._rates.take(
            claims.room, address_of(request, self._deps), self._deps.clock.monotonic()
        )
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            raise Refused("slow_down", "too many checks", {"retry_after": retry_after})
        # Made anew for each: the relay learns neither who checks nor that it is the same again.
        opaque = base64.urlsafe_b64encode(self._deps.random(_OPAQUE_BYTES)).decode("ascii")
        made = self._deps.check_servers(opaque)
        return answer(
            {"relay": made.relay, "ice_servers": entries(made.servers), "ttl": made.ttl},
            status=201,
        )
