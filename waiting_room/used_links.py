"""Which sign-in links have been used: a link signs in once, whatever is restarted meanwhile.

Redis may hold nothing for more than an hour and may come back empty, while a link may be opened a
month after it was made. So this is kept in the state directory, which all nodes share and which
holds what is durable anyway: one empty file for each used link,
`state_dir/used-links/{day}-{digest}`, until the day on which the link has expired. Creating a file
that must not exist yet is atomic, on network file systems too, so of two browsers that come at once
one gets in.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from .errors import Refused, StoreUnavailable
from .signatures import to_base64url
from .tokens import Claims

USED_MAX: Final = 10_000  # links remembered; beyond it nobody signs in until some have expired
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
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep(now)
        except OSError as exc:
            raise _unusable(exc) from exc
        try:
            os.close(os.open(self._file(claims), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
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
        # The digest, not the id: what lies on a disk gives nothing to compare with a link.
        digest = hashlib.sha256(f"{claims.sub}\0{claims.jti}".encode()).digest()[:16]
        return self._directory / f"{_last_day(claims)}-{to_base64url(digest)}"

    def _sweep(self, now: float) -> None:
        """Forgets links that have expired by themselves."""
        names = os.listdir(self._directory)
        today = int(now) // _DAY
        kept = 0
        for name in names:
            day, _, _ = name.partition("-")
            if day.isdecimal() and int(day) < today:
                (self._directory / name).unlink(missing_ok=True)
            else:
                kept += 1
        if kept >= USED_MAX:
            raise Refused("slow_down", "too many sign-ins this month", {"retry_after": 3600})


def _last_day(claims: Claims) -> int:
    """The day (since 1970) on which the link expires; later ones would say when it was made."""
    return claims.exp // _DAY


def _unusable(exc: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"KONSIL_STATE_DIR: cannot use used-links there: {exc.strerror}", _RETRY_AFTER
    )
