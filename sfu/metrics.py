"""What the forwarder tells Prometheus: counts by protocol words, never a name, id or address."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(slots=True)
class Stats:
    """The state of a node in numbers, in a form that passes between processes as JSON.

    Gauges: `rooms`, `participants`, `streams`, `draining`. The rest only grows. Keys of `requests`
    are "kind outcome"; `media` are the core's totals, `datagrams` and `bytes` are of the sockets.
    """

    rooms: int = 0
    participants: int = 0
    streams: int = 0
    draining: bool = False
    requests: dict[str, int] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    media: dict[str, int] = field(default_factory=dict)
    datagrams: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    restarts: int = 0

    def add_totals(self, other: Stats) -> None:
        """Add what only grows, for a process that took another's place."""
        for name, value in asdict(other).items():
            if isinstance(value, dict):
                mine = getattr(self, name)
                for key, count in value.items():
                    mine[key] = mine.get(key, 0) + count


class NodeCollector(Collector):
    """Reads the numbers when Prometheus asks; nothing is counted twice for its sake."""

    def __init__(self, read: Callable[[], Stats]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        for name, text, value in (
            ("rooms", "Rooms on this node", stats.rooms),
            ("participants", "Connections on this node", stats.participants),
            ("tcp_streams", "TCP streams open", stats.streams),
            ("draining", "1 while no new rooms are taken", int(stats.draining)),
        ):
            yield GaugeMetricFamily(f"konsil_sfu_{name}", text, value=value)
        yield CounterMetricFamily(
            "konsil_sfu_restarts",
            "Processes of the forwarder started anew after they ended",
            value=stats.restarts,
        )
        for name, text, label, counts in (
            ("connections", "What became of connections", "outcome", stats.connections),
            ("dropped", "What was dropped", "reason", stats.dropped),
            ("media", "What was forwarded and asked for", "what", stats.media),
            ("datagrams", "Datagrams, TCP frames included", "direction", stats.datagrams),
            ("bytes", "Bytes in datagrams", "direction", stats.bytes),
        ):
            family = CounterMetricFamily(f"konsil_sfu_{name}", text, labels=[label])
            for key, count in sorted(counts.items()):
                family.add_metric([key], count)
            yield family
        requests = CounterMetricFamily(
            "konsil_sfu_requests", "Control requests", labels=["kind", "outcome"]
        )
        for key, count in sorted(stats.requests.items()):
            requests.add_metric(key.split(" "), count)
        yield requests

    def describe(self) -> Iterable[Metric]:
        """Names only, so that registering reads nothing from a node not yet started."""
        return ()
