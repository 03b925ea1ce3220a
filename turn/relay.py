"""The running relay: one process within the caller's event loop, or several of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from types import TracebackType

from prometheus_client import CollectorRegistry

from turn.clock import Clock, SystemClock
from turn.config import Listener, RelayConfig
from turn.interfaces import relay_addresses
from turn.listening import BoundListener, bind_listeners
from turn.metrics import RelayCollector, Stats
from turn.node import Node, Place
from turn.supervisor import REPORT_SECONDS, Supervisor
from turn.tls import server_context

_DRAIN_POLL = 0.2  # seconds


class Relay:
    """A STUN and TURN server.

        async with Relay(config, registry) as relay:
            ...
            await relay.drain(30)

    With `processes` 1 it runs in the caller's event loop; with more, in processes of their own,
    which are started anew when they end and whose clients stay with them. `random` gives as many
    unpredictable bytes as it is asked for. Starting raises `ConfigError`.
    """

    def __init__(
        self,
        config: RelayConfig,
        metrics_registry: CollectorRegistry | None = None,
        clock: Clock | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._config = config
        self._registry = metrics_registry
        self._clock = clock or SystemClock()
        self._random = random
        self._bound: list[list[BoundListener]] = []
        self._running: Node | Supervisor | None = None
        self._draining = False
        self._collector = RelayCollector(self.stats, lambda: self._draining)

    async def __aenter__(self) -> Relay:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What is listened on, with wildcards and port 0 resolved."""
        first = self._bound[0] if self._bound else []
        return tuple(Listener(b.transport, b.address.host, b.address.port) for b in first)

    @property
    def allocations(self) -> int:
        return self.stats().allocations

    @property
    def ready(self) -> bool:
        """Whether a new client would be served now."""
        match self._running:
            case None:
                return False
            case Supervisor() as supervisor:
                return supervisor.ready and not self._draining
            case Node():
                return not self._draining

    def stats(self) -> Stats:
        """Numbers of all processes together; those of other processes are a second old at most."""
        return self._running.stats() if self._running is not None else Stats()

    async def start(self) -> None:
        """Bind everything and serve; raises ConfigError and leaves nothing behind."""
        config = self._config
        config.validate()
        hosts = relay_addresses(config)
        self._bound = bind_listeners(config)
        try:
            places = [
                Place(listeners, hosts, ports, check_ports, nonce_key)
                for nonce_key in [self._random(32)]
                for listeners, ports, check_ports in zip(
                    self._bound,
                    _shares(config.ports_for_calls, config.processes),
                    _shares(config.ports_for_checks, config.processes),
                    strict=True,
                )
            ]
            if len(places) == 1:
                context = server_context(config)
                node = Node(config, places[0], self._clock, self._random, context)
                node.start()
                self._running = node
            else:
                self._running = Supervisor(config, places)
                await self._running.start()
        except BaseException:
            await self.stop()
            raise
        if self._registry is not None:
            self._registry.register(self._collector)

    async def drain(self, seconds: float) -> None:
        """Take no new allocations, and return when the last one has ended or time is over."""
        self._draining = True
        if self._running is None:
            return
        self._running.drain()
        deadline = self._clock.monotonic() + seconds
        if isinstance(self._running, Supervisor):
            # Allocations of the last moment are not in the numbers yet.
            await asyncio.sleep(min(seconds, 2 * REPORT_SECONDS))
        # Polled, as the numbers of other processes are only told once a second anyway.
        while self.allocations and self._clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_DRAIN_POLL)

    def rotate_secrets(self, secrets: tuple[str, ...]) -> None:
        """Accept credentials of these secrets from now on, the newest first; keep the former one
        among them until the last credential it issued has expired."""
        if self._running is not None:
            self._running.rotate_secrets(secrets)

    def reload_certificate(self) -> None:
        """Use the certificate files as they are now; raises ConfigError and keeps the old one."""
        if self._running is not None:
            self._running.reload_certificate()

    async def stop(self) -> None:
        """End every allocation and close every socket; does nothing the second time."""
        running, self._running = self._running, None
        if running is not None:
            await running.stop()
            if self._registry is not None:
                self._registry.unregister(self._collector)
        for group in self._bound:
            for bound in group:
                bound.sock.close()
        self._bound = []


def _shares(ports: range, processes: int) -> list[range]:
    """The ports cut into even-sized, even-aligned shares, one for each process."""
    if processes == 1:
        return [ports]
    first = ports.start + (ports.start & 1)
    size = max(0, ports.stop - first) // processes & ~1
    return [range(first + index * size, first + (index + 1) * size) for index in range(processes)]
