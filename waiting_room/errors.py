"""What this package raises: one family, so that one place can turn it into an answer.

`Refused` and its children carry a stable `code` of docs/protocol.md section 6, a `detail` in plain
words, and `extra`: further members of the answer, already in the wire's units (times in ms).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_NOTHING: Mapping[str, str | int | float] = MappingProxyType({})


class KonsilError(Exception):
    """Everything this package raises on purpose."""


class ConfigError(KonsilError):
    """A setting that cannot work. The message is one line: which setting, and what to do."""


class UnusableError(ConfigError):
    """What a setting names is there, or was, but is of no use now: a directory, a disk, Redis."""


class Refused(KonsilError):  # noqa: N818 - it is an answer, not an error of ours
    """Somebody asked for what may not be. Never a fault of ours."""

    def __init__(
        self, code: str, detail: str = "", extra: Mapping[str, str | int | float] = _NOTHING
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.extra = extra


class TokenError(Refused):
    """A token that opens nothing.

    `reason` is set with `token_invalid` only; `opens_at` (whole seconds since 1970) with
    `token_not_open_yet` only. The message never holds any of the token's text.
    """

    def __init__(
        self, code: str, reason: str | None = None, opens_at: int | None = None, detail: str = ""
    ) -> None:
        extra: dict[str, str | int | float] = {}
        if reason is not None:
            extra["reason"] = reason
        if opens_at is not None:
            extra["opens_at"] = opens_at * 1000
        super().__init__(code, detail or (reason or "").replace("_", " "), extra)
        self.reason = reason
        self.opens_at = opens_at


class StoreUnavailable(Refused):
    """Redis does not answer, or not as it should. Calls go on; try again after `retry_after` s."""

    def __init__(self, detail: str, retry_after: float = 1.0) -> None:
        super().__init__("store_unavailable", detail, {"retry_after": retry_after})
        self.retry_after = retry_after


class RoomUnavailable(StoreUnavailable):
    """Redis answers, but this one room cannot be changed now; that says nothing of others."""


class Unreadable(RoomUnavailable):
    """One session as another version stored it; the others are none the worse for it."""
