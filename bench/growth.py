"""The cost of growth: what a join and a message cost while 10, 100, 1,000, 5,000 rooms are there.

One server with its private Redis. Clients arrive at a steady rate, each in a room of its own, and
wait; at each level some pairs talk for a while. Whatever a join or a message costs should not
depend on how many others there are: the slope says by what part it changes when there are ten times
as many.
"""

from __future__ import annotations

import argparse
import math
import re
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench import report, servers, sizing
from bench.process import descendants
from bench.servers import Running
from bench.signaling import LoadClient, two_cores
from loadtest.report.page import GROWTH, page

WARM_UP = 50
SETTLE_S = 2.0  # for deferred work to come to rest
SLOPE_FROM = 100  # rooms: below, a join or two decide


@dataclass(frozen=True, slots=True)
class Plan:
    """`rate`: arrivals per second; `message_rate`: per second and connection of `pairs`."""

    levels: tuple[int, ...] = (10, 100, 1000, 5000)
    rate: float = 100.0
    pairs: int = 20
    message_rate: float = 25.0
    seconds: float = 5.0
    size: int = 300

    @classmethod
    def quick(cls) -> Plan:
        return cls(levels=(10, 50, 150), pairs=5, seconds=1.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals: nanoseconds of processor time, operations, bytes."""

    cpu_ns: int
    redis_cpu_ns: int
    operations: int
    memory: int
    redis_memory: int


def _read(running: Running) -> Reading:
    server = running.server
    return Reading(
        cpu_ns=_cpu_ns(server.pid),
        redis_cpu_ns=sum(map(_cpu_ns, descendants(server.pid))),
        operations=_operations(running.metrics_url),
        memory=server.memory().pss,
        redis_memory=server.memory_of_children().pss,
    )


def _cpu_ns(pid: int) -> int:
    """Of all threads. /proc/PID/stat counts in hundredths of a second, too coarse for ten joins."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


def _operations(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own http URL
        text = answer.read().decode()
    match = re.search(r"^konsil_redis_operation_seconds_count (\S+)$", text, re.M)
    return int(float(match[1])) if match else 0


@contextmanager
def _load_client(running: Running, plan: Plan, core: int | None) -> Iterator[LoadClient]:
    client = LoadClient(core)
    try:
        client.order(
            "open",
            server="konsil",
            port=running.port,
            size=plan.size,
            state_dir=str(running.state_dir),
            public_url=running.public_url,
        )
        yield client
    finally:
        client.stop()


def measure(plan: Plan) -> dict[str, Any]:
    """A document of kind `growth`. Raises RuntimeError when a load client has seen a fault."""
    _allow_files(max(plan.levels) + 1000)
    cores = two_cores()
    levels: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="konsil-bench-") as work,
        servers.konsil(Path(work), cores[0]) as running,
        _load_client(running, plan, cores[1]) as crowd,
    ):
        with _load_client(running, plan, cores[1]) as first:
            first.order("prepare", count=WARM_UP)
            first.order("arrive", count=WARM_UP, rate=plan.rate)
        crowd.order("prepare", count=max(plan.levels))
        time.sleep(SETTLE_S)
        empty = _read(running)
        here = 0
        for rooms in plan.levels:
            level = _arrivals(running, crowd, rooms - here, plan.rate)
            here = rooms
            time.sleep(SETTLE_S)
            now, idle_ns = _read(running), _idle(running, plan.seconds)
            level |= {
                "rooms": rooms,
                "memory_bytes_per_room": (now.memory - empty.memory) / rooms,
                "redis_memory_bytes_per_room": (now.redis_memory - empty.redis_memory) / rooms,
                "cpu_us_per_room_and_minute": 60 * idle_ns / rooms / 1000,
                **_messages(running, plan, cores[1], idle_ns),
            }
            levels.append(level)
            crowd.order("mark")
            print(
                f"{rooms:6,} rooms {level['cpu_us_per_join']:7,.0f} µs/join"
                f" {level['join_p99_ms']:7,.1f} ms p99"
                f" {level['cpu_us_per_message']:6.1f} µs/message"
                f" {level['memory_bytes_per_room'] / 1000:6.1f} kB/room",
                flush=True,
            )
    return {
        "kind": "growth",
        "plan": asdict(plan),
        "levels": levels,
        "slopes": {key: slope(levels, key) for key in GROWTH},
    }


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))


