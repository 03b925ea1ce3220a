"""What a node tells Prometheus: numbers about the node, never about a person or a room.

Every label value comes from a closed list, so the number of series is bounded by this file. Hot
counters are plain integers read at scrape time: a relayed signal pays for one addition only.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signaling.codes import CODES
from signaling.quality import QualityCounts

OK: Final = "ok"
OTHER: Final = "other"
PATHS: Final = ("local", "remote")
RESUME_OUTCOMES: Final = ("memory", "spilled", "handover", "lost")
"""How a page that came back got on: from this node's memory, from Redis after its old node had put
its messages there, by a handover from a node that still held it, or without its messages."""

REFUSALS: Final = ("node", "address", "handshake", "left", "accept_failed")
"""Why a connection came to nothing: the node, or its address, has as many as it may have; its TLS
handshake failed or was not complete in time; it was closed before it was accepted; it could not be
accepted."""

_REDIS_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True, slots=True)
class Gauges:
    """What there is right now on this node."""

    connections: int
    rooms: int
    waiting: int
    mailbox_entries: int
    groups: int = 0


class Metrics(Collector):
    """The counters of one node; the gauges are asked for when somebody scrapes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.signals = dict.fromkeys(PATHS, 0)
        self.resumes = dict.fromkeys(RESUME_OUTCOMES, 0)
        self.refused_connections = dict.fromkeys(REFUSALS, 0)
        self.malformed_requests = 0
        self.slow_readers = 0
        self.braked = 0
        self.quality = QualityCounts()
        self.media_moves = 0
        # There from the start: increase() misses the first of a series that is new.
        self._joins = dict.fromkeys((OK, *CODES, OTHER), 0)
        self._errors = dict.fromkeys((*CODES, OTHER), 0)
        self._gauges: Callable[[], Gauges] | None = None
        self.redis_seconds = Histogram(
            "konsil_redis_operation_seconds",
            "Time an operation on Redis took, as this node saw it.",
            buckets=_REDIS_BUCKETS_S,
            registry=registry,
        )
        registry.register(self)

    def watch(self, gauges: Callable[[], Gauges]) -> None:
        """Ask `gauges` for the present numbers at every scrape."""
        self._gauges = gauges

    def joined(self, code: str = OK) -> None:
        """Count one hello and what came of it: `ok` or an error code."""
        self._joins[code if code == OK or code in CODES else OTHER] += 1

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure an operation on Redis that succeeds; what failed is counted by its code."""
        begun = time.perf_counter()
        yield
        self.redis_seconds.observe(time.perf_counter() - begun)

    def connection_refused(self, reason: str) -> None:
        """Count a connection that came to nothing, for one of REFUSALS."""
        self.refused_connections[reason] += 1

    def refused(self, code: str) -> None:
        """Count one error answer of the WebSocket protocol or the HTTP API."""
        self._errors[code if code in CODES else OTHER] += 1

    def collect(self) -> Iterable[Metric]:
        """Give everything but the histogram, which registers itself."""
        yield _counter("konsil_joins", "Hellos by result code.", "code", self._joins)
        yield _counter("konsil_errors", "Errors told to pages by code.", "code", self._errors)
        yield _counter("konsil_signals", "Signals passed on by path.", "path", self.signals)
        yield _counter("konsil_resumes", "Returns by outcome.", "outcome", self.resumes)
        yield _counter(
            "konsil_refused_connections",
            "Connections refused before they could ask for anything, by reason.",
            "reason",
            self.refused_connections,
        )
        yield CounterMetricFamily(
            "konsil_malformed_requests",
            "HTTP requests refused before they were parsed.",
            value=self.malformed_requests,
        )
        yield CounterMetricFamily(
            "konsil_slow_readers", "Connections cut for not reading.", value=self.slow_readers
        )
        yield CounterMetricFamily(
            "konsil_braked_upgrades",
            "WebSockets that were opened later because others of their address had offended.",
            value=self.braked,
        )
        yield CounterMetricFamily(
            "konsil_media_moves",
            "Changes of the way of a room's media: to a forwarder, to another one, back.",
            value=self.media_moves,
        )
        yield from self.quality.collect()
        if self._gauges is None:
            return
        now = self._gauges()
        yield GaugeMetricFamily("konsil_connections", "Open WebSockets.", value=now.connections)
        yield GaugeMetricFamily("konsil_rooms", "Rooms with someone here.", value=now.rooms)
        yield GaugeMetricFamily(
            "konsil_groups", "Of these, rooms with a forwarder.", value=now.groups
        )
        yield GaugeMetricFamily("konsil_waiting", "People who wait here.", value=now.waiting)
        yield GaugeMetricFamily(
            "konsil_mailbox_entries",
            "Signals kept until they are acknowledged.",
            value=now.mailbox_entries,
        )


def _counter(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
