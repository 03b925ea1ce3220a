"""Directories and files that only the user Konsil runs as can read."""

import contextlib
import os
import stat
from pathlib import Path

from konsil.errors import StartError


def private_directory(path: Path) -> None:
    """Makes `path`, and what leads to it, with mode 0700. Raises StartError when it is not ours."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StartError(f"{path} does not belong to the user konsil runs as")
        if found.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise StartError(f"cannot use the directory {path}: {error.strerror}") from None


def write_private(path: Path, text: str) -> None:
    """Writes a 0600 file in one step: a reader sees all of it or nothing. Raises StartError."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StartError(f"cannot write {path}: {error.strerror}") from None
