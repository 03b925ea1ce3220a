"""The providers file: who may invite, and the epoch that voids all of a provider's links at once.

`state_dir/providers.json`, mode 0600, replaced atomically under a lock, so that the command line
and running servers can share it. Setting `active` to false there bars a provider altogether.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from .errors import ConfigError, Refused
from .state_file import Failure, StateFile

NAME_MAX: Final = 60  # characters
OPENID_MAX: Final = 256  # characters
PROVIDERS_MAX: Final = 10_000
_ID_BYTES: Final = 9  # 12 base64url characters

_log = logging.getLogger(__name__)


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{12}$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0
    active: bool = True
    signed_out_at: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] = 0
    """Sign-ins and sign-in links made until then (ms since 1970) are void."""
    openid: Annotated[str, msgspec.Meta(max_length=OPENID_MAX)] = ""
    """By what the OpenID provider's claim knows them; "" where they do not sign in by it."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    providers: Annotated[tuple[Provider, ...], msgspec.Meta(max_length=PROVIDERS_MAX)]
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class Providers:
    """The providers of one state directory. Reads the file again whenever it has changed.

    A file that can no longer be read, say while somebody is editing it, is logged, and what was
    read before stays in force until it can be; it is never overwritten.
    """

    def __init__(self, state_dir: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigError when there is a file that cannot be read."""
        self._file = StateFile(state_dir / "providers.json")
        self._seen: tuple[int, int, int] | None = None  # of what is in `_by_id`
        self._failure: Failure[tuple[int, int, int]] = Failure(monotonic)
        # One reads at a time: what a thread has read earlier must not take the place of what the
        # loop has read since.
        self._reading = threading.Lock()
        self._by_id: dict[str, Provider] = {}
        self._load()

    def list(self) -> tuple[Provider, ...]:
        """All of them, in the order in which they were added."""
        self._refresh()
        return tuple(self._by_id.values())

    def get(self, provider: str) -> Provider | None:
        """By id."""
        self._refresh()
        return self._by_id.get(provider)

    def named(self, name: str) -> Provider | None:
        wanted = _tidy(name)
        return next((p for p in self.list() if p.name == wanted), None)

    def known_as(self, openid: str) -> Provider | None:
        """The active provider whom the OpenID provider's claim names so, to the letter."""
        found = (p for p in self.list() if openid and p.openid == openid and p.active)
        return next(found, None)

    def epoch(self, provider: str) -> int | None:
        """The present epoch by id; None for one who is unknown or not active."""
        found = self.get(provider)
        return found.epoch if found is not None and found.active else None

    def add(self, name: str) -> Provider:
        """A new provider. Raises Refused `bad_name`, or `already_used` when the name is taken."""
        tidy = _tidy(name)
        if not 1 <= len(tidy) <= NAME_MAX or any(unicodedata.category(c)[0] == "C" for c in tidy):
            raise Refused("bad_name", f"a provider's name has 1 to {NAME_MAX} printable characters")
        with self._locked():
            if self.named(tidy) is not None:
                raise Refused("already_used", f"there is a provider named {tidy!r} already")
            added = Provider(_new_id(), tidy)
            self._save([*self._by_id.values(), added])
        return added

    def revoke(self, name: str) -> Provider:
        """Voids all links of the provider so named (or of that id); new ones can be made at once.

        They sign in by an OpenID provider no more, until that is allowed again. When they signed
        out everywhere counts no more, either: it may have been while the clock was ahead, and the
        new epoch voids all that it did. Raises Refused `not_found`.
        """
        with self._locked():
            found = self._find(name)
            revoked = msgspec.structs.replace(
                found, epoch=found.epoch + 1, signed_out_at=0, openid=""
            )
            self._replace(revoked)
        return revoked

    def set_openid(self, name: str, openid: str) -> Provider:
        """Lets the provider so named (or of that id) sign in as `openid`; "" lets them no more.

        Raises Refused `not_found`, `bad_name`, or `already_used` where somebody else does.
        """
        if len(openid) > OPENID_MAX or not openid.isprintable() or openid != openid.strip():
            raise Refused("bad_name", f"a claim's value has 1 to {OPENID_MAX} printable characters")
        with self._locked():
            found = self._find(name)
            if openid and any(p.openid == openid and p.id != found.id for p in self.list()):
                raise Refused("already_used", f"another provider signs in as {openid!r}")
            changed = msgspec.structs.replace(found, openid=openid)
            self._replace(changed)
        return changed

    def sign_out(self, provider: str, now_ms: Callable[[], int]) -> None:
        """Ends every sign-in of the provider of that id, and voids sign-in links not yet used.

        Links to consultations stay good. Waits for the file's lock: call it off the loop. The time
        is asked for once the lock is held, since until then links can still be made.
        """
        with self._locked():
            now = now_ms()
            self._save(
                [
                    msgspec.structs.replace(p, signed_out_at=max(now, p.signed_out_at))
                    if p.id == provider
                    else p
                    for p in self._by_id.values()
                ]
            )

    def _find(self, name: str) -> Provider:
        found = self.named(name) or self.get(name)
        if found is None:
            raise Refused("not_found", f"there is no provider named {name!r}")
        return found

    def _replace(self, provider: Provider) -> None:
        self._save([provider if p.id == provider.id else p for p in self._by_id.values()])

    def _refresh(self) -> None:
        stamp = self._file.stamp()
        if stamp == self._seen or self._failure.is_recent(stamp):
            return
        try:
            self._load()
        except ConfigError:
            # Going on with what it held before.
            if self._failure.note(stamp):
                _log.exception("providers_file_unusable")

    def _load(self) -> None:
        with self._reading:
            stamp = self._file.stamp()  # taken before: what is written meanwhile is read next time
            self._by_id = self._read()
            self._seen = stamp
            self._failure.over()

    def _read(self) -> dict[str, Provider]:
        data = self._file.read()
        try:
            content = _File(()) if data is None else msgspec.json.decode(data, type=_File)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
            raise self._file.error(f"is not a providers file: {exc}") from exc
        by_id = {p.id: p for p in content.providers}
        if len(by_id) != len(content.providers):
            raise self._file.error("holds the same id twice")
        if len({p.name for p in content.providers}) != len(by_id):
            raise self._file.error("holds the same name twice")
        openids = [p.openid for p in content.providers if p.openid]
        if len(set(openids)) != len(openids):
            raise self._file.error("holds the same openid twice")
        return by_id

    def _save(self, providers: Sequence[Provider]) -> None:
        if len(providers) > PROVIDERS_MAX:
            raise Refused("slow_down", f"a providers file holds {PROVIDERS_MAX} at most")
        data = msgspec.json.format(msgspec.json.encode(_File(tuple(providers))), indent=2)
        self._file.write(data + b"\n")
        self._load()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes, with the file as it is now."""
        with self._file.locked():
            self._load()
            yield


def _tidy(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _new_id() -> str:
    """None that a command line would take for an option."""
    while True:
        made = base64.urlsafe_b64encode(secrets.token_bytes(_ID_BYTES)).decode("ascii")
        if not made.startswith("-"):
            return made
