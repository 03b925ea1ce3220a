"""JSON bodies of the HTTP API, both ways."""

import json
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from waiting_room.errors import Refused

JSON: Final = "application/json"
_Body = TypeVar("_Body", bound=msgspec.Struct)


def answer(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(content, ensure_ascii=False).encode(),
        headers={"Content-Type": JSON},
    )


async def read_body(request: web.Request, decoder: msgspec.json.Decoder[_Body]) -> _Body:
    """The body of a request. Raises Refused `bad_request`, with the `field` where there is one."""
    if request.content_type != JSON:
        raise Refused("bad_request", f"the body must be {JSON}")
    raw = await request.read()
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        field = _field_of(error, decoder.type)
        raise Refused(
            "bad_request",
            f"{field}: missing, unknown or not of its type" if field else "not the JSON expected",
            {"field": field} if field else {},
        ) from None


def _field_of(error: Exception, body: type[msgspec.Struct]) -> str:
    """The field that msgspec complains of, if it is one of ours: its texts may quote the body."""
    text = str(error)
    names = (f.encode_name for f in msgspec.structs.fields(body))
    return next((name for name in names if f"`{name}`" in text or f"$.{name}" in text), "")
