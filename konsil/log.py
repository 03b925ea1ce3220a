"""Log lines to stderr, for people or as JSON, that cannot hold anything of a session.

Our own modules log an event's name and bounded fields: `log.warning("x", extra={"code": 9})`.
What is no event name, or not a known field, or not a short plain value, is not printed. Libraries
format messages of their own, which may hold a request line, an address or a value: of those only
the logger, level and the type and place of an exception are printed, never a message.
"""

import asyncio
import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO

OURS: Final = frozenset({"konsil", "signaling", "waiting_room", "turn", "sfu", "web", "loadtest"})
FIELDS: Final = frozenset(
    {
        "attempt",
        "bytes",
        "close",
        "code",
        "connections",
        "count",
        "field",
        "kind",
        "level",
        "milliseconds",
        "node",
        "operation",
        "phase",
        "port",
        "reason",
        "retry_after",
        "role",
        "rooms",
        "seconds",
        "signal",
        "status",
        "transport",
        "version",
    }
)
"""Every field a line may have. None of them is for what a person typed, sent or is."""

WITHHELD: Final = "(withheld)"
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/+-]{0,64}\Z")
_NAME = re.compile(r"[A-Za-z0-9_.]{1,64}\Z")
_FRAMES: Final = 6  # innermost places of each exception
_CHAIN: Final = 8  # exceptions of a chain or group
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def configure(style: str, level: str, stream: TextIO | None = None) -> None:
    """Makes this the only way anything is logged in the process.

    `style`: `human`, `json`, or `auto` (human on a terminal); `level`: of our own loggers.
    """
    stream = sys.stderr if stream is None else stream
    if style == "auto":
        style = "human" if stream.isatty() else "json"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if style == "human" else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    # A line per request would hold addresses and paths.
    logging.getLogger("aiohttp.access").disabled = True
    logging.captureWarnings(True)
    # The logging module's own report of a failed line prints the line.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _thread_failed


def loop_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`: asyncio's own prints the repr of tasks and transports."""
    logging.getLogger("konsil").error("task_failed", exc_info=_info(context.get("exception")))


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": _logger_name(record),
            "event": event_of(record),
            **fields_of(record),
        }
        if places := list(_exceptions(record)):
            entry["exceptions"] = places
        return json.dumps(entry, ensure_ascii=True)


class HumanFormatter(logging.Formatter):
    """Time, level, event, fields, and an exception's places on lines below."""

    def format(self, record: logging.LogRecord) -> str:
        words = [
            time.strftime("%H:%M:%S", time.localtime(record.created)),
            f"{record.levelname.lower():7}",
            event_of(record),
            *(f"{key}={value}" for key, value in fields_of(record).items()),
            f"[{_logger_name(record)}]",
        ]
        return "\n    ".join([" ".join(words), *_exceptions(record)])


def event_of(record: logging.LogRecord) -> str:
    """The event's name; a stand-in where the message is anything but such a name."""
    if record.name.partition(".")[0] not in OURS:
        return "library_message"
    if isinstance(record.msg, str) and not record.args and _EVENT.match(record.msg):
        return record.msg
    return "unnamed_event"


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The known fields with plain values; the names (never values) of others under `dropped`."""
    if record.name.partition(".")[0] not in OURS:
        return {}
    found: dict[str, object] = {}
    dropped = []
    for key, value in record.__dict__.items():
        if key in _STANDARD:
            continue
        if key not in FIELDS:
            dropped.append(key if _NAME.match(key) else WITHHELD)
        elif value is None or isinstance(value, bool | float):
            found[key] = value
        elif isinstance(value, int):
            found[key] = value if abs(value) < 2**53 else WITHHELD
        else:
            found[key] = value if isinstance(value, str) and _PLAIN.match(value) else WITHHELD
    if dropped:
        found["dropped"] = ",".join(sorted(dropped)[:8])
    return found


def _logger_name(record: logging.LogRecord) -> str:
    return record.name if _NAME.match(record.name) else WITHHELD


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _exceptions(record: logging.LogRecord) -> Iterator[str]:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None:
        yield from places_of(error)


def places_of(error: BaseException) -> Iterator[str]:
    """`Type: file:line function < …` for an exception, its causes and its group's members."""
    pending = [error]
    for _ in range(_CHAIN):
        if not pending:
            return
        one = pending.pop(0)
        frames = traceback.extract_tb(one.__traceback__)[-_FRAMES:]
        places = [
            f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
            for frame in reversed(frames)
        ]
        yield f"{type(one).__module__}.{type(one).__qualname__}: {' < '.join(places)}"
        if isinstance(one, BaseExceptionGroup):
            pending.extend(one.exceptions)
        following = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if following is not None:
            pending.append(following)


def _info(
    error: BaseException | None,
) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
    return None if error is None else (type(error), error, error.__traceback__)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("konsil").critical("crashed", exc_info=_info(error))


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    logging.getLogger("konsil").error("unraisable", exc_info=_info(unraisable.exc_value))


def _thread_failed(arguments: threading.ExceptHookArgs) -> None:
    logging.getLogger("konsil").error("thread_failed", exc_info=_info(arguments.exc_value))
