"""The secret that relay passwords are made with: set by the operator, or in the state directory.

Rotation overlaps. A new secret is accepted at once, used some seconds later, when every process
that shares the directory has seen it, and the former one is accepted until its last password has
expired.
"""

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from konsil.errors import StartError
from konsil.private_files import private_directory, write_private
from konsil.secret import Secret
from waiting_room import ownership
from waiting_room.errors import UnusableError
from waiting_room.invitations import MINUTES_MAX, OPENS_BEFORE_MAX

# A client may be let in as early as the waiting room opens, and a call may run on for an hour: an
# allocation is refreshed with the password it was made with, which must outlive all that.
CREDENTIAL_SECONDS: Final = (MINUTES_MAX + OPENS_BEFORE_MAX) * 60 + 3600
LOOK_SECONDS: Final = 5  # how often a relay looks for a new secret
SETTLE_SECONDS: Final = 3 * LOOK_SECONDS  # from when a new one is accepted until it is used

_BYTES: Final = 32
_LINE: Final = re.compile(r"([0-9]{1,12}) ([A-Za-z0-9_-]{16,128})")
_HEAD: Final = "# since secret; newest first; konsil rotate-turn-secret adds one\n"


class RelaySecrets(Protocol):
    """The secrets of a relay at this moment."""

    def current(self) -> Secret:
        """Passwords are made with this one."""

    def accepted(self) -> tuple[Secret, ...]:
        """All that a relay takes, the newest first."""


@dataclass(frozen=True, slots=True)
class SetSecrets:
    """Those of KONSIL_TURN_SECRET and KONSIL_TURN_FORMER_SECRET."""

    present: Secret
    former: Secret | None = None

    def current(self) -> Secret:
        return self.present

    def accepted(self) -> tuple[Secret, ...]:
        return (self.present,) if self.former is None else (self.present, self.former)


@dataclass(frozen=True, slots=True)
class _Entry:
    since: int  # seconds since 1970: used from then on
    secret: Secret


class KeptSecrets:
    """Those of `state_dir/turn/secrets`, 0600. Sees what another process writes there."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._entries: tuple[_Entry, ...] = ()

    @classmethod
    def open(cls, state_dir: Path, clock: Callable[[], float]) -> "KeptSecrets":
        """The secrets of a state directory, with a first one made if there is none.

        Raises StartError when the file cannot be read, written, or understood.
        """
        made = cls(secrets_file(state_dir), clock)
        try:
            ownership.check(made._path, state_dir)
        except UnusableError as error:
            raise StartError(str(error)) from None
        private_directory(made._path.parent)
        with made._locked():
            if not made._path.exists():
                made._write((_Entry(int(clock()), _new()),))
        made._load()
        return made

    def current(self) -> Secret:
        self._refresh()
        now = self._clock()
        return next((e.secret for e in self._entries if e.since <= now), self._entries[-1].secret)

    def accepted(self) -> tuple[Secret, ...]:
        self._refresh()
        return tuple(entry.secret for entry in self._in_force())

    def rotate(self) -> int:
        """Adds a new secret; gives the time (s since 1970) from which it is used."""
        with self._locked():
            self._load()
            now = int(self._clock())
            newest = _Entry(max(now, self._entries[0].since) + SETTLE_SECONDS, _new())
            self._write((newest, *self._in_force()))
        self._load()
        return newest.since

    def _in_force(self) -> tuple[_Entry, ...]:
        """Without those whose last password has expired."""
        now = self._clock()
        kept = list(self._entries[:1])
        for newer, entry in zip(self._entries, self._entries[1:], strict=False):
            if now < newer.since + CREDENTIAL_SECONDS:
                kept.append(entry)
        return tuple(kept)

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except OSError:
            return  # going on with what it held before
        if (stat.st_ino, stat.st_mtime_ns) != self._seen:
            try:
                self._load()
            except StartError:
                # Half of a hand-made change; the former secrets stay good meanwhile.
                return

    def _load(self) -> None:
        try:
            stat = self._path.stat()
            lines = self._path.read_text("ascii").splitlines()
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise StartError(f"cannot read {self._path}: {reason}") from None
        found = []
        for line in lines:
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                raise StartError(
                    f"{self._path} is damaged: remove it, and the next start makes another"
                )
            found.append(_Entry(int(match[1]), Secret(match[2])))
        if not found:
            raise StartError(f"{self._path} holds no secret: remove it, and one is made")
        self._entries = tuple(sorted(found, key=lambda entry: -entry.since))
        self._seen = stat.st_ino, stat.st_mtime_ns

    def _write(self, entries: tuple[_Entry, ...]) -> None:
        lines = [f"{entry.since} {entry.secret.reveal()}\n" for entry in entries]
        write_private(self._path, _HEAD + "".join(lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Against another process that starts, or rotates, in the same moment."""
        try:
            descriptor = os.open(self._path.with_name("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"cannot write to {self._path.parent}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def secrets_file(state_dir: Path) -> Path:
    return state_dir / "turn" / "secrets"


def _new() -> Secret:
    return Secret(secrets.token_urlsafe(_BYTES))
