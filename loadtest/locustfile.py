"""`locust -f loadtest/locustfile.py Client Provider …`: docs/loadtest.md has a recipe for each
scenario. Runs on one machine, or on many with locust's own --master and --worker."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from locust import LoadTestShape, events, runners
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtest.adversaries import CodeGuesser, Intruder
from loadtest.appointments import PROVIDER
from loadtest.arrivals import SHAPES
from loadtest.practice import Practice
from loadtest.report.page import page
from loadtest.sampling import Sampler
from loadtest.steps import WEBSOCKET
from loadtest.thresholds import JOIN, MISSED_EXIT_CODE, Outcome, Thresholds, missed
from loadtest.users import Client, Provider, Reconnector
from waiting_room.errors import ConfigError

__all__ = ["Client", "CodeGuesser", "Intruder", "Provider", "Reconnector", "Shape"]

# What a worker has not reported when a run ends is lost: three seconds of it would be much.
runners.WORKER_REPORT_INTERVAL = 1.0

_log = logging.getLogger("loadtest")
_JOINING = {one.__name__ for one in (Client, Provider, Reconnector)}


class Shape(LoadTestShape):
    """The one of --shape, with locust's own --users, --spawn-rate and --run-time."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options: Any = self.runner.environment.parsed_options
        elapsed = time.perf_counter() - self.start_time
        if options.run_time and elapsed >= options.run_time:
            return None
        shape = SHAPES[options.shape]
        return shape(
            elapsed, options.run_time or 3600, options.num_users or 1, options.spawn_rate or 1
        )


def add_options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("Konsil")
    add = group.add_argument
    add("--state-dir", required=True, help="directory with the server's key and providers file")
    add("--public-url", default="", help="the server's public origin (default: --host)")
    add("--provider", default=PROVIDER, help="whose appointments they are (default: %(default)s)")
    add("--shape", choices=list(SHAPES), default="steady", help="when users come")
    add("--stay", type=float, default=60.0, help="seconds a client waits (default: 60)")
    add("--call-seconds", type=float, default=10.0, help="length of a call (default: 10)")
    add("--cuts", type=int, default=5, help="of one Reconnector's call (default: 5)")
    add("--step-seconds", type=float, default=15.0, help="bound of one step (default: 15)")
    add("--users-from", default="", help="network of this machine's that users come from")
    add("--intruders-from", default="", help="the same for intruders and guessers")
    add("--join-p95-ms", type=float, default=1000.0, help="threshold (default: 1000)")
    add("--join-p99-ms", type=float, default=None, help="threshold (default: none)")
    add("--report", default="", help="write a page of the run here, and its JSON beside it")
    add("--metrics-url", default="", help="the server's /metrics, for the report")
    add("--server-pid", type=int, default=0, help="process of a server on this machine, likewise")
    add("--error-rate", type=float, default=0.0, help="threshold, 0 to 1 (default: 0)")


def open_practice(environment: Environment, **_: Any) -> None:
    """Before the first user, in every process that may have some."""
    if isinstance(environment.runner, WorkerRunner):
        return  # has its options only when the master starts the test
    _open_practice(environment)


def start(environment: Environment, **_: Any) -> None:
    _open_practice(environment)
    options: Any = environment.parsed_options
    if options.report and not isinstance(environment.runner, WorkerRunner):
        sampler = Sampler(environment, options.metrics_url, options.server_pid or None)
        environment.sampler = sampler  # type: ignore[attr-defined]
        sampler.start()


def stop(environment: Environment, **_: Any) -> None:
    sampler = getattr(environment, "sampler", None)
    if sampler is not None:
        sampler.stop()


def _open_practice(environment: Environment) -> None:
    options: Any = environment.parsed_options
    host = environment.host or options.host
    if not host:
        raise SystemExit("loadtest: --host says where the server is")
    if getattr(environment, "practice", None) is not None:
        return
    try:
        practice = Practice(
            host,
            origin=(options.public_url or host).rstrip("/"),
            state_dir=Path(options.state_dir),
            provider=options.provider,
            seconds=options.step_seconds,
            users_from=options.users_from,
            intruders_from=options.intruders_from,
        )
    except (ConfigError, ValueError) as error:
        raise SystemExit(f"loadtest: {error}") from None
    # locust hands its environment to every user, and nothing else.
    environment.practice = practice  # type: ignore[attr-defined]


def judge(environment: Environment, **_: Any) -> None:
    """The exit code: 0, or MISSED_EXIT_CODE and a line for each threshold that was missed."""
    if isinstance(environment.runner, WorkerRunner):
        return
    options: Any = environment.parsed_options
    total, joins = environment.stats.total, environment.stats.get(JOIN, WEBSOCKET)
    parts = (0.95, 0.99)
    lines = missed(
        Thresholds(options.join_p95_ms, options.join_p99_ms, options.error_rate),
        Outcome(
            total.num_requests,
            total.num_failures,
            joins.num_requests,
            {part: joins.get_response_time_percentile(part) for part in parts},
        ),
        joins_expected=any(one.__name__ in _JOINING for one in environment.user_classes),
    )
    for line in lines:
        _log.error("missed: %s", line)
    environment.process_exit_code = MISSED_EXIT_CODE if lines else 0
    if options.report:
        _report(environment, Path(options.report), lines)


def _report(environment: Environment, target: Path, lines: list[str]) -> None:
    sampler: Sampler | None = getattr(environment, "sampler", None)
    document = {
        "kind": "run",
        "title": " ".join(sorted(one.__name__ for one in environment.user_classes)),
        "samples": sampler.samples if sampler else [],
        "processes": sampler.processes if sampler else {},
        "steps": [
            {
                "name": entry.name,
                "requests": entry.num_requests,
                "failures": entry.num_failures,
                **{
                    f"p{part}_ms": entry.get_response_time_percentile(part / 100)
                    for part in (50, 95, 99)
                },
            }
            for _, entry in sorted(environment.stats.entries.items())
        ],
        "missed": lines,
    }
    target.with_suffix(".json").write_text(json.dumps(document))
    target.write_text(page("Konsil under load", [document]))


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(open_practice)
events.test_start.add_listener(start)
events.test_stop.add_listener(stop)
events.quitting.add_listener(judge)
