"""`python -m bench.sfu`: this forwarder and Debian's Janus (videoroom) under one load, in turns.

The same pages with the same SRTP profile: one that sends and 2, 4 and 8 that receive; then a full
room, where each of nine sends and receives all others. CPU of the server for each packet that it
forwards, the delay that it adds, and the memory that it keeps for a participant. Needs two cores
and an address that is not loopback; needs `janus` for the comparison and says so without.

Janus' video room estimates no bandwidth for subscribers, so pages do not write transport-wide
feedback, and nothing is held back; `--feedback` measures this forwarder with it.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from bench.report import save, table
from bench.sfu.load import Load, Measured
from bench.sfu.page import PROFILES
from bench.sfu.servers import Server, janus, konsil

SIZE = 1200
FULL = 9
NAMES = ("konsil", "janus")
Maker = Callable[[int | None], AbstractContextManager[Server]]
Rows = dict[str, dict[str, dict[str, float]]]


def _row(measured: Measured) -> dict[str, float]:
    return {
        "cpu_us_per_packet": round(measured.cpu_per_packet, 2),
        "forwarded_per_second": round(measured.received / measured.seconds),
        "loss_percent": round(measured.loss * 100, 3),
        "p50_us": round(measured.delay(0.5), 1),
        "p99_us": round(measured.delay(0.99), 1),
    }


def _pages(options: argparse.Namespace) -> dict[str, Any]:
    return {"profile": options.profile, "size": SIZE, "feedback": options.feedback}


def one_sends(maker: Maker, count: int, options: argparse.Namespace, rows: Rows) -> None:
    """One publisher and some subscribers, at each rate."""
    with maker(0) as server:
        load = Load(server, count + 1, {0}, **_pages(options))
        try:
            for rate in options.rates:
                label = f"1 sends {rate}/s, {count} receive"
                measured = load.run(rate, options.seconds)
                rows.setdefault(label, {})[server.name] = _row(measured)
        finally:
            load.close()


def all_send(maker: Maker, options: argparse.Namespace, rows: Rows) -> float:
    """A full room; gives the memory that a participant takes while media flows, in kB."""
    with maker(0) as server:
        Load(server, 2, {0, 1}, **_pages(options)).close()
        before = server.process.rss()
        everybody = set(range(FULL))
        load = Load(server, FULL, everybody, **_pages(options))
        try:
            for rate in options.full_rates:
                label = f"{FULL} send {rate}/s each, all receive"
                measured = load.run(rate, options.seconds)
                rows.setdefault(label, {})[server.name] = _row(measured)
            return (server.process.rss() - before) / FULL / 1000
        finally:
            load.close()


def _cells(values: dict[str, float | None], *, compare: bool) -> list[str]:
    ours, theirs = values.get("konsil"), values.get("janus")
    cells = [f"{value:,.6g}" if value is not None else "-" for value in (ours, theirs)]
    if compare:
        cells.append(f"{ours / theirs:.2f}" if ours is not None and theirs else "-")
    return cells


def show(title: str, rows: dict[str, dict[str, float | None]], *, compare: bool = True) -> None:
    head = [title, *NAMES, *(["ratio"] if compare else [])]
    print(table(head, [[label, *_cells(row, compare=compare)] for label, row in rows.items()]))
    print()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sfu", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run (default 4)")
    parser.add_argument("--subscribers", type=int, nargs="+", default=[2, 4, 8], metavar="N")
    parser.add_argument("--rates", type=int, nargs="+", default=[1000, 3000], metavar="N")
    parser.add_argument("--full-rates", type=int, nargs="+", default=[100, 200], metavar="N")
    parser.add_argument("--profile", choices=PROFILES, default="AEAD_AES_256_GCM")
    parser.add_argument("--only", choices=NAMES, help="measure one server alone")
    parser.add_argument("--feedback", action="store_true", help="pages write feedback (see above)")
    options = parser.parse_args(arguments)
    makers: list[Maker] = [konsil, janus]
    if options.only is not None:
        makers = [konsil] if options.only == "konsil" else [janus]
    elif shutil.which("janus") is None:
        print("janus is not installed: measuring konsil alone")
        makers = [konsil]
    load_before = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    if cores > 1:
        os.sched_setaffinity(0, {1})  # the servers are kept on the first
    rows: Rows = {}
    memory: dict[str, float | None] = {}
    # In turns, for what else the machine does changes.
    for count in options.subscribers:
        for maker in makers:
            one_sends(maker, count, options, rows)
    for maker in makers:
        memory[NAMES[maker is janus]] = round(all_send(maker, options, rows), 1)
    print(f"{options.profile}, {SIZE}-byte packets; load average before: {load_before:.1f}")
    if load_before > cores / 2:
        print("the machine is busy: ratios say something, delay and loss tell of others' work")
    print()
    for key, title, compare in (
        ("cpu_us_per_packet", "server CPU, us per forwarded packet", True),
        ("forwarded_per_second", "forwarded, packets/s", False),
        ("loss_percent", "loss, percent", False),
        ("p50_us", "delay, median us", True),
        ("p99_us", "delay, p99 us", True),
    ):
        show(
            title,
            {label: {name: values[name][key] for name in values} for label, values in rows.items()},
            compare=compare,
        )
    show("memory", {f"kB per participant, room of {FULL}": memory})
    result: dict[str, Any] = {
        "profile": options.profile,
        "size": SIZE,
        "feedback": options.feedback,
        "seconds": options.seconds,
        "forwarding": rows,
        "memory_kb_per_participant": memory,
    }
    print(f"written to {save('sfu', result)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