def _arrivals(running: Running, crowd: LoadClient, count: int, rate: float) -> dict[str, Any]:
    before = _read(running)
    took = crowd.order("arrive", count=count, rate=rate)
    after = _read(running)
    return {
        "joins": count,
        "joins_per_second": count / took["seconds"],
        "join_p50_ms": took["p50_ms"],
        "join_p95_ms": took["p95_ms"],
        "join_p99_ms": took["p99_ms"],
        "cpu_us_per_join": (after.cpu_ns - before.cpu_ns) / count / 1000,
        "redis_cpu_us_per_join": (after.redis_cpu_ns - before.redis_cpu_ns) / count / 1000,
        "redis_operations_per_join": (after.operations - before.operations) / count,
    }


def _idle(running: Running, seconds: float) -> float:
    """Nanoseconds of processor time a second, while all wait: their heartbeats."""
    before, began = _read(running), time.monotonic()
    time.sleep(seconds)
    return (_read(running).cpu_ns - before.cpu_ns) / (time.monotonic() - began)


def _messages(running: Running, plan: Plan, core: int | None, idle_ns: float) -> dict[str, Any]:
    """What a message costs; not what those who wait cost meanwhile, which grows with them."""
    with _load_client(running, plan, core) as talkers:
        talkers.order("prepare", count=plan.pairs)
        talkers.order("pairs", count=plan.pairs)
        before, began, first = _read(running), time.monotonic(), talkers.order("mark")
        talkers.order("talk", rate=plan.message_rate)
        time.sleep(plan.seconds)
        after, ended, last = _read(running), time.monotonic(), talkers.order("mark")
        spent_ns = after.cpu_ns - before.cpu_ns - idle_ns * (ended - began)
        count = max(1, last["received"] - first["received"])
        end = talkers.order("hush")
        if end["received"] != end["sent"]:
            raise RuntimeError(f"{end['sent'] - end['received']} messages were lost")
        talkers.order("close")
        return {
            "messages": count,
            "message_p99_ms": end["delay_p99_ms"],
            "cpu_us_per_message": spent_ns / count / 1000,
            "redis_operations_per_message": (after.operations - before.operations) / count,
        }


def slope(levels: Sequence[dict[str, Any]], key: str) -> float | None:
    """By what part the figure changes when there are ten times as many rooms: least squares over
    log10(rooms), as a part of the mean. None where there are not two levels to compare."""
    counted = [level for level in levels if level["rooms"] >= SLOPE_FROM]
    if len(counted) < 2:
        return None
    xs = [math.log10(level["rooms"]) for level in counted]
    ys = [float(level[key]) for level in counted]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    if not mean_y:
        return 0.0
    across = sum((x - mean_x) ** 2 for x in xs)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / across
    return rise / mean_y


def show(result: dict[str, Any]) -> str:
    levels = result["levels"]
    rows = [
        [
            f"{words}, {unit}",
            *(format(level[key], ",.3g" if level[key] < 100 else ",.0f") for level in levels),
            "" if (one := result["slopes"][key]) is None else f"{100 * one:+.0f} %",
        ]
        for key, (words, unit) in GROWTH.items()
    ]
    head = ["", *(f"{level['rooms']:,} rooms" for level in levels), "per tenfold"]
    return report.table(head, rows)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--sizing", action="store_true", help="write docs/sizing.md, too")
    parser.add_argument("--levels", help="rooms, rising, such as 10,100,1000")
    for each in fields(Plan):
        if each.name != "levels":
            kind = type(getattr(Plan(), each.name))
            parser.add_argument(f"--{each.name.replace('_', '-')}", type=kind)
    given = vars(parser.parse_args(arguments))
    plan = Plan.quick() if given.pop("quick") else Plan()
    write_sizing, levels = given.pop("sizing"), given.pop("levels")
    plan = replace(plan, **{key: value for key, value in given.items() if value is not None})
    if levels:
        plan = replace(plan, levels=tuple(sorted({int(one) for one in levels.split(",")})))
    result = measure(plan)
    path = report.save("growth", result)
    path.with_suffix(".html").write_text(page("Konsil: the cost of growth", [result]))
    print(f"\n{show(result)}\n\n{path}\n{path.with_suffix('.html')}")
    if write_sizing:
        text = sizing.document(result, report.machine(), show(result))
        sizing.PATH.write_text(text + sizing.by_hand(sizing.PATH.read_text()))
        print(sizing.PATH)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
