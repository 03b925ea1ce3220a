"""The signing keys: Ed25519, one file each, told apart by the time at which they came into use.

`state_dir/keys/{since}-{kid}.pem`, PKCS #8. The newest signs. An older one verifies until
`LIFETIME_MAX` after its successor came: no token lives longer than that from its minting on, so
by then the last one it signed has expired. Nothing but the names is needed to know all this, so
several processes can share a directory, and a rotation is one new file.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from . import ownership
from .errors import ConfigError, UnusableError
from .public_keys import PublicKeys, key_id
from .state_file import Failure
from .tokens import LIFETIME_MAX

KEYS_MAX: Final = 64  # files looked at; far more than rotating daily would leave within a lifetime
_NAME: Final = re.compile(r"(\d{1,12})-([A-Za-z0-9_-]{16})\.pem")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    kid: str  # the first 96 bits of SHA-256 of the public key, base64url
    since: int  # seconds since 1970: signs from then on
    until: int | None  # verifies before then; None for the key that signs now
    private: Ed25519PrivateKey = field(repr=False)
    public: Ed25519PublicKey = field(repr=False)


class KeyRing:
    """The keys of one state directory. Sees files that another process adds or takes away.

    A directory that can no longer be read is logged, and what was read before stays in force until
    it can be.
    """

    def __init__(self, directory: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._seen: tuple[int, int] | None = None  # of what is in `_keys`
        self._failure: Failure[tuple[int, int]] = Failure(monotonic)
        self.public_keys = PublicKeys(directory.parent)
        self._keys: dict[str, Key] = {}
        self._current: Key | None = None

    @classmethod
    def open(
        cls,
        state_dir: Path,
        now: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> KeyRing:
        """The ring in `state_dir/keys`, made with a first key (as of `now`) if there is none.

        Raises ConfigError when the directory cannot be used or holds a broken key.
        """
        ring = cls(state_dir / "keys", monotonic)
        ring._prepare()
        ring._reload()
        if ring._current is None:
            ring.rotate(time.time() if now is None else now)
        else:
            ring._remember()
        return ring

    @property
    def current(self) -> Key:
        """The key that signs."""
        self._refresh()
        if self._current is None:
            raise UnusableError(f"KONSIL_STATE_DIR: {self._directory} holds no key any more")
        return self._current

    def find(self, kid: str, now: float) -> Ed25519PublicKey | None:
        """The public key of that id, unless every token it signed has expired before `now`."""
        self._refresh()  # also for one that is known: removing its file voids its links at once
        key = self._keys.get(kid)
        if key is None or (key.until is not None and now >= key.until):
            return None
        return key.public

    def __iter__(self) -> Iterator[Key]:
        """All keys, oldest first."""
        self._refresh()
        return iter(tuple(self._keys.values()))

    def rotate(self, now: float) -> Key:
        """Makes a new key, which signs from now on, and removes those whose time is over."""
        self._check_owner()
        self._refresh()
        newest = self._current
        since = int(now) if newest is None else max(int(now), newest.since + 1)
        private = Ed25519PrivateKey.generate()
        # Before it signs anything, and before a former one goes.
        self.public_keys.remember(
            [private.public_key(), *(key.public for key in self._keys.values())]
        )
        self._write(f"{since}-{key_id(private.public_key())}.pem", private)
        self._reload()
        for key in self._keys.values():
            if key.until is not None and now >= key.until:
                (self._directory / f"{key.since}-{key.kid}.pem").unlink(missing_ok=True)
        self._reload()
        return self.current

    def _remember(self) -> None:
        """Keys made before their public halves were kept; who may only read goes without."""
        try:
            self.public_keys.remember(key.public for key in self)
        except ConfigError:
            _log.exception("public_keys_unusable")

    def _prepare(self) -> None:
        if not self._directory.exists():
            self._check_owner()
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._directory.stat().st_mode & 0o077:
                self._directory.chmod(0o700)
        except OSError as exc:
            raise UnusableError(
                f"KONSIL_STATE_DIR: cannot use {self._directory}: {exc.strerror}"
            ) from exc

    def _check_owner(self) -> None:
        """Before anything is written: else servers of another user find a key they cannot read."""
        ownership.check(self._directory / "new", self._directory.parent)

    def _write(self, name: str, private: Ed25519PrivateKey) -> None:
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        draft = self._directory / f".{secrets.token_hex(8)}.tmp"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._directory / name)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise UnusableError(
                f"KONSIL_STATE_DIR: cannot write a key to {self._directory}: {exc.strerror}"
            ) from exc

    def _refresh(self) -> None:
        stamp = self._stamp()
        if stamp == self._seen or self._failure.is_recent(stamp):
            return
        try:
            self._reload()
        except ConfigError:
            # Going on with the keys known before.
            if self._failure.note(stamp):
                _log.exception("keys_unusable")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._directory.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def _reload(self) -> None:
        stamp = self._stamp()  # taken before: what comes meanwhile is seen next time
        try:
            names = sorted(entry.name for entry in os.scandir(self._directory))
        except OSError as exc:
            raise UnusableError(
                f"KONSIL_STATE_DIR: cannot read {self._directory}: {exc.strerror}"
            ) from exc
        found = sorted(
            (int(match[1]), match[2], name)
            for name in names
            if (match := _NAME.fullmatch(name)) is not None
        )[-KEYS_MAX:]
        keys: dict[str, Key] = {}
        for index, (since, kid, name) in enumerate(found):
            until = found[index + 1][0] + LIFETIME_MAX if index + 1 < len(found) else None
            known = self._keys.get(kid)
            private = known.private if known else _read(self._directory / name, kid)
            keys[kid] = Key(kid, since, until, private, private.public_key())
        self._keys = keys
        self._current = next(reversed(keys.values()), None)
        self._seen = stamp
        self._failure.over()


def _read(path: Path, kid: str) -> Ed25519PrivateKey:
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as exc:
        raise UnusableError(f"KONSIL_STATE_DIR: cannot read {path}: {exc.strerror}") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise UnusableError(f"KONSIL_STATE_DIR: {path} is not a private key in PEM") from exc
    if not isinstance(private, Ed25519PrivateKey) or key_id(private.public_key()) != kid:
        raise UnusableError(f"KONSIL_STATE_DIR: {path} is not the Ed25519 key its name says")
    return private
