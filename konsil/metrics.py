"""`GET /metrics` for Prometheus, on a port of its own that need not be public.

`/healthz` and `/readyz` are there, too, in a process without signaling, which has them otherwise.
docs/metrics.md lists what there is.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

import konsil


class HouseCollector(Collector):
    """Which version runs, and whether the parts that it needs are there.

    `ready`: asked at every scrape; its names are roles of this process, so they are few.
    `certificates`: until when each is good, by part.
    """

    def __init__(
        self, ready: Mapping[str, Callable[[], bool]], certificates: Mapping[str, float]
    ) -> None:
        self._ready = ready
        self._certificates = certificates

    def collect(self) -> Iterable[Metric]:
        """Give the gauges."""
        build = GaugeMetricFamily("konsil_build_info", "1, with the version.", labels=["version"])
        build.add_metric([konsil.__version__], 1)
        yield build
        ready = GaugeMetricFamily(
            "konsil_part_ready", "1 while that part can serve, else 0.", labels=["part"]
        )
        for part, is_there in self._ready.items():
            ready.add_metric([part], int(is_there()))
        yield ready
        ends = GaugeMetricFamily(
            "konsil_certificate_not_after_timestamp_seconds",
            "When the certificate in use ends, since 1970.",
            labels=["part"],
        )
        for part, seconds in self._certificates.items():
            ends.add_metric([part], seconds)
        yield ends


def house_registry(
    ready: Mapping[str, Callable[[], bool]], certificates: Mapping[str, float]
) -> CollectorRegistry:
    """A registry with what every process has: CPU time, memory and files, version, readiness,
    and until when its certificates are good."""
    disable_created_metrics()  # each a series more, for a time that nobody asks for
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(HouseCollector(ready, certificates))
    return registry


@contextlib.asynccontextmanager
async def serving(
    registry: CollectorRegistry,
    sockets: Sequence[socket.socket],
    missing: Callable[[], Sequence[str]] | None = None,
    ask: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[None]:
    """Answers GET /metrics on `sockets` with what `registry` collects.

    `missing`: names of what is not ready to serve; with it /healthz and /readyz are answered, too.
    `ask`: finds out, before each scrape, what only an answer can tell.
    """

    async def metrics(_: web.Request) -> web.Response:
        if ask is not None:
            await ask()
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
