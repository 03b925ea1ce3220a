"""Where browsers say at the end of a call how it was, if the operator wants to know."""

import math
from typing import Final

import msgspec
from aiohttp import web

from signaling.answers import read_body
from signaling.arrivals import GRACE_S
from signaling.check_rates import CheckRates
from signaling.credentials import Credentials, address_of
from signaling.deps import Deps
from signaling.quality import CallQuality
from waiting_room.errors import Refused
from waiting_room.tokens import TokenType

_ALLOWED: Final = (TokenType.HOST, TokenType.CLIENT, TokenType.GUEST)
_call_quality: Final = msgspec.json.Decoder(CallQuality)


class QualityApi:
    """The handler of /api/v1/call-quality."""

    def __init__(self, deps: Deps, credentials: Credentials) -> None:
        self._deps = deps
        self._credentials = credentials
        self._rates = CheckRates()

    def routes(self) -> list[web.RouteDef]:
        """Give what there is under /api/v1/call-quality."""
        return [web.post("/api/v1/call-quality", self.take)]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Count one call. A link is needed, or anybody could make numbers up; nothing of it is
        counted or kept, but that its room and address may not say too much."""
        if not self._deps.client_quality:
            raise Refused("not_found", "nobody wants to know here")
        claims = await self._credentials.claims(request, _ALLOWED, GRACE_S)
        wait = self._rates.take(
            claims.room, address_of(request, self._deps), self._deps.clock.monotonic()
        )
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            raise Refused("slow_down", "too many reports", {"retry_after": retry_after})
        self._deps.metrics.quality.count(await read_body(request, _call_quality))
        return web.Response(status=204)
