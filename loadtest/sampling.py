"""A sample a second of a run: what users have seen, and what the server did meanwhile.

The server is asked by its /metrics; processes on this machine are looked at in /proc, too, each by
its name. Runs in a greenlet of its own; at the bound it takes every other sample from then on.
"""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from collections import Counter
from typing import Any, Final
from urllib.error import URLError

import psutil  # type: ignore[import-untyped]
from locust.env import Environment

from loadtest.steps import WEBSOCKET
from loadtest.thresholds import JOIN

SAMPLES_MOST: Final = 3600
SCRAPE_S: Final = 2.0
_WANTED: Final = ("konsil_waiting", "konsil_redis_operation_seconds_count")


class Sampler:
    """`start`, then `stop`; `samples` and `processes` are what a report of kind `run` takes."""

    def __init__(self, environment: Environment, metrics_url: str, pid: int | None) -> None:
        self.samples: list[dict[str, Any]] = []
        self.processes: dict[str, list[dict[str, Any]]] = {}
        self._environment, self._metrics_url = environment, metrics_url
        self._server = psutil.Process(pid) if pid else None
        self._over = threading.Event()
        self._period = 1.0
        self._begun = time.perf_counter()
        self._former: Counter[str] = Counter()
        self._former_at = 0.0

    def start(self) -> None:
        self._begun = time.perf_counter()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._period):
            self._sample(time.perf_counter() - self._begun)
            if len(self.samples) >= SAMPLES_MOST:
                self._period *= 2
                for kept in (self.samples, *self.processes.values()):
                    del kept[::2]

    def _sample(self, second: float) -> None:
        stats = self._environment.stats
        join = stats.get(JOIN, WEBSOCKET)
        told = self._scrape()
        now: Counter[str] = Counter(joins=join.num_requests, failures=stats.total.num_failures)
        now["redis"] = int(told.get("konsil_redis_operation_seconds_count", 0))
        passed = second - self._former_at or 1.0
        runner = self._environment.runner
        self.samples.append(
            {
                "second": second,
                "users": runner.user_count if runner is not None else 0,
                "joins": (now["joins"] - self._former["joins"]) / passed,
                "failures": (now["failures"] - self._former["failures"]) / passed,
                **{
                    f"join_p{part}_ms": join.get_current_response_time_percentile(part / 100)
                    for part in (50, 95, 99)
                },
                "waiting": told.get("konsil_waiting"),
                "redis_operations": (now["redis"] - self._former["redis"]) / passed
                if told
                else None,
            }
        )
        self._former, self._former_at = now, second
        with contextlib.suppress(psutil.Error):
            self._look_at_processes(second)

    def _look_at_processes(self, second: float) -> None:
        if self._server is None:
            return
        for one in (self._server, *self._server.children(recursive=True)):
            with contextlib.suppress(psutil.Error), one.oneshot():
                times, name = one.cpu_times(), f"{one.name()} {one.pid}"
                used = times.user + times.system
                kept = self.processes.setdefault(name, [])
                former = kept[-1] if kept else None
                passed = second - former["second"] if former else 0.0
                kept.append(
                    {
                        "second": second,
                        "used": used,
                        "cpu": (used - former["used"]) / passed if former and passed else None,
                        "memory_mb": one.memory_info().rss / 1e6,
                    }
                )

    def _scrape(self) -> dict[str, float]:
        if not self._metrics_url:
            return {}
        try:
            with urllib.request.urlopen(self._metrics_url, timeout=SCRAPE_S) as answer:  # noqa: S310
                text = answer.read().decode()
        except (URLError, OSError, ValueError):
            return {}
        pairs = (line.rpartition(" ") for line in text.splitlines() if line.startswith(_WANTED))
        return {name: float(value) for name, _, value in pairs}
