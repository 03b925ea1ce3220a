"""`GET /metrics` for Prometheus, on a port of its own that need not be public."""

import contextlib
import socket
from collections.abc import AsyncIterator, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


@contextlib.asynccontextmanager
async def serving(
    registry: CollectorRegistry, sockets: Sequence[socket.socket]
) -> AsyncIterator[None]:
    """Answers GET /metrics on `sockets` with what `registry` collects, and nothing else."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        for one in sockets:
            await web.SockSite(runner, one).start()
        yield
    finally:
        await runner.cleanup()
