"""Every log call names an event and known fields, so that no line can quote anyone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from konsil import log

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
ARGUMENTS = {"extra", "exc_info"}


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    # The load tester speaks to whoever runs it, on their own machine.
    for package in sorted(log.OURS - {"loadtest"}):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in METHODS
                    and "log" in ast.unparse(node.func.value).lower()
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


@pytest.mark.parametrize(("place", "call"), [pytest.param(*one, id=one[0]) for one in log_calls()])
def test_a_log_call_names_an_event_and_known_fields(place: str, call: ast.Call) -> None:
    (event,) = call.args
    assert isinstance(event, ast.Constant), "the event is a literal"
    assert isinstance(event.value, str)
    assert log._EVENT.match(event.value), "like socket_closed"
    assert {keyword.arg for keyword in call.keywords} <= ARGUMENTS
    for keyword in call.keywords:
        if keyword.arg == "extra":
            assert isinstance(keyword.value, ast.Dict)
            fields = {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)}
            assert len(fields) == len(keyword.value.keys)
            assert fields <= log.FIELDS


def test_there_are_log_calls_to_look_at() -> None:
    assert len(list(log_calls())) > 10
