"""Log lines hold event names and bounded fields, and nothing else."""

import asyncio
import io
import json
import logging
import sys
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from konsil import log

CANARY = "Zoë Canary-4711"


@pytest.fixture
def lines(own_logging: None) -> io.StringIO:
    """What is logged, as JSON."""
    stream = io.StringIO()
    log.configure("json", "debug", stream)
    return stream


def entries(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_and_its_fields_are_one_line(lines: io.StringIO) -> None:
    logging.getLogger("signaling.hub").info("socket_closed", extra={"code": 4408, "reason": "x_y"})
    (entry,) = entries(lines)
    assert entry["event"] == "socket_closed"
    assert entry["logger"] == "signaling.hub"
    assert entry["level"] == "info"
    assert (entry["code"], entry["reason"]) == (4408, "x_y")


def test_what_is_no_event_or_no_known_field_is_not_printed(lines: io.StringIO) -> None:
    ours = logging.getLogger("konsil.test")
    ours.info("%s has joined", CANARY)
    ours.info(f"hello {CANARY}")
    ours.info("joined", extra={"name_typed": CANARY, "code": CANARY, "reason": "x" * 65})
    ours.info("joined", extra={"code": [CANARY], "count": 10**400, CANARY: 1})
    assert CANARY not in lines.getvalue()
    assert "Canary" not in lines.getvalue()
    first, second, third, fourth = entries(lines)
    assert first["event"] == second["event"] == "unnamed_event"
    assert third["dropped"] == "name_typed"
    assert third["code"] == third["reason"] == fourth["code"] == fourth["count"] == log.WITHHELD


def test_libraries_are_heard_but_not_quoted(lines: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("GET /%s", CANARY)
    logging.getLogger("aiohttp.access").error("GET /%s", CANARY)
    logging.getLogger("asyncio").warning(CANARY, extra={"code": CANARY})
    logging.getLogger("redis").info("not worth a line")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)  # pytest has put its own recorder in place since
        warnings.warn(CANARY, UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "Canary" not in lines.getvalue()
    assert [entry["event"] for entry in entries(lines)] == ["library_message"] * 3


def test_an_exception_shows_types_and_places_only(lines: io.StringIO) -> None:
    def inner() -> None:
        raise ValueError(CANARY)

    try:
        try:
            inner()
        except ValueError as error:
            raise ExceptionGroup(CANARY, [KeyError(CANARY)]) from error
    except ExceptionGroup:
        logging.getLogger("signaling.x").exception("failed")
    (entry,) = entries(lines)
    shown = str(entry["exceptions"])
    assert "Canary" not in lines.getvalue()
    assert "builtins.ExceptionGroup" in shown
    assert "builtins.KeyError" in shown
    assert "builtins.ValueError: unit/test_log.py" in shown
    assert "inner" in shown


def test_the_human_form_says_the_same(lines: io.StringIO) -> None:
    human = io.StringIO()
    log.configure("human", "info", human)
    try:
        int(CANARY)
    except ValueError:
        logging.getLogger("konsil").exception("start_failed", extra={"port": 8080})
    first, second = human.getvalue().splitlines()
    assert "error   start_failed port=8080 [konsil]" in first
    assert second.strip().startswith("builtins.ValueError: unit/test_log.py")
    assert "Canary" not in human.getvalue()


async def test_failures_outside_any_handler_are_logged_without_values(lines: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    error = ValueError(CANARY)
    log.loop_failed(loop, {"message": CANARY, "exception": error})
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=lambda: int(CANARY))
    thread.start()
    thread.join()
    assert "Canary" not in lines.getvalue()
    assert [entry["event"] for entry in entries(lines)] == [
        "task_failed",
        "crashed",
        "thread_failed",
    ]


def test_a_line_that_cannot_be_written_is_not_reported_with_its_content(
    lines: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    lines.close()
    logging.getLogger("konsil").error(CANARY)
    assert "Canary" not in capsys.readouterr().err
    log.configure("json", "debug", io.StringIO())


@given(st.text(), st.text(), st.text(), st.text())
def test_any_record_makes_one_bounded_line(name: str, text: str, key: str, value: str) -> None:
    record = logging.makeLogRecord(
        {"name": f"konsil.{name}", "msg": text, "levelname": "INFO", "levelno": 20}
    )
    record.__dict__[f"x{key}"] = value
    record.__dict__["reason"] = value
    for formatter in (log.JsonFormatter(), log.HumanFormatter()):
        line = formatter.format(record)
        assert len(line.splitlines()) == 1
        assert len(line) < 700
        assert line.isascii()
