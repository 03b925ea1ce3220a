"""Which sign-in links have been used: a link signs in once, whatever is restarted meanwhile.

Redis may hold nothing for more than an hour and may come back empty, while a link may be opened a
month after it was made. So this is kept in the state directory, which all nodes share and which
holds what is durable anyway: one empty file for each used link,
`state_dir/used-links/{provider}/{day}-{digest}`, until the day on which the link has expired.
Creating a file that must not exist yet is atomic, on network file systems too, so of two browsers
that come at once one gets in. Each provider has a share of its own, and with every key epoch a new
one, so that one whose sign-in was stolen locks nobody else out, and is helped by `provider revoke`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from .errors import Refused, StoreUnavailable
from .signatures import to_base64url
from .tokens import Claims

# Links of one provider that are remembered; beyond it none of theirs signs in until some expire.
USED_MAX: Final = 500
_DAY: Final = 86_400
_RETRY_AFTER: Final = 60.0


class UsedLinks:
    """The used links of one state directory. Methods touch the disk: call them off the loop."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "used-links"

    def use(self, claims: Claims, now: float) -> bool:
        """Uses a link; False when it had been used before. `now`: seconds since 1970.

        Raises StoreUnavailable when the directory cannot be written, Refused `slow_down` when it
        is full.
        """
        file = self._file(claims)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.parent.mkdir(mode=0o700, exist_ok=True)
            kept = self._sweep(file.parent, now)
        except OSError as exc:
            raise _unusable(exc) from exc
        if kept >= USED_MAX:
            raise Refused("slow_down", "too many sign-ins this month", {"retry_after": 3600})
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
        except OSError as exc:
            raise _unusable(exc) from exc
        return True

    def is_used(self, claims: Claims) -> bool:
        """Raises StoreUnavailable when nobody can tell."""
        try:
            self._file(claims).lstat()
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise _unusable(exc) from exc
        return True

    def _file(self, claims: Claims) -> Path:
        # Digests, not ids: what lies on a disk gives nothing to compare with a link.
        provider = _digest(f"{claims.sub}\0{claims.epoch}")
        link = _digest(f"{claims.sub}\0{claims.jti}")
        return self._directory / provider / f"{_last_day(claims)}-{link}"

    def _sweep(self, own: Path, now: float) -> int:
        """Forgets links that have expired by themselves; gives how many of `own` are left."""
        today = int(now) // _DAY
        kept = 0
        for directory in list(self._directory.iterdir()):
            for name in os.listdir(directory):
                day, _, _ = name.partition("-")
                if day.isdecimal() and int(day) < today:
                    (directory / name).unlink(missing_ok=True)
                elif directory == own:
                    kept += 1
        return kept


def _digest(text: str) -> str:
    return to_base64url(hashlib.sha256(text.encode()).digest()[:16])


def _last_day(claims: Claims) -> int:
    """The day (since 1970) on which the link expires; later ones would say when it was made."""
    return claims.exp // _DAY


def _unusable(exc: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"KONSIL_STATE_DIR: cannot use used-links there: {exc.strerror}", _RETRY_AFTER
    )
