"""Steps of the protocol as locust's own request events: so its statistics, web page, CSV and
thresholds work as they are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from locust.env import Environment

from loadtest.visit import StepError

WEBSOCKET: Final = "ws"
HTTP: Final = "http"


def fire(
    environment: Environment,
    name: str,
    seconds: float,
    failure: StepError | None = None,
    kind: str = WEBSOCKET,
) -> None:
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=seconds * 1000,
        response_length=0,
        exception=failure,
        context={},
    )


@contextlib.contextmanager
def step(environment: Environment, name: str, kind: str = WEBSOCKET) -> Iterator[None]:
    """Measures the block as one request; a StepError is its failure, and goes on."""
    begun = time.perf_counter()
    try:
        yield
    except StepError as failure:
        fire(environment, name, time.perf_counter() - begun, failure, kind)
        raise
    fire(environment, name, time.perf_counter() - begun, None, kind)
