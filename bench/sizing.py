"""docs/sizing.md, made of a run of bench part `growth`. Pure."""

from __future__ import annotations

from typing import Any

from bench.servers import ROOT

PATH = ROOT / "docs" / "sizing.md"

_TEXT = """# Sizing

Made by `make bench ARGS="growth --sizing"`, but for its last parts; not to be edited. Measured with
{measured_on}: one server process on one core, the load client on the other, load average of the
machine {load:.1f} at the end.

One core for a server process, with a private Redis beside it and {rooms:,} clients waiting in as
many rooms:

| | |
|---|---|
{rows}

Media does not pass this process: calls are direct, or go over the relay ([relay.md](relay.md)) or a
forwarder.

## By the number of rooms

The last column says by what part a figure changes when there are ten times as many rooms, over the
levels from 100 on. What those who wait cost by their heartbeats has a row of its own, and is in no
other.

```
{table}
```
"""


BY_HAND = "## Measured otherwise"
"""What follows this heading is not of this run, and stays as it is."""


def by_hand(text: str) -> str:
    """The part of a former document that is kept, with its heading; "" where there is none."""
    found = text.find(BY_HAND)
    return "" if found < 0 else "\n" + text[found:]


def document(result: dict[str, Any], machine: dict[str, Any], table: str) -> str:
    """Of the largest level that was measured. `table`: all levels, as text."""
    level, rate = result["levels"][-1], result["plan"]["rate"]
    server, redis = level["memory_bytes_per_room"], level["redis_memory_bytes_per_room"]
    p50, p99 = level["join_p50_ms"], level["join_p99_ms"]
    per_join, per_message = (
        level["redis_operations_per_join"],
        level["redis_operations_per_message"],
    )
    rows = (
        ("joins that fill the core", f"{1e6 / level['cpu_us_per_join']:,.0f} a second"),
        (f"time to join, at {rate:g} joins a second", f"median {p50:,.1f} ms, p99 {p99:,.1f} ms"),
        ("signals that fill the core", f"{1e6 / level['cpu_us_per_message']:,.0f} a second"),
        ("signal, from send to receipt", f"p99 {level['message_p99_ms']:,.1f} ms"),
        ("memory per waiting client", f"{server / 1e3:.1f} kB; in Redis {redis / 1e3:.1f} kB"),
        ("10,000 waiting clients", f"{server / 100:,.0f} MB; in Redis {redis / 100:,.0f} MB"),
        ("Redis operations", f"{per_join:.2f} per join, {per_message:.3f} per signal"),
        ("Redis, processor time", f"{level['redis_cpu_us_per_join']:,.0f} µs per join"),
    )
    return _TEXT.format(
        measured_on=f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}",
        load=machine["load_average"],
        rooms=level["rooms"],
        rows="\n".join(f"| {words} | {figure} |" for words, figure in rows),
        table=table,
    )
