"""By which of its addresses a page is sent to: only by one that has shown that it takes it.

Whoever knows the password may check from any address, and a source address is easily forged. A page
that forges one could so have its media sent to whomever it likes. So we ask at the address
ourselves: the answer repeats 96 random bits that only who receives there has seen (RFC 7675 §5.1).
Until it comes nothing but a few handshake datagrams goes there, and media goes on to where it went
before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sfu.ice_lite import IceAgent
from sfu.path import Path

if TYPE_CHECKING:
    from sfu.connection import Connection

MAX_PATHS: Final = 16  # of one page; beyond it the one unheard for longest gives way
CONSENT_SECONDS: Final = 30.0  # what one answer is good for (RFC 7675 §5.1)
_RENEW: Final = (4.0, 6.0)  # seconds between questions, at random (RFC 7675 §5.1)
_TRY_PAUSES: Final = (0.1, 2.0)  # between questions at a new address: the first, and the longest
_TRIES: Final = 12  # some 17 s; then it is left alone until the page chooses it again
_MAX_ASKED: Final = 8  # questions of a path that may still be answered; the oldest is forgotten


class Route:
    """The paths of one page. Media goes by `active`, None while there is nowhere it may go;
    `chosen` is which one the page wants, None until it says so.

    `deadline` is when to call `handle_timer`, None when nothing is to be asked.
    """

    __slots__ = (
        "_ice", "_paths", "_pause", "_random", "_renew_at", "_tries", "_try_at",
        "active", "chosen",
    )  # fmt: skip

    def __init__(self, ice: IceAgent, random: Callable[[int], bytes]) -> None:
        self._ice = ice
        self._random = random
        self.active: Path | None = None
        self.chosen: Path | None = None
        self._paths: list[Path] = []
        self._renew_at: float | None = None
        self._try_at: float | None = None
        self._pause = 0.0
        self._tries = 0

    @property
    def deadline(self) -> float | None:
        due = [at for at in (self._renew_at, self._try_at) if at is not None]
        return min(due, default=None)

    @property
    def handshake(self) -> Path | None:
        """Where to repeat what a handshake has not had answered."""
        return self.active or self.chosen

    def checked(self, path: Path, owner: Connection, now: float, *, nominates: bool) -> None:
        """A valid check came by this path, of ours or nobody's, perhaps because the page chooses
        it."""
        if path.connection is not owner:
            self._adopt(path, owner, now)
        if nominates:
            path.nominated = True
        if nominates or self.chosen is None:
            self.choose(path, now)

    def choose(self, path: Path, now: float) -> None:
        """The page uses this path from now on: so do we, once it has consented."""
        if path is self.chosen:
            return
        self.chosen = path
        if path.consent > now:
            self._activate(path, now)
            return
        self._pause, self._tries = _TRY_PAUSES[0], _TRIES
        self._try(now)

    def answered(self, path: Path, now: float) -> None:
        """Our question at this path was answered, by the page."""
        path.consent = now + CONSENT_SECONDS
        path.asked.clear()
        if path is self.chosen:
            self._activate(path, now)

    def handle_timer(self, now: float) -> None:
        """Ask where it is time to."""
        if self._renew_at is not None and now >= self._renew_at:
            if self.active is not None:
                self._ask(self.active, now)
            self._renew_at = self._renewal(now)
        if self._try_at is not None and now >= self._try_at:
            self._try(now)

    def sweep(self, now: float) -> None:
        """Notice consent that has run out; to be called about once a second."""
        if self.active is not None and self.active.consent <= now:
            if self.chosen is self.active:
                self.chosen = self._try_at = None  # its next check begins anew
            self.active = self._renew_at = None

    def lose(self, path: Path, now: float) -> None:
        """A path is gone, or not ours any more."""
        if path in self._paths:
            self._paths.remove(path)
        path.release()
        if path is self.chosen:
            self.chosen, self._try_at = None, None
        if path is self.active:
            proven = [other for other in self._paths if other.consent > now]
            proven.sort(key=lambda other: (other.nominated, other.heard))
            self.active = proven[-1] if proven else None
            self._renew_at = 0.0  # at once: its consent may be about to run out

    def clear(self) -> None:
        """Nothing is sent any more, and no path is ours."""
        self.active = self.chosen = self._renew_at = self._try_at = None
        for path in self._paths:
            path.release()
            path.way.forget(path)
        self._paths.clear()

    def _activate(self, path: Path, now: float) -> None:
        self._try_at = None
        if path is self.active:
            return
        self.active = path
        self._renew_at = self._renewal(now)

    def _try(self, now: float) -> None:
        assert self.chosen is not None
        if not self._tries:
            # The page says so, and there is nobody: what is known to work goes on.
            self.chosen, self._try_at = self.active, None
            return
        self._tries -= 1
        self._ask(self.chosen, now)
        self._try_at = now + self._pause
        self._pause = min(2 * self._pause, _TRY_PAUSES[1])

    def _ask(self, path: Path, now: float) -> None:
        transaction = self._random(12)
        question = self._ice.question(path, transaction)
        if question is None or not path.may_send(len(question), now):
            return
        if len(path.asked) >= _MAX_ASKED:
            del path.asked[0]
        path.asked.append(transaction)
        path.send(question)

    def _renewal(self, now: float) -> float | None:
        if self.active is None or self.active.way.is_stream:
            return None
        low, high = _RENEW
        return now + low + (high - low) * self._random(1)[0] / 255

    def _adopt(self, path: Path, owner: Connection, now: float) -> None:
        if len(self._paths) >= MAX_PATHS:
            kept = (self.active, self.chosen)
            oldest = min((p for p in self._paths if p not in kept), key=lambda p: p.heard)
            self.lose(oldest, now)
            oldest.way.forget(oldest)
        path.connection = owner
        self._paths.append(path)
        path.way.register(path)
