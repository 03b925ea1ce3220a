"""Signaling: what one relayed message, one connection and one idle client cost the server.

Rounds alternate between the servers (A B A B …), so that a machine that gets slower does so for
both; each round starts each server afresh. The server is pinned to one core, the load client to
another. Figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from bench import report, servers
from bench.servers import ROOT, Running

WARM_UP = 100  # connections before memory is read: pools and code are there by then
ABREAST = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run. `rate` is messages per second and connection; Konsil refuses more than 40
    of all kinds, acknowledgements (four a second) included."""

    rounds: int = 5
    pairs: int = 100
    rate: float = 30.0
    seconds: float = 10.0
    size: int = 300
    idle: int = 5000

    @classmethod
    def quick(cls) -> Plan:
        return cls(rounds=1, pairs=20, seconds=3.0, idle=500)


@dataclass(frozen=True, slots=True)
class Round:
    """One server, one round."""

    cpu_us_per_message: float
    cpu_us_per_message_with_children: float
    messages_per_second: float
    delay_median_ms: float
    delay_p99_ms: float
    connections_per_second: float
    cpu_us_per_connection: float
    idle_rss_bytes: float
    idle_pss_bytes: float
    idle_pss_bytes_of_children: float


ROWS: tuple[tuple[str, str, str], ...] = (
    ("cpu_us_per_message", "server CPU per relayed message, µs", ".1f"),
    ("cpu_us_per_message_with_children", "  the same with child processes, µs", ".1f"),
    ("messages_per_second", "relayed messages/s (as offered)", ",.0f"),
    ("delay_median_ms", "send to receipt, median, ms", ".2f"),
    ("delay_p99_ms", "send to receipt, 99th of 100, ms", ".2f"),
    ("connections_per_second", "connections/s", ",.0f"),
    ("cpu_us_per_connection", "server CPU per connection, µs", ",.0f"),
    ("idle_pss_bytes", "memory per idle waiting client, bytes (PSS)", ",.0f"),
    ("idle_rss_bytes", "  the same as RSS", ",.0f"),
    ("idle_pss_bytes_of_children", "  in child processes (Redis), bytes (PSS)", ",.0f"),
)


class LoadClient:
    """The other end of bench.load_client's orders. RuntimeError says what went wrong there."""

    def __init__(self, core: int | None) -> None:
        before = os.sched_getaffinity(0)
        try:
            if core is not None:
                os.sched_setaffinity(0, {core})
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.load_client"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        finally:
            os.sched_setaffinity(0, before)

    def order(self, do: str, **details: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **details}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the load client ended"}')
        if "error" in answer:
            raise RuntimeError(f"load client, at {do}: {answer['error']}")
        if answer.get("faults"):
            raise RuntimeError(f"load client, at {do}: {answer['faults']}")
        return dict(answer)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    start: Callable[[Path, int | None], AbstractContextManager[Running]]


CONTENDERS = (Contender("peer", servers.peer), Contender("konsil", servers.konsil))


@contextmanager
def _meeting(
    contender: Contender, plan: Plan, cores: tuple[int | None, int | None]
) -> Iterator[tuple[Running, LoadClient]]:
    with (
        tempfile.TemporaryDirectory(prefix="konsil-bench-") as work,
        contender.start(Path(work), cores[0]) as running,
    ):
        client = LoadClient(cores[1])
        try:
            client.order(
                "open",
                server=contender.name,
                port=running.port,
                size=plan.size,
                state_dir=str(running.state_dir),
                public_url=running.public_url,
            )
            yield running, client
        finally:
            client.stop()


def _waiting(
    contender: Contender, plan: Plan, cores: tuple[int | None, int | None]
) -> dict[str, float]:
    with _meeting(contender, plan, cores) as (running, client):
        client.order("prepare", count=WARM_UP + plan.idle)
        client.order("idle", count=WARM_UP, abreast=ABREAST)
        time.sleep(1)
        before, before_children = running.server.memory(), running.server.memory_of_children()
        cpu = running.server.cpu()
        seconds = client.order("idle", count=plan.idle, abreast=ABREAST)["seconds"]
        cpu = running.server.cpu() - cpu
        # Long enough for garbage collectors and deferred work to come to rest.
        time.sleep(3)
        after, after_children = running.server.memory(), running.server.memory_of_children()
        client.order("mark")
        return {
            "connections_per_second": plan.idle / seconds,
            "cpu_us_per_connection": cpu / plan.idle * 1e6,
            "idle_rss_bytes": (after.rss - before.rss) / plan.idle,
            "idle_pss_bytes": (after.pss - before.pss) / plan.idle,
            "idle_pss_bytes_of_children": (after_children.pss - before_children.pss) / plan.idle,
        }


