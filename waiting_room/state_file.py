"""A file of the state directory: mode 0600, replaced atomically, and changed by one at a time.

The command line and running servers of all nodes share these files.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import secrets
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Final, Generic, TypeVar

from . import ownership
from .errors import UnusableError

Stamp = TypeVar("Stamp", bound=Hashable)


RETRY_SECONDS: Final = 1.0
"""Until what could not be read is looked at again, though nothing has changed about it."""


class Failure(Generic[Stamp]):
    """What could not be read when it was as its `stamp` says.

    It may have been us, out of descriptors for a moment: so it is read again, about once a second,
    until that succeeds. Else a node would never hear of what was revoked.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._stamp: Stamp | None = None
        self._until = -math.inf

    def is_recent(self, stamp: Stamp | None) -> bool:
        """Whether reading it again now would most likely fail the same way."""
        return stamp == self._stamp and self._monotonic() < self._until

    def note(self, stamp: Stamp | None) -> bool:
        """It failed. Gives whether that is news, and so worth a line in the log."""
        news = stamp != self._stamp or self._until == -math.inf
        self._stamp, self._until = stamp, self._monotonic() + RETRY_SECONDS
        return news

    def over(self) -> None:
        """It was read."""
        self._stamp, self._until = None, -math.inf


class StateFile:
    """Methods touch the disk and may wait for the lock: call them off the loop.

    All of them raise UnusableError where the file cannot be used.
    """

    def __init__(self, path: Path, state_dir: Path | None = None) -> None:
        """`state_dir`: where the file is not in it itself, but further down."""
        self._path = path
        self._state_dir = state_dir or path.parent

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file does; None without one."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def read(self) -> bytes | None:
        """All of it; None when there is no such file."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self.error(f"cannot be read: {exc.strerror}") from exc

    def write(self, data: bytes) -> None:
        """Puts `data` in place of what is there, in one step and to the disk."""
        ownership.check(self._path, self._state_dir)
        draft = self._path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise self.error(f"cannot be written: {exc.strerror}") from exc

    def delete(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as exc:
            raise self.error(f"cannot be deleted: {exc.strerror}") from exc

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes. Makes the directory where there is none."""
        ownership.check(self._path, self._state_dir)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise self.error(f"cannot be locked: {exc.strerror}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def error(self, detail: str) -> UnusableError:
        return UnusableError(f"KONSIL_STATE_DIR: {self._path} {detail}")
