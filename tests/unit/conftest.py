"""Unit tests open no socket: one that does fails, whatever it catches."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Time per example depends on who else uses the machine; pytest's timeout bounds the whole test.
settings.register_profile("konsil", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=10_000)
settings.load_profile("konsil")

_FORBIDDEN = frozenset(
    {
        "socket.__new__",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
    }
)


class _Guard:
    """An audit hook cannot be taken out again, so it is switched on for the duration of a test."""

    on = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event in _FORBIDDEN and not _event_loop_wakes_itself():
            # Derived from BaseException: code under test that catches OSError cannot hide it.
            pytest.fail(f"a unit test opened a socket ({event})")


def _event_loop_wakes_itself() -> bool:
    """Whether asyncio is making the pair of sockets that every event loop has."""
    frame = sys._getframe(2)
    for _ in range(6):
        if frame is None:
            return False
        if frame.f_code.co_name == "_make_self_pipe" and "asyncio" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


_guard = _Guard()
sys.addaudithook(_guard)


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Puts the process's logging back as it was after a test that sets it up."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    hooks = (sys.excepthook, sys.unraisablehook, threading.excepthook)
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level, logging.raiseExceptions = before
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    _guard.on = True
    yield
    _guard.on = False
