"""`konsil bots`: N pairs in one process for each core, and one document of their figures."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from loadtest.appointments import Appointments
from loadtest.bots.connection import Path
from loadtest.bots.media import SIZE
from loadtest.bots.pair import FIRST_S, SET_UP_S, Order
from loadtest.saturation import judged
from loadtest.viewing import percentile

STOP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`relay_url`: a TURN URL in place of the server's own, with the server's credentials."""

    url: str
    state_dir: FilePath
    pairs: int
    path: Path
    seconds: float
    fps: int
    size: tuple[int, int] = SIZE
    relay_url: str = ""


async def run(plan: Plan) -> dict[str, Any]:
    """A document of kind `bots`. A pair that failed has `error` in place of its figures."""
    appointments = Appointments(plan.state_dir, plan.url)
    orders = [_order(plan, appointments) for _ in range(plan.pairs)]
    shares = _shares(plan.pairs, os.cpu_count() or 1)
    taken = iter(orders)
    answers = await asyncio.gather(*(_process([next(taken) for _ in range(n)]) for n in shares))
    pairs = [pair for answer in answers for pair in answer]
    told = asdict(plan) | {"state_dir": None}
    return {"kind": "bots", "plan": told, "pairs": pairs, "summary": summary(pairs)}


def _order(plan: Plan, appointments: Appointments) -> Order:
    made = appointments.make()
    return Order(
        url=plan.url,
        room=made.room,
        host_token=made.host_token,
        client_token=made.client_token,
        secret=made.secret,
        path=plan.path,
        seconds=plan.seconds,
        fps=plan.fps,
        size=plan.size,
        relay_url=plan.relay_url,
    )


def _shares(pairs: int, cores: int) -> list[int]:
    """How many pairs each process takes: more processes than cores would only be in each other's
    way, and each needs 80 MB for its libraries."""
    processes = min(pairs, cores)
    return [pairs // processes + (number < pairs % processes) for number in range(processes)]


def _python_path() -> str:
    """So that a child finds this package where we were found."""
    here = str(FilePath(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH", ""))))


async def _process(orders: list[Order]) -> list[dict[str, Any]]:
    """The pairs of one process."""

    def failed(why: str) -> list[dict[str, Any]]:
        return [{"error": why} for _ in orders]

    process, out = None, b""
    try:
        async with asyncio.timeout(SET_UP_S):
            process = await asyncio.create_subprocess_exec(
                # Without -P the directory that it is started from came before all else.
                *(sys.executable, "-P", "-m", "loadtest.bots.pair"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
            assert process.stdout is not None
            # Its first line says that it has begun.
            await process.stdout.readline()
        # A pair's turn comes, its call is set up, it waits for the others, and talks.
        async with asyncio.timeout(4 * SET_UP_S + FIRST_S + orders[0].seconds + STOP_S):
            # Tokens go by a pipe: arguments and environments can be read by others.
            told = json.dumps({"orders": [asdict(order) for order in orders]})
            out, _ = await process.communicate(told.encode())
    except TimeoutError:
        return failed("not finished in time")
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return list(json.loads(out))
    except ValueError:
        return failed(f"the process ended with {process.returncode}")


def summary(pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over all bots: of their medians the median, of their 95th percentiles the 95th."""
    bots = [figures for pair in pairs for figures in pair.get("figures", ())]

    def over(name: str, part: float) -> float | None:
        return percentile([bot[name] for bot in bots if bot[name] is not None], part)

    packets = sum(bot["packets"] for bot in bots)
    lost = sum(bot["lost"] for bot in bots)
    return {
        "pairs": len(pairs),
        "failed": sum("error" in pair for pair in pairs),
        "first_frame_p50_ms": over("first_frame_ms", 0.5),
        "first_frame_p95_ms": over("first_frame_ms", 0.95),
        "delay_p05_ms": over("delay_p05_ms", 0.5),
        "delay_p50_ms": over("delay_p50_ms", 0.5),
        "delay_p95_ms": over("delay_p95_ms", 0.95),
        "transit_p05_ms": over("transit_p05_ms", 0.5),
        "transit_p50_ms": over("transit_p50_ms", 0.5),
        "transit_p95_ms": over("transit_p95_ms", 0.95),
        "frames_per_second": over("frames_per_second", 0.5),
        "missing_frames": sum(bot["missing_frames"] for bot in bots),
        "unreadable_frames": sum(bot["unreadable_frames"] for bot in bots),
        "freezes": sum(bot["freezes"] for bot in bots),
        "frozen_ms": sum(bot["frozen_ms"] for bot in bots),
        "packets": packets,
        "lost": lost,
        "loss": lost / packets if packets else None,
        "kbit_per_s": over("kbit_per_s", 0.5),
        "audible": over("audible", 0.05),
        **judged([pair["machine"] for pair in pairs if "machine" in pair]),
    }
