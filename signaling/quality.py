"""What browsers say of their calls at the end, in coarse steps and counted at once. Pure.

Only where an operator wants it (KONSIL_CLIENT_QUALITY). Of each message nothing is kept but that
three counters are one higher: no id, no time, no room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

Path = Literal["direct", "relay", "sfu"]
CALL_PATHS: Final = get_args(Path)

FIRST_FRAME_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
LOSS: Final = (0.005, 0.02, 0.05, 0.1)
FROZEN: Final = (0.0, 0.01, 0.05, 0.2)
"""Upper ends of the steps; one more step is for what is above the last."""


class CallQuality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One page's call: numbers of steps, from 0. What a browser cannot tell is left out.

    `first_frame`: from when two were inside to the first picture; `loss`: the part of packets that
    did not come; `frozen`: the part of the time for which pictures stood still.
    """

    path: Path
    loss: Annotated[int, msgspec.Meta(ge=0, le=len(LOSS))]
    first_frame: Annotated[int, msgspec.Meta(ge=0, le=len(FIRST_FRAME_S))] | UnsetType = UNSET
    frozen: Annotated[int, msgspec.Meta(ge=0, le=len(FROZEN))] | UnsetType = UNSET


class QualityCounts:
    """By path and step: bounded by this file, whatever browsers say."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._first_frame: Counter[tuple[str, int]] = Counter()
        self._loss: Counter[tuple[str, int]] = Counter()
        self._frozen: Counter[tuple[str, int]] = Counter()

    def count(self, call: CallQuality) -> None:
        """One more."""
        self._calls[call.path] += 1
        self._loss[call.path, call.loss] += 1
        if call.first_frame is not UNSET:
            self._first_frame[call.path, call.first_frame] += 1
        if call.frozen is not UNSET:
            self._frozen[call.path, call.frozen] += 1

    def collect(self) -> Iterable[Metric]:
        """Histograms without sums: steps are all that is known."""
        calls = CounterMetricFamily(
            "konsil_client_calls", "Calls that browsers have reported on.", labels=["path"]
        )
        for path in CALL_PATHS:
            calls.add_metric([path], self._calls[path])
        yield calls
        yield _histogram(
            "konsil_client_first_frame_seconds",
            "From two being inside to the first picture, as browsers say.",
            FIRST_FRAME_S,
            self._first_frame,
        )
        yield _histogram(
            "konsil_client_loss_ratio", "Packets that did not come, of all.", LOSS, self._loss
        )
        yield _histogram(
            "konsil_client_frozen_ratio",
            "Time for which pictures stood still, of all.",
            FROZEN,
            self._frozen,
        )


def _histogram(
    name: str, text: str, ends: tuple[float, ...], counts: Counter[tuple[str, int]]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["path"])
    for path in CALL_PATHS:
        family.add_metric([path], list(_rising(path, ends, counts)), sum_value=None)
    return family


def _rising(
    path: str, ends: tuple[float, ...], counts: Counter[tuple[str, int]]
) -> Iterator[tuple[str, float]]:
    total = 0
    for step, end in enumerate([*map(str, ends), "+Inf"]):
        total += counts[path, step]
        yield end, total
