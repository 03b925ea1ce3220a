"""What somebody who watches and listens has got: from frames to figures. Pure; times in ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from loadtest.timecode import TimeCode, age_ms, frames_between

FRAMES_MOST: Final = (
    60 * 60 * 60
)  # an hour at 60 a second; of what comes later only the last counts
FREEZE_EXTRA_MS: Final = 150.0
"""A gap is a freeze when it is longer than three times the average of the last 30, and longer than
that average by this (W3C webrtc-stats, freezeCount)."""
_AVERAGED: Final = 30


@dataclass(slots=True)
class Viewing:
    """Frames of one track. `began_ms` is when the person was admitted; `at_ms` is of every frame
    that was shown, `read_at_ms` of those with a readable code, whose ages are `delays_ms`.

    aiortc shows a picture when the next one begins to come, so the age that the next one had then
    is what the way took, without the wait for it: `transits_ms`."""

    began_ms: float
    fps: float
    at_ms: list[float] = field(default_factory=list)
    read_at_ms: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    transits_ms: list[float] = field(default_factory=list)
    unreadable: int = 0
    missing: int = 0
    freezes: int = 0
    frozen_ms: float = 0.0
    first_frame_ms: float | None = None
    _last: int | None = None
    _ended_ms: float | None = None

    def see(self, code: TimeCode | None, now_ms: float) -> None:
        """One frame, as it is shown."""
        if self.first_frame_ms is None:
            self.first_frame_ms = now_ms - self.began_ms
        elif self.at_ms:
            self._gap(now_ms - self.at_ms[-1])
            last = self._last
            if code is not None and last is not None and frames_between(last, code.number) == 1:
                self.transits_ms.append(age_ms(code, self.at_ms[-1]))
        self.at_ms.append(now_ms)
        if code is None:
            self.unreadable += 1
        else:
            if self._last is not None:
                self.missing += max(0, frames_between(self._last, code.number) - 1)
            self._last = code.number
            self.read_at_ms.append(now_ms)
            self.delays_ms.append(age_ms(code, now_ms))
        if len(self.at_ms) > FRAMES_MOST:
            for kept in self._kept():
                del kept[: FRAMES_MOST // 2]

    def _kept(self) -> tuple[list[float], ...]:
        return self.at_ms, self.read_at_ms, self.delays_ms, self.transits_ms

    def begin(self) -> None:
        """Pictures count from now on; what has been seen until now was only how it began."""
        for kept in self._kept():
            kept.clear()
        self.unreadable = self.missing = self.freezes = 0
        self.frozen_ms = 0.0

    def _gap(self, gap_ms: float) -> None:
        recent = self.at_ms[-_AVERAGED - 1 :]
        if len(recent) < _AVERAGED // 2:
            average = 1000 / self.fps
        else:
            average = (recent[-1] - recent[0]) / (len(recent) - 1)
        if gap_ms > max(3 * average, average + FREEZE_EXTRA_MS):
            self.freezes += 1
            self.frozen_ms += gap_ms

    def end(self, now_ms: float) -> None:
        """Nobody looks any more: that nothing has come for a while is a freeze like any other."""
        self._ended_ms = now_ms
        if self.at_ms:
            self._gap(now_ms - self.at_ms[-1])

    def seconds(self) -> float:
        """From the first frame to the end, or to the last one so far."""
        if len(self.at_ms) < 2:
            return 0.0
        return ((self._ended_ms or self.at_ms[-1]) - self.at_ms[0]) / 1000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one bot: what it received. `lost`: packets, of `packets` that were sent to it."""

    role: str
    path: str
    first_frame_ms: float | None
    delay_p05_ms: float | None  # of a machine that was free just then
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    transit_p05_ms: float | None  # delays without the wait for the next picture
    transit_p50_ms: float | None
    transit_p95_ms: float | None
    frames: int
    frames_per_second: float
    missing_frames: int
    unreadable_frames: int
    freezes: int
    frozen_ms: float
    packets: int
    lost: int
    kbit_per_s: float
    audio_frames: int
    audible: float  # part of the sound in which the tone was heard, 0 to 1
    unsealed_frames: int = 0  # of a forwarder: frames that opened, and those that did not
    shut_frames: int = 0

    def document(self) -> dict[str, Any]:
        return asdict(self)


def percentile(values: Sequence[float], part: float) -> float | None:
    """By nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
