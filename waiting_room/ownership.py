"""Whose the state directory is. Its files are 0600: a server reads none that another user wrote.

Such a server goes on with what it knew before, so that a revocation would be told as done and have
no effect.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from .errors import UnusableError


def check(path: Path, state_dir: Path) -> None:
    """Raises UnusableError where `path`, in `state_dir`, is for another user to write than we are.

    That says its owner; where there is no such file yet, the directory's that it would be in. A
    state directory that does not exist yet is nobody's.
    """
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except FileNotFoundError:
            if place == state_dir:
                return
            continue
        except OSError:
            return  # writing will say why
        break
    if owner == os.geteuid() or (place != path and owner == 0):
        # Root's are volumes that a group may write to, as Kubernetes' fsGroup makes them.
        return
    name = _name(owner)
    raise UnusableError(
        f"KONSIL_STATE_DIR: {place} belongs to {name}, whose server could not read what this "
        f"writes: run it as that user, sudo -u {name} konsil …"
    )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"'#{user}'"  # as sudo takes it
