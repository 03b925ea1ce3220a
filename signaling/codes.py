"""The one table from a stable error code to its HTTP status and WebSocket close code.

docs/protocol.md section 6 is the same table in words; a unit test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# RFC 6455 section 7.4.1; what the framing itself refuses with.
NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
INVALID_UTF8: Final = 1007
TOO_BIG: Final = 1009
INTERNAL: Final = 1011


@dataclass(frozen=True, slots=True)
class Code:
    """What one error code becomes. ``None`` where the code has no such form."""

    code: str
    http: int | None
    close: int | None


def _table(*rows: tuple[str, int | None, int | None]) -> MappingProxyType[str, Code]:
    return MappingProxyType({code: Code(code, http, close) for code, http, close in rows})


CODES: Final = _table(
    ("bad_request", 400, None),
    ("token_invalid", 401, 4401),
    ("token_wrong_role", 403, 4403),
    ("token_not_open_yet", 403, 4403),
    ("token_closed", 401, 4401),
    ("token_revoked", 401, 4401),
    ("already_used", 409, 4409),
    ("not_signed_in", 401, None),
    ("passkey_refused", 403, None),
    ("passkeys_full", 409, None),
    ("openid_refused", 403, None),
    ("openid_unknown", 403, None),
    ("openid_unavailable", 503, None),
    ("code_unknown", 404, None),
    ("not_ended", 409, None),
    ("room_ended", 410, 4410),
    ("room_locked", 423, 4423),
    ("room_full", 409, 4429),
    ("origin_refused", 403, None),
    ("hello_expected", None, 4401),
    ("bad_message", None, 4400),
    ("bad_name", None, None),
    ("not_allowed", 403, 4403),
    ("unknown_participant", None, None),
    ("slow_down", 429, 4429),
    ("slow_reader", None, 4408),
    ("taken_over", None, 4409),
    ("group_unsupported", None, 4403),
    ("stale_generation", None, None),
    ("bad_description", None, None),
    ("sfu_unavailable", None, None),
    ("store_unavailable", 503, 4503),
    ("not_ready", 503, None),
    ("going_away", None, 1001),
    ("too_large", 413, 1009),
    ("not_found", 404, None),
    ("internal", 500, 1011),
)


def http_status(code: str) -> int:
    """The HTTP status of `code`; 500 for one that has none: answering so is our fault."""
    entry = CODES.get(code)
    return 500 if entry is None or entry.http is None else entry.http


def close_code(code: str) -> int:
    """The WebSocket close code of `code`; 1011 for one that has none (our fault, as above)."""
    entry = CODES.get(code)
    return INTERNAL if entry is None or entry.close is None else entry.close
