"""`python -m bench.turn`: this relay and Debian's coturn under the same load, in turns.

Prints a table with ratios and writes `bench/results/turn.json`. About a minute and a half with
the defaults; `--seconds` scales it. Needs `turnserver` for the comparison and says so without.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.turn.load import Load, Measured
from bench.turn.servers import Server, coturn, konsil

RESULTS = Path(__file__).parent.parent / "results" / "turn.json"
ALLOCATIONS = 50
MANY = 1000
SIZE = 1200
TRAIN = 8

Row = dict[str, dict[str, Any]]


def relaying(seconds: float, rates: list[int], makers: list[Any]) -> Row:
    """CPU, loss and latency at each rate, up and down, singly and in trains."""
    rows: Row = {}
    for maker in makers:
        with maker() as server:
            load = Load(server, ALLOCATIONS)
            try:
                for train in (1, TRAIN):
                    for rate in rates:
                        for name, run in (("up", load.up), ("down", load.down)):
                            kind = "" if train == 1 else f" trains of {train}"
                            label = f"{name} {rate // 1000}k/s{kind}"
                            run(rate, min(0.3, seconds), SIZE, train)  # warm
                            measured = run(rate, seconds, SIZE, train)
                            rows.setdefault(label, {})[server.name] = _row(measured)
            finally:
                load.close()
    return rows


def _row(measured: Measured) -> dict[str, float]:
    return {
        "cpu_us_per_packet": round(measured.cpu_per_packet, 2),
        "loss_percent": round(measured.loss * 100, 3),
        "rate": round(measured.rate),
        "p50_us": round(measured.latency(0.5), 1),
        "p99_us": round(measured.latency(0.99), 1),
    }


def added_latency(makers: list[Any], count: int) -> dict[str, dict[str, float]]:
    """One packet at a time through the relay, less one without it."""
    result = {}
    for maker in makers:
        with maker() as server:
            load = Load(server, 1)
            try:
                load.one_by_one(50, SIZE)
                direct = sorted(load.one_by_one(count, SIZE, direct=True))
                relayed = sorted(load.one_by_one(count, SIZE))
            finally:
                load.close()
            base = statistics.median(direct)
            result[server.name] = {
                "p50_us": round((statistics.median(relayed) - base) * 1e6, 1),
                "p99_us": round((relayed[int(len(relayed) * 0.99)] - base) * 1e6, 1),
            }
    return result


def allocating(makers: list[Any]) -> dict[str, dict[str, float]]:
    """A thousand allocations: how fast, and what each keeps in memory."""
    result = {}
    for maker in makers:
        with maker() as server:
            # Open until the end: a port given back is handed out again while coturn still knows the
            # five-tuple, and then answers 437.
            first = Load(server, 20)
            before = server.rss()
            load = Load(server, MANY)
            try:
                rss = (server.rss() - before) / MANY
                result[server.name] = {
                    "allocations_per_second": round(MANY / load.allocating_seconds),
                    "cpu_us_per_allocation": round(load.allocating_cpu / MANY * 1e6),
                    "rss_kb_per_allocation": round(rss / 1000, 1),
                }
            finally:
                load.close()
                first.close()
    return result


def ratio(values: dict[str, float]) -> str:
    ours, theirs = values.get("konsil"), values.get("coturn")
    return f"{ours / theirs:.2f}" if ours is not None and theirs else "-"


def table(title: str, rows: list[tuple[str, dict[str, float]]], *, compare: bool = True) -> None:
    """Rows of both servers; a ratio only where it means something."""
    print(f"\n{title:46}{'konsil':>10}{'coturn':>10}{'ratio' if compare else '':>8}")
    for label, values in rows:
        cells = [f"{values[name]:>10,.6g}" if name in values else f"{'-':>10}" for name in NAMES]
        print(f"{label:46}{''.join(cells)}{ratio(values) if compare else '':>8}")


NAMES = ("konsil", "coturn")
Maker = Callable[[], AbstractContextManager[Server]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turn", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run (default 2)")
    parser.add_argument("--rates", type=int, nargs="+", default=[20_000, 50_000])
    parser.add_argument("--only", choices=NAMES, help="measure one server alone")
    options = parser.parse_args()
    makers: list[Maker] = [konsil]
    if shutil.which("turnserver") and options.only != "konsil":
        makers = [coturn] if options.only == "coturn" else [konsil, coturn]
    elif options.only != "konsil":
        print("turnserver is not installed: measuring konsil alone")
    load_before = os.getloadavg()[0]
    started = time.time()
    relayed = relaying(options.seconds, options.rates, makers)
    latency = added_latency(makers, 1000)
    allocations = allocating(makers)
    result = {
        "when": int(started),
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "load": load_before},
        "size": SIZE,
        "allocations": ALLOCATIONS,
        "relaying": relayed,
        "added_latency": latency,
        "allocating": allocations,
    }
    print(f"load average before: {load_before:.1f} on {os.cpu_count()} CPUs")
    if load_before > (os.cpu_count() or 1) / 2:
        print("the machine is busy: CPU figures hold, loss and latency tell of the others' work")
    for key, title, compare in (
        ("cpu_us_per_packet", "server CPU, us per relayed packet", True),
        ("loss_percent", "loss, percent", False),
        ("rate", "rate the load reached, packets/s", False),
        ("p50_us", "latency under load, median us", True),
        ("p99_us", "latency under load, p99 us", True),
    ):
        rows = [
            (label, {name: values[name][key] for name in values})
            for label, values in relayed.items()
        ]
        table(title, rows, compare=compare)
    table(
        "one packet at a time, added latency, us",
        [(key, {name: latency[name][key] for name in latency}) for key in ("p50_us", "p99_us")],
        compare=False,
    )
    keys = ("allocations_per_second", "cpu_us_per_allocation", "rss_kb_per_allocation")
    table(
        f"{MANY} allocations, each with a channel",
        [(key, {name: allocations[name][key] for name in allocations}) for key in keys],
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten to {RESULTS}")


if __name__ == "__main__":
    main()
