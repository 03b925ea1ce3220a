"""What the relay tells Prometheus: counts by protocol words, never an address or a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from turn.attributes import ErrorCode, Method
from turn.five_tuple import Transport

_SEPARATOR = " "
_DIRECTIONS = ("up", "down")
_METHODS = (
    Method.BINDING,
    Method.ALLOCATE,
    Method.REFRESH,
    Method.CREATE_PERMISSION,
    Method.CHANNEL_BIND,
)
_OUTCOMES = ("success", *(str(int(code)) for code in ErrorCode))


@dataclass(slots=True)
class Stats:
    """The state of one process in numbers, in a form that passes between processes as JSON.

    Gauges: `allocations`, `connections`. The rest only grows. Keys of `requests` are
    "method outcome".
    """

    allocations: int = 0
    connections: int = 0
    allocations_made: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    packets: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    restarts: int = 0

    def add(self, other: Stats) -> None:
        """Sum up, for the processes of one server."""
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            if isinstance(value, dict):
                for key, count in value.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, name, mine + value)

    def without_gauges(self) -> Stats:
        """What remains of a process that has ended: its totals."""
        totals = Stats()
        totals.add(self)
        totals.allocations = totals.connections = 0
        return totals


def request_key(method: str, outcome: str) -> str:
    return f"{method}{_SEPARATOR}{outcome}"


class RelayCollector(Collector):
    """Reads the numbers when Prometheus asks; nothing is counted twice for its sake."""

    def __init__(self, read: Callable[[], Stats], is_draining: Callable[[], bool]) -> None:
        self._read = read
        self._is_draining = is_draining

    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        yield GaugeMetricFamily(
            "konsil_turn_allocations", "Allocations alive", value=stats.allocations
        )
        yield GaugeMetricFamily(
            "konsil_turn_connections", "TCP and TLS connections open", value=stats.connections
        )
        yield GaugeMetricFamily(
            "konsil_turn_draining",
            "1 while no new allocations are made",
            value=int(self._is_draining()),
        )
        yield CounterMetricFamily(
            "konsil_turn_worker_restarts",
            "Relay processes started anew after they ended",
            value=stats.restarts,
        )
        yield _labelled(
            "konsil_turn_allocations_made",
            "Allocations made",
            "transport",
            _begun([transport.value for transport in Transport], stats.allocations_made),
        )
        yield _labelled("konsil_turn_dropped", "What was dropped", "reason", stats.dropped)
        yield _labelled(
            "konsil_turn_relayed_packets",
            "Datagrams relayed",
            "direction",
            _begun(_DIRECTIONS, stats.packets),
        )
        yield _labelled(
            "konsil_turn_relayed_bytes",
            "Payload relayed",
            "direction",
            _begun(_DIRECTIONS, stats.bytes),
        )
        requests = CounterMetricFamily(
            "konsil_turn_requests", "STUN and TURN requests", labels=["method", "outcome"]
        )
        expected = [request_key(m.name.lower(), outcome) for m in _METHODS for outcome in _OUTCOMES]
        for key, count in sorted(_begun(expected, stats.requests).items()):
            requests.add_metric(key.split(_SEPARATOR), count)
        yield requests

    def describe(self) -> Iterable[Metric]:
        """Names only, so that registering reads nothing from a server not yet started."""
        return ()


def _begun(keys: Iterable[str], counts: dict[str, int]) -> dict[str, int]:
    """With 0 for what has not happened yet: increase() misses the first of a series that is new."""
    return {**dict.fromkeys(keys, 0), **counts}


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family
