"""`GET /metrics` for Prometheus, on a port of its own that need not be public.

`/healthz` and `/readyz` are there, too, in a process without signaling, which has them otherwise.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


@contextlib.asynccontextmanager
async def serving(
    registry: CollectorRegistry,
    sockets: Sequence[socket.socket],
    missing: Callable[[], Sequence[str]] | None = None,
) -> AsyncIterator[None]:
    """Answers GET /metrics on `sockets` with what `registry` collects.

    `missing`: names of what is not ready to serve; with it /healthz and /readyz are answered, too.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        names = missing() if missing else ()
        if names:
            return web.Response(status=503, text=f"missing: {', '.join(names)}\n")
        return web.Response(text="ok\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    if missing is not None:
        app.router.add_get("/healthz", healthy)
        app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        for one in sockets:
            await web.SockSite(runner, one).start()
        yield
    finally:
        await runner.cleanup()
