"""docs/metrics.md is what the code has; the dashboard and the alert rules use nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from konsil.metrics import house_registry
from sfu.metrics import NodeCollector
from sfu.metrics import Stats as SfuStats
from signaling.codes import CODES
from signaling.metrics import PATHS, RESUME_OUTCOMES, Gauges, Metrics
from signaling.quality import CALL_PATHS, CallQuality
from turn.metrics import RelayCollector, request_key
from turn.metrics import Stats as TurnStats

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "metrics.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "konsil.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"

# A label of any other name has to be thought about: it may have a value for each person.
LABELS = {
    "code", "direction", "kind", "method", "outcome", "part", "path", "reason", "transport",
    "version", "what",
}  # fmt: skip
WORDS = {
    "code": {"ok", "other", *CODES},
    "path": {*PATHS, *CALL_PATHS},
    "part": {"relay", "forwarder", "redis", "https"},
}


@dataclass(frozen=True, slots=True)
class Described:
    kind: str
    labels: frozenset[str]
    unit: str = ""


def _registry() -> CollectorRegistry:
    """All collectors of a process with every role, each with one of everything it can count."""
    registry = house_registry({"relay": lambda: True}, {"https": 1.0})
    metrics = Metrics(registry)
    metrics.joined()
    metrics.refused("internal")
    metrics.quality.count(CallQuality("direct", loss=0, first_frame=0, frozen=0))
    metrics.watch(lambda: Gauges(connections=1, rooms=1, waiting=1, mailbox_entries=1))
    one = {"one": 1}
    relay = TurnStats(
        allocations_made=one,
        requests={request_key("allocate", "success"): 1},
        dropped=one,
        packets=one,
        bytes=one,
    )
    registry.register(RelayCollector(lambda: relay, lambda: False))
    forwarder = SfuStats(
        requests={"offer done": 1},
        connections=one,
        dropped=one,
        media=one,
        datagrams=one,
        bytes=one,
    )
    registry.register(NodeCollector(lambda: forwarder))
    return registry


def _in_code() -> dict[str, Described]:
    found = {}
    for family in _registry().collect():
        suffix = "_total" if family.type == "counter" else ""
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name + suffix] = Described(family.type, frozenset(labels))
    return found


def _in_document() -> dict[str, Described]:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \|([^|]*)\|([^|]*)\| [^|]+ \|$", DOCUMENT.read_text(), re.M
    )
    return {
        name: Described(kind, frozenset(re.findall(r"`(\w+)`", labels)), unit.strip())
        for name, kind, labels, unit in rows
    }


def test_the_document_lists_what_there_is_and_nothing_else() -> None:
    listed = {name: Described(one.kind, one.labels) for name, one in _in_document().items()}
    assert listed == _in_code()


def test_names_and_units_follow_the_conventions() -> None:
    for name, one in _in_document().items():
        assert re.fullmatch(r"(konsil|process)_[a-z0-9_]+", name)
        assert name.endswith("_total") == (one.kind == "counter"), name
        for unit in ("seconds", "bytes"):
            bare = name.removesuffix("_total")
            assert bare.endswith(f"_{unit}") == (one.unit == unit), name


def test_a_label_has_one_of_few_words() -> None:
    for name, one in _in_code().items():
        assert one.labels <= LABELS, name
    for family in _registry().collect():
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert value in WORDS.get(label, {value})


def test_each_says_what_it_is() -> None:
    assert all(family.documentation for family in _registry().collect())


# --- what is made of them ---


def _exposed() -> dict[str, frozenset[str]]:
    """Every name that a query may use, with its labels."""
    text = generate_latest(_registry()).decode()
    names = {"up": frozenset({"job"})}
    for name, labels in re.findall(r"^(\w+)(?:\{([^}]*)\})? ", text, re.M):
        known = names.get(name, frozenset())
        names[name] = known | frozenset(re.findall(r'(\w+)="', labels)) | {"job", "instance"}
    return names


def _dashboard_queries() -> Iterator[str]:
    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("expr"), str):
                yield node["expr"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    yield from walk(json.loads(DASHBOARD.read_text()))


def _rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("source", ["dashboard", "alerts"])
def test_queries_use_metrics_and_labels_that_exist(source: str) -> None:
    alerts = (rule["expr"] for rule in _rules())
    queries = list(_dashboard_queries() if source == "dashboard" else alerts)
    assert queries
    exposed = _exposed()
    for query in queries:
        used = re.findall(r"\b((?:konsil|process)_\w+|up)\b(?:\{([^}]*)\})?", query)
        assert used, query
        for name, matchers in used:
            assert name in exposed, query
            labels = set(re.findall(r"(\w+)\s*(?:=|!)", matchers))
            assert labels <= exposed[name], query
        for label in re.findall(r"(?:by|without) \(([^)]*)\)", query):
            words = {word.strip() for word in label.split(",")}
            assert words <= {"le", *LABELS, "job", "instance"}, query
        for code in re.findall(r'code="(\w+)"', query):
            assert code in WORDS["code"], query
        for outcome in re.findall(r'resumes_total\{outcome="(\w+)"', query):
            assert outcome in RESUME_OUTCOMES, query
        assert query.count("(") == query.count(")"), query


def test_what_alerts_count_is_there_before_it_has_happened() -> None:
    # increase() sees nothing in a series that begins with 1.
    registry = house_registry({}, {})
    Metrics(registry).watch(lambda: Gauges(connections=0, rooms=0, waiting=0, mailbox_entries=0))
    registry.register(RelayCollector(TurnStats, lambda: False))
    registry.register(NodeCollector(SfuStats))
    samples = [
        (sample.name, sample.labels) for family in registry.collect() for sample in family.samples
    ]
    counters = [
        (name, dict(re.findall(r'(\w+)="(\w+)"', matchers)))
        for rule in _rules()
        for name, matchers in re.findall(r"\b(konsil_\w+_total)(?:\{([^}]*)\})?", rule["expr"])
    ]
    assert counters
    for name, wanted in counters:
        found = [labels for one, labels in samples if one == name]
        assert any(wanted.items() <= labels.items() for labels in found), (name, wanted)


def test_an_alert_needs_no_series_of_a_role_that_runs_elsewhere() -> None:
    # Two series are added only where there are both.
    for rule in _rules():
        assert " + " not in rule["expr"], rule["alert"]


def test_each_service_is_on_the_dashboard() -> None:
    queries = " ".join(_dashboard_queries())
    for name in _in_document():
        if name.startswith("konsil_") and name.endswith("_total"):
            assert name in queries, f"nobody would see {name}"


def test_an_alert_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in _rules()]
    assert len(names) == len(set(names))
    for rule in _rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])
