"""A fault of ours is counted and logged by its place, never by what it quotes."""

from __future__ import annotations

import io
import logging
from collections import Counter

import pytest

from turn import faults

SECRET = "1700000000:somebody at 192.0.2.9"


def met() -> Exception:
    try:
        int(SECRET)
    except ValueError as error:
        return error
    raise AssertionError


def test_many_are_counted_and_a_few_logged(caplog: pytest.LogCaptureFixture) -> None:
    counts: Counter[str] = Counter()

    def drop(reason: str) -> None:
        counts[reason] += 1

    assert SECRET in str(met())
    kept = faults.Faults(drop)
    for _ in range(1000):
        kept.note(met(), 5.0)
    assert counts == {"fault": 1000}
    assert len(caplog.records) == 10
    for _ in range(1000):
        kept.note(met(), 7.0)
    assert len(caplog.records) == 12


def test_a_line_has_places_and_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    try:
        faults.configure()
        faults.Faults(lambda _: None).note(met(), 0.0)
        faults.loop_failed(None, {"message": SECRET, "handle": SECRET, "exception": met()})
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.raiseExceptions = raises
    said = written.getvalue()
    assert "relay_fault [turn.faults]\n    builtins.ValueError: unit/test_turn_faults.py:" in said
    assert "relay_loop_fault" in said
    assert SECRET not in said
    assert "192.0.2.9" not in said
