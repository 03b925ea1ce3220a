"""Whether a node is alive, and ready to serve."""

import json
from typing import Final

from aiohttp import web

from signaling.deps import Deps
from signaling.hub import Hub
from signaling.problem import problem

_PING_TIMEOUT_S: Final = 1.0


class Health:
    """Handlers of /healthz and /readyz."""

    def __init__(self, deps: Deps, hub: Hub) -> None:
        self._deps = deps
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Give both."""
        return [web.get("/healthz", self.alive), web.get("/readyz", self.ready)]

    async def alive(self, _request: web.Request) -> web.StreamResponse:
        """Say that the process answers."""
        return _ok()

    async def ready(self, _request: web.Request) -> web.StreamResponse:
        """Say whether new people should be sent here."""
        if self._hub.arrivals.draining:
            return problem("going_away", "this node is stopping", status=503)
        if not await self._deps.store.ping(_PING_TIMEOUT_S):
            return problem("store_unavailable", "Redis does not answer", {"retry_after": 1})
        missing = self._deps.ready()
        if missing:
            return problem("not_ready", "missing: " + ", ".join(missing))
        return _ok()


def _ok() -> web.Response:
    return web.Response(
        body=json.dumps({"status": "ok"}).encode(), headers={"Content-Type": "application/json"}
    )
