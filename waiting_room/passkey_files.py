"""Where passkeys are kept: `state_dir/passkeys/{provider's id}.json`, mode 0600.

A file of a provider's own, since an assertion names the provider: nothing has to be searched, and
one who signs in waits for nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec

from .errors import Refused
from .passkeys import Passkey, unknown
from .providers import Provider
from .state_file import StateFile

PASSKEYS_MAX: Final = 16  # of one provider; beyond it one has to be removed first
_PROVIDER: Final = re.compile(r"[A-Za-z0-9_-]{12}")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    passkeys: Annotated[tuple[Passkey, ...], msgspec.Meta(max_length=PASSKEYS_MAX)] = ()
    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class PasskeyFiles:
    """Of one state directory. Methods touch the disk and wait for locks: call them off the loop.

    All of them raise ConfigError where a file cannot be used. Passkeys of a former epoch of their
    provider are as if they were not there, and go when the file is next written.
    """

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "passkeys"

    def list(self, provider: Provider) -> tuple[Passkey, ...]:
        """In the order in which they were added."""
        return self._read(self._file(provider), provider)

    def add(
        self, provider: Provider, passkey: Passkey, check: Callable[[], None] | None = None
    ) -> None:
        """Raises Refused: `already_used` for one that is there, `passkeys_full` at the bound.

        `check` may raise, too, under the lock: who signs out everywhere ends the sign-in first and
        then clears, so that what an ended sign-in adds is refused, or cleared.
        """
        file = self._file(provider)
        with file.locked():
            if check is not None:
                check()
            there = self._read(file, provider)
            if any(one.id == passkey.id for one in there):
                raise Refused("already_used", "this passkey is known already")
            if len(there) >= PASSKEYS_MAX:
                raise Refused("passkeys_full", f"there are {PASSKEYS_MAX}; remove one first")
            self._write(file, (*there, passkey))

    def use(self, provider: Provider, credential: str, check: Callable[[Passkey], int]) -> None:
        """Lets `check` look at a passkey; keeps the count of signatures that it gives.

        One at a time, so that no count is accepted twice. Raises what `check` does, and Refused
        `passkey_refused` for a passkey that is not there.
        """
        file = self._file(provider)
        with file.locked():
            there = self._read(file, provider)
            found = next((one for one in there if one.id == credential), None)
            if found is None:
                raise unknown()
            count = check(found)
            if count != found.count:
                counted = msgspec.structs.replace(found, count=count)
                self._write(file, tuple(counted if one is found else one for one in there))

    def remove(self, provider: Provider, handle: str) -> None:
        """Raises Refused `not_found`."""
        file = self._file(provider)
        with file.locked():
            there = self._read(file, provider)
            rest = tuple(one for one in there if one.handle != handle)
            if len(rest) == len(there):
                raise Refused("not_found", "there is no such passkey")
            self._write(file, rest)

    def clear(self, provider: Provider) -> int:
        """Removes all of them; gives how many there were."""
        file = self._file(provider)
        with file.locked():
            there = self._read(file, provider)
            self._write(file, ())
        return len(there)

    def _file(self, provider: Provider) -> StateFile:
        assert _PROVIDER.fullmatch(provider.id), "as the providers file has it"
        return StateFile(self._directory / f"{provider.id}.json", self._directory.parent)

    def _read(self, file: StateFile, provider: Provider) -> tuple[Passkey, ...]:
        data = file.read()
        if data is None:
            return ()
        try:
            content = msgspec.json.decode(data, type=_File)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
            raise file.error(f"is not a file of passkeys: {exc}") from exc
        return tuple(one for one in content.passkeys if one.epoch == provider.epoch)

    def _write(self, file: StateFile, passkeys: tuple[Passkey, ...]) -> None:
        if passkeys:
            encoded = msgspec.json.encode(_File(passkeys))
            file.write(msgspec.json.format(encoded, indent=2) + b"\n")
        else:
            file.delete()
