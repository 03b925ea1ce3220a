"""HTTP errors as RFC 9457 problem documents."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from signaling.codes import http_status
from waiting_room.errors import Refused

CONTENT_TYPE: Final = "application/problem+json"

_MEMBERS: Final = ("field", "reason", "opens_at", "retry_after")


def problem(
    code: str,
    detail: str = "",
    extra: Mapping[str, str | int | float] | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Make the answer for `code`, with the extra members of docs/protocol.md section 6."""
    number = http_status(code) if status is None else status
    document: dict[str, str | int | float] = {
        "type": "about:blank",
        "title": HTTPStatus(number).phrase,
        "status": number,
        "code": code,
        "detail": detail or HTTPStatus(number).phrase,
    }
    extra = extra or {}
    document.update({name: extra[name] for name in _MEMBERS if name in extra})
    fields = dict(headers or {})
    fields["Content-Type"] = CONTENT_TYPE
    retry_after = extra.get("retry_after")
    if isinstance(retry_after, int | float):
        fields["Retry-After"] = str(max(1, round(retry_after)))
    if number == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = "Bearer"
    return web.Response(status=number, body=json.dumps(document).encode(), headers=fields)


def problem_of(refused: Refused) -> web.Response:
    """Make the answer for something that was refused."""
    return problem(refused.code, refused.detail, refused.extra)