def _talking(
    contender: Contender, plan: Plan, cores: tuple[int | None, int | None]
) -> dict[str, float]:
    with _meeting(contender, plan, cores) as (running, client):
        client.order("prepare", count=plan.pairs)
        client.order("pairs", count=plan.pairs)
        client.order("talk", rate=plan.rate)
        time.sleep(2)
        cpu, children = running.server.cpu(), running.server.cpu_of_children()
        first = client.order("mark")
        start = time.perf_counter()
        time.sleep(plan.seconds)
        cpu = running.server.cpu() - cpu
        children = running.server.cpu_of_children() - children
        last = client.order("mark")
        seconds = time.perf_counter() - start
        relayed = last["received"] - first["received"]
        end = client.order("hush")
        if end["received"] != end["sent"]:
            raise RuntimeError(f"{contender.name} lost {end['sent'] - end['received']} messages")
        return {
            "cpu_us_per_message": cpu / relayed * 1e6,
            "cpu_us_per_message_with_children": (cpu + children) / relayed * 1e6,
            "messages_per_second": relayed / seconds,
            "delay_median_ms": end["delay_median_ms"],
            "delay_p99_ms": end["delay_p99_ms"],
        }


def two_cores() -> tuple[int | None, int | None]:
    """One core for the server, one for the load client; no pinning where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def measure(plan: Plan, names: tuple[str, ...] = ("peer", "konsil")) -> dict[str, Any]:
    """Runs the rounds and prints each as it comes. Returns all rounds, medians and ratios."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < plan.idle + 1000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, plan.idle + 1000), hard))
    cores = two_cores()
    rounds: dict[str, list[Round]] = {name: [] for name in names}
    for number in range(1, plan.rounds + 1):
        for contender in CONTENDERS:
            if contender.name not in names:
                continue
            got = Round(**_talking(contender, plan, cores), **_waiting(contender, plan, cores))
            rounds[contender.name].append(got)
            print(
                f"round {number}/{plan.rounds} {contender.name:7}"
                f" {got.cpu_us_per_message:6.1f} µs/message"
                f" {got.connections_per_second:7,.0f} connections/s"
                f" {got.idle_pss_bytes / 1000:6.1f} kB/idle client",
                flush=True,
            )
    medians = {
        name: {each.name: median(getattr(one, each.name) for one in done) for each in fields(Round)}
        for name, done in rounds.items()
    }
    result: dict[str, Any] = {
        "plan": asdict(plan),
        "rounds": {name: [asdict(one) for one in done] for name, done in rounds.items()},
        "medians": medians,
    }
    if len(names) == 2:
        result["ratios"] = {
            key: medians["konsil"][key] / medians["peer"][key] if medians["peer"][key] else None
            for key, _, _ in ROWS
        }
    return result


def show(result: dict[str, Any]) -> str:
    medians, ratios = result["medians"], result.get("ratios", {})
    names = list(medians)
    rows = []
    for key, label, form in ROWS:
        ratio = ratios.get(key)
        rows.append(
            [
                label,
                *(format(medians[name][key], form) for name in names),
                f"{ratio:.2f}" if ratio is not None else "",
            ]
        )
    return report.table(["", *names, "konsil/peer"], rows)


def main(arguments: list[str]) -> int:
    standard = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench signaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, to see that it runs")
    parser.add_argument("--only", choices=("peer", "konsil"), help="measure one server alone")
    for each in fields(Plan):
        kind = type(getattr(standard, each.name))
        parser.add_argument(f"--{each.name}", type=kind, help=f"{getattr(standard, each.name)}")
    given = vars(parser.parse_args(arguments))
    base = Plan.quick() if given.pop("quick") else standard
    only = given.pop("only")
    plan = Plan(
        **(asdict(base) | {key: value for key, value in given.items() if value is not None})
    )
    result = measure(plan, (only,) if only else ("peer", "konsil"))
    path = report.save("signaling", result)
    print(f"\n{plan.pairs} pairs, {plan.size}-byte messages, {plan.rate:g}/s per connection,")
    print(f"{plan.idle:,} idle clients; median of {plan.rounds} rounds in turn\n")
    print(show(result))
    print(f"\n{path}")
    return 0
