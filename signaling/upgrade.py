"""GET /ws: the opening handshake of RFC 6455 section 4.2, and the change from HTTP to frames."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from signaling.api import address_of
from signaling.deps import Deps
from signaling.door import door_of
from signaling.headers import origin_of
from signaling.hub import Hub
from signaling.problem import problem

SUBPROTOCOL: Final = "konsil.v1"

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_UPGRADE_REQUIRED: Final = 426


class Upgraded(web.Response):
    """Told to aiohttp in place of an answer: the connection is no longer its own."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""


class Upgrade:
    """The handler of /ws."""

    def __init__(self, deps: Deps, hub: Hub, headers: Mapping[str, str]) -> None:
        """`headers`: the security headers, for the 101 response too."""
        self._deps = deps
        self._hub = hub
        self._origin = origin_of(deps.public_url)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._head = (
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
            f"{lines}"
            "Sec-WebSocket-Accept: "
        ).encode("latin-1")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Open a WebSocket, or say why not."""
        headers = request.headers
        if headers.get("Origin") != self._origin:
            self._deps.metrics.refused("origin_refused")
            return problem("origin_refused", "pages of other origins may not connect")
        if "upgrade" not in _tokens(headers, "Connection") or "websocket" not in _tokens(
            headers, "Upgrade"
        ):
            upgrade = {"Upgrade": "websocket"}
            return problem(
                "bad_request", "a WebSocket only", status=_UPGRADE_REQUIRED, headers=upgrade
            )
        if headers.getall("Sec-WebSocket-Version", []) != ["13"]:
            return problem(
                "bad_request",
                "WebSocket version 13 only",
                status=_UPGRADE_REQUIRED,
                headers={"Sec-WebSocket-Version": "13"},
            )
        keys = headers.getall("Sec-WebSocket-Key", [])
        if len(keys) != 1 or not _is_key(keys[0]):
            return problem("bad_request", "Sec-WebSocket-Key is not 16 bytes of base64")
        if SUBPROTOCOL not in _tokens(headers, "Sec-WebSocket-Protocol"):
            return problem("bad_request", f"the subprotocol {SUBPROTOCOL} is needed")
        if self._hub.arrivals.draining:
            return problem("store_unavailable", "this node is stopping", {"retry_after": 1})
        door = door_of(request)
        if door is None:
            raise ConnectionResetError
        socket = self._hub.enter(address_of(request, self._deps) or "local")
        if socket is None:
            detail = "too many connections that say nothing"
            return problem("slow_down", detail, {"retry_after": 5})
        # RFC 6455 section 4.2.2 step 5.4; SHA-1 is no matter of secrecy here.
        digest = hashlib.sha1(keys[0].encode("ascii") + _MAGIC, usedforsecurity=False).digest()
        door.upgrade(socket, self._head + base64.b64encode(digest) + b"\r\n\r\n")
        return Upgraded()


def _tokens(headers: Mapping[str, str], name: str) -> list[str]:
    return [token.strip().lower() for token in headers.get(name, "").split(",")]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
