"""Ordinary calls alone, and beside an intruder at full speed: no step's p95 should double.

One server on one core; the ordinary users and the intruder (bench/flood.py) on the other, the
intruder with a lower priority there, so that what is measured is the server and not who gets the
load client's core. Rounds alone and beside take turns, so that whatever else the machine does is in
both; `--nice` below 0 has all of them go before it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from bench import report, servers
from bench.process import Server, wait_until
from bench.servers import ROOT, Running
from bench.signaling import two_cores
from loadtest.appointments import PROVIDER
from waiting_room.providers import Providers

WAITS: Final = frozenset({"wait"})  # for a free provider, which says nothing about the server
LEAST: Final = 30  # events of a step on either side, or its percentile says nothing
CALL_S: Final = 5.0
GIVES_WAY: Final = 10  # of two that want the core, the users have nine tenths
FIT: Final = frozenset({"right", "slow_down", "made_to_wait", "cut"})


@dataclass(frozen=True, slots=True)
class Plan:
    """`calls` go on at once; `seconds` is of each of `rounds` alone and as many beside. `patient`
    and `hasty`: how many connections the intruder has at once (bench/flood.py)."""

    calls: int = 50
    patient: int = 1000
    hasty: int = 100
    seconds: float = 20.0
    rounds: int = 2
    nice: int = 0


@dataclass(slots=True)
class Side:
    """All rounds of one kind. `times`: by step, how often it took so many ms."""

    times: dict[str, Counter[int]]
    failures: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0
    attacks: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    wrong: Counter[str] = field(default_factory=Counter)
    """By kind and outcome: those that the server should not have had."""
    intruder_s: float = 0.0

    @classmethod
    def empty(cls) -> Side:
        return cls({})


def measure(plan: Plan) -> dict[str, Any]:
    """A document of kind `intruders`. Raises RuntimeError when a locust ends before its time."""
    sides = {"alone": Side.empty(), "beside": Side.empty()}
    cores = two_cores()
    with (
        tempfile.TemporaryDirectory(prefix="konsil-bench-") as work,
        servers.konsil(Path(work), cores[0], plan.nice) as running,
    ):
        assert running.state_dir is not None
        Providers(running.state_dir).add(PROVIDER)
        for number in range(plan.rounds):
            for name, side in sides.items():
                _round(running, Path(work), plan, cores[1], side, beside=name == "beside")
                print(f"round {number + 1}/{plan.rounds} {name}", flush=True)
    return {"kind": "intruders", "plan": asdict(plan), **_compared(sides["alone"], sides["beside"])}


def _round(
    running: Running, work: Path, plan: Plan, core: int | None, side: Side, *, beside: bool
) -> None:
    with _locust(running, work, core, plan) as ordinary:
        if beside:
            wait_until(lambda: _has_begun(ordinary), ordinary)
            with _intruder(running, work, core, plan) as intruder:
                _measured(running, ordinary, side)
                _tell(intruder, side)
        else:
            _measured(running, ordinary, side)
    for row in _rows(ordinary.log.read_text()):
        side.failures += row["num_failures"]
        if row["name"] not in WAITS:
            times = side.times.setdefault(row["name"], Counter())
            times.update({round(float(ms)): n for ms, n in row["response_times"].items()})


def _measured(running: Running, ordinary: Server, side: Side) -> None:
    cpu, began = running.server.cpu(), time.monotonic()
    _ended(ordinary)
    side.cpu_s += running.server.cpu() - cpu
    side.seconds += time.monotonic() - began


def _has_begun(locust: Server) -> bool:
    return "All users spawned" in locust.log.with_suffix(".errors").read_text()


def _ended(locust: Server) -> list[dict[str, Any]]:
    code = locust.wait()
    if code not in (0, 1, 3):
        raise RuntimeError(f"locust ended with {code}: see {locust.log}")
    return list(_rows(locust.log.read_text()))


def _tell(intruder: Server, side: Side) -> None:
    if intruder.wait():
        raise RuntimeError(f"the intruder ended before its time: see {intruder.log}")
    told = json.loads(intruder.log.read_text())
    side.intruder_s += told["cpu"] * told["seconds"]
    for kind, outcomes in told["attacks"].items():
        side.attacks.update(outcomes)
        side.wrong.update({f"{kind}: {one}": n for one, n in outcomes.items() if one not in FIT})


@contextmanager
def _started(
    name: str, log: Path, command: Sequence[str], core: int | None, nice: int
) -> Iterator[Server]:
    made_for = servers.environment()
    made = Server(name, command, cwd=ROOT, environment=made_for, log=log, core=core)
    try:
        made.be_nice(nice)
        yield made
    finally:
        made.stop()


@contextmanager
def _locust(running: Running, work: Path, core: int | None, plan: Plan) -> Iterator[Server]:
    log = work / f"locust-{time.monotonic_ns()}.log"
    errors = log.with_suffix(".errors")
    errors.touch()
    command = [
        *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py"),
        *("--headless", "--json", "--only-summary"),
        *("--logfile", str(errors), "--stop-timeout", "5"),
        *("--host", running.public_url, "--state-dir", str(running.state_dir)),
        *("--join-p95-ms", "60000", "--error-rate", "1", "Client", "Provider"),
        *("-u", str(2 * plan.calls), "-r", str(plan.calls), "-t", f"{plan.seconds:.0f}s"),
        *("--call-seconds", str(CALL_S), "--stay", "60"),
    ]
    with _started("locust", log, command, core, plan.nice) as made:
        yield made


@contextmanager
def _intruder(running: Running, work: Path, core: int | None, plan: Plan) -> Iterator[Server]:
    log = work / f"intruder-{time.monotonic_ns()}.log"
    command = [
        *(sys.executable, "-m", "bench.flood", "--port", str(running.port)),
        *("--origin", running.public_url, "--state-dir", str(running.state_dir)),
        *("--seconds", str(plan.seconds)),
        *("--patient", str(plan.patient), "--hasty", str(plan.hasty)),
    ]
    with _started("intruder", log, command, core, min(19, plan.nice + GIVES_WAY)) as made:
        yield made


def _rows(out: str) -> Iterator[dict[str, Any]]:
    """What locust writes with --json, between whatever else it says."""
    at = out.find("[\n")
    if at >= 0:
        document, _ = json.JSONDecoder().raw_decode(out, at)
        yield from document


def p95(times: Mapping[int, int]) -> int:
    """By nearest rank."""
    rank, seen = 0.95 * sum(times.values()), 0
    for ms in sorted(times):
        seen += times[ms]
        if seen >= rank:
            return ms
    raise ValueError("of nothing there is no percentile")


def _compared(alone: Side, beside: Side) -> dict[str, Any]:
    steps = [
        {
            "step": step,
            "alone": alone.times[step].total(),
            "beside": beside.times[step].total(),
            "alone_p95_ms": (before := p95(alone.times[step])),
            "beside_p95_ms": (after := p95(beside.times[step])),
            "ratio": after / max(1, before),
        }
        for step in sorted(alone.times.keys() & beside.times.keys())
        if min(alone.times[step].total(), beside.times[step].total()) >= LEAST
    ]
    return {
        "steps": steps,
        "failures": alone.failures + beside.failures,
        "attacks_per_second": beside.attacks.total() / beside.seconds,
        "attacks": dict(beside.attacks),
        "wrong": dict(beside.wrong),
        "cpu_intruder": beside.intruder_s / beside.seconds,
        "cpu_alone": alone.cpu_s / alone.seconds,
        "cpu_beside": beside.cpu_s / beside.seconds,
    }


def show(result: Mapping[str, Any]) -> str:
    rows: Sequence[Sequence[str]] = [
        [
            one["step"],
            *(f"{one[side]:,}" for side in ("alone", "beside")),
            *(f"{one[key]:,}" for key in ("alone_p95_ms", "beside_p95_ms")),
            f"{one['ratio']:.1f}",
        ]
        for one in result["steps"]
    ]
    head = ["step", "alone", "beside", "p95 alone, ms", "p95 beside, ms", "ratio"]
    attacks = result["attacks"]
    came = ", ".join(f"{attacks[one]:,} {one.replace('_', ' ')}" for one in sorted(attacks))
    wrong = result["wrong"] or "none"
    return (
        f"{report.table(head, rows)}\n\n{result['failures']} failures;"
        f" {result['attacks_per_second']:.0f} attacks a second, by"
        f" {100 * result['cpu_intruder']:.0f} % of a core: {came}; wrongly answered: {wrong};"
        f" server's core {100 * result['cpu_alone']:.0f} % alone,"
        f" {100 * result['cpu_beside']:.0f} % beside"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench intruders", description=__doc__)
    for each in fields(Plan):
        default = each.default
        parser.add_argument(f"--{each.name}", type=type(default), default=default)
    result = measure(Plan(**vars(parser.parse_args(arguments))))
    path = report.save("intruders", result)
    print(f"\n{show(result)}\n\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
