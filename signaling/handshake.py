"""The opening handshake of a WebSocket, from the server's side (RFC 6455 section 4.2). Pure.

Done here and not by the HTTP server: it needs a few header fields only, and thousands of pages
that come back at once after a restart should not each cost a request object and a task.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from signaling.guard import problem

PATH: Final = "/ws"
SUBPROTOCOL: Final = "konsil.v1"

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_STARTS: Final = (f"GET {PATH} ".encode(), f"GET {PATH}?".encode())


def is_for_websocket(request: bytes) -> bool:
    """Whether a whole request is a GET of PATH."""
    return request.startswith(_STARTS)


def fields_of(request: bytes) -> dict[str, str]:
    """The header fields of a request that the guard let through, by lower-case name.

    Values of a repeated field are joined by commas (RFC 9110 section 5.2).
    """
    fields: dict[str, str] = {}
    head, _, _ = request.partition(b"\r\n\r\n")
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip("\t ")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


class NotOpened(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The handshake is refused: a whole HTTP response, after which the connection closes."""

    def __init__(self, code: str, response: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.response = response


class Handshake:
    """Answers handshakes for one public origin."""

    def __init__(self, origin: str, headers: bytes) -> None:
        """`headers`: security headers for all answers, each line ended by CRLF."""
        self._origin = origin
        self._headers = headers
        self._opened = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: %b\r\n%bSec-WebSocket-Accept: "
            % (SUBPROTOCOL.encode(), headers)
        )

    def open(self, fields: Mapping[str, str]) -> bytes:
        """The response that opens the WebSocket. Raises NotOpened."""
        if fields.get("origin") != self._origin:
            raise self.refused(
                HTTPStatus.FORBIDDEN, "origin_refused", "pages of other origins may not connect"
            )
        # The guard lets no other upgrade through, nor one without `Connection: Upgrade`.
        if "upgrade" not in fields:
            raise self._upgrade_required("a WebSocket only", b"Upgrade: websocket\r\n")
        if fields.get("sec-websocket-version") != "13":
            raise self._upgrade_required(
                "WebSocket version 13 only", b"Sec-WebSocket-Version: 13\r\n"
            )
        key = fields.get("sec-websocket-key", "")
        if not _is_key(key):
            raise self._bad("Sec-WebSocket-Key is not 16 bytes of base64")
        offered = fields.get("sec-websocket-protocol", "").split(",")
        if SUBPROTOCOL not in (name.strip("\t ") for name in offered):
            raise self._bad(f"the subprotocol {SUBPROTOCOL} is needed")
        # Section 4.2.2, step 5.4; SHA-1 is no matter of secrecy here.
        digest = hashlib.sha1(key.encode("ascii") + _MAGIC, usedforsecurity=False).digest()
        return self._opened + base64.b64encode(digest) + b"\r\n\r\n"

    def refused(self, status: HTTPStatus, code: str, detail: str, more: bytes = b"") -> NotOpened:
        """The refusal with that code; `more`: further header lines."""
        return NotOpened(code, problem(status, code, detail, self._headers + more))

    def _bad(self, detail: str) -> NotOpened:
        return self.refused(HTTPStatus.BAD_REQUEST, "bad_request", detail)

    def _upgrade_required(self, detail: str, more: bytes) -> NotOpened:
        return self.refused(HTTPStatus.UPGRADE_REQUIRED, "bad_request", detail, more)


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
