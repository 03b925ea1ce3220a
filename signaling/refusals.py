"""What a refusal is as a message; `problem.py` makes the same of it for HTTP."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from signaling.messages import Error
from waiting_room.errors import Refused

_MEMBERS: Final = ("field", "reason", "retry_after", "opens_at")


def error_of(refused: Refused, id: int | None = None) -> Error:
    """Give the error that answers message `id`; None: what it answers has no id."""
    members = {name: refused.extra[name] for name in _MEMBERS if name in refused.extra}
    return Error(
        refused.code,
        refused.detail,
        id=UNSET if id is None else id,
        **members,  # type: ignore[arg-type]
    )
