"""What goes wrong within us: counted, a little of it logged, and only where it happened.

What one client meets must not end what is done for all others.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final

from turn.quotas import Bucket

REASON: Final = "fault"  # that it is counted by, among what is dropped
_LINES: Final = (1.0, 10.0)  # a second and at once; more are counted only
_FRAMES: Final = 6  # innermost places of each exception

_log = logging.getLogger(__name__)


class Faults:
    """To be told of every exception that is kept from others."""

    __slots__ = ("_drop", "_lines")

    def __init__(self, drop: Callable[[str], None]) -> None:
        self._drop = drop
        self._lines: Bucket | None = None

    def note(self, error: Exception, now: float) -> None:
        """Count it, and log it unless there is much of it."""
        self._drop(REASON)
        if self._lines is None:
            self._lines = Bucket(*_LINES, now)
        if self._lines.take(1, now):
            _log.error("relay_fault", exc_info=error)


class _Places(logging.Formatter):
    """An exception's text may quote an address or a user name: types and places only."""

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        kind, _, trace = ei
        if kind is None:
            return ""
        places = [
            f"{'/'.join(PurePath(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
            for frame in reversed(traceback.extract_tb(trace)[-_FRAMES:])
        ]
        return f"    {kind.__module__}.{kind.__qualname__}: {' < '.join(places)}"


def configure() -> None:
    """Have this process log to standard error, which konsil passes on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Places("%(asctime)s %(levelname)s %(message)s [%(name)s]"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.raiseExceptions = False  # its own report of a failed line prints the line


def loop_failed(_loop: object, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`: asyncio's own prints the repr of handles, and with them
    addresses."""
    _log.error("relay_loop_fault", exc_info=context.get("exception"))
