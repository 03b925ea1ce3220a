"""What the head of an HTTP request may be (RFC 9112, RFC 9110), stricter than those allow.

Everything two parsers could understand differently is refused, so that no proxy in front of this
server and no parser behind this one can be talked into seeing another request.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})

# RFC 9112 section 3, with one space between the parts, and RFC 3986 section 3.3 and 3.4 in
# origin-form (`/path?query`) only: no absolute-form, no authority-form, no `*`, no fragment.
_request_line: Final = re.compile(
    rb"([A-Z]++) (/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*+)(\?[A-Za-z0-9._~!$&'()*+,;=:@/%?-]*+)?"
    rb" HTTP/1\.([01])\r\n"
).fullmatch

# A path of plain segments needs no further look.
_plain_path: Final = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*+)*+/?").fullmatch
_stray_percent: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_hidden: Final = re.compile(rb"[\x00-\x1f\x7f\\]").search

# RFC 9112 section 5: no space before the colon, no folding, no bare CR or LF, no NUL or control.
_fields: Final = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)*+").fullmatch
_of_interest: Final = re.compile(
    rb"^(host|content-length|content-encoding|transfer-encoding|connection|upgrade|expect):"
    rb"[\t ]*([^\r]*)",
    re.IGNORECASE | re.MULTILINE,
).finditer

# RFC 9110 section 7.2; a registered name, an IPv4 address or an IPv6 literal, and a port.
_host: Final = re.compile(rb"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_length: Final = re.compile(rb"[0-9]{1,15}").fullmatch


class BadRequest(Exception):  # noqa: N818 - the name of the status it becomes
    """One plain sentence, without anything of the request."""


class Fields(NamedTuple):
    content_length: int
    upgrade: bool  # to a WebSocket
    last: bool  # the client asks for the connection to be closed after the answer


def parse_request_line(line: bytes) -> bool:
    """Checks a line (with its CR LF). Whether it is HTTP/1.0. Raises BadRequest."""
    match = _request_line(line)
    if match is None:
        raise BadRequest("the request line is malformed")
    method, path, query, minor = match.groups()
    if method not in METHODS:
        raise BadRequest("unknown method")
    if not _plain_path(path):
        _check_path(path)
    if query and b"%" in query and (_stray_percent(query) or b"%00" in query):
        raise BadRequest("the query is not properly encoded")
    return minor == b"0"


def _check_path(path: bytes) -> None:
    if _stray_percent(path):
        raise BadRequest("the path is not properly encoded")
    # Slashes first: unquoting would hide which of them were encoded.
    if b"%2f" in path.lower():
        raise BadRequest("an encoded slash in the path")
    plain = unquote_to_bytes(path)
    if _hidden(plain):
        raise BadRequest("an encoded control character or backslash in the path")
    segments = plain.split(b"/")
    if b".." in segments or b"." in segments:
        raise BadRequest("a dot segment in the path")
    if b"" in segments[1:-1]:
        raise BadRequest("an empty segment in the path")
    try:
        plain.decode()
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8") from None


def parse_fields(block: bytes) -> Fields:
    """The header lines, each with its CR LF, without the empty line. Raises BadRequest."""
    if _fields(block) is None:
        raise BadRequest("a header line is malformed")
    values: dict[bytes, bytes] = {}
    for match in _of_interest(block):
        name = match.group(1).lower()
        value = match.group(2).rstrip(b"\t ")
        if name == b"connection" and name in values:
            value = values[name] + b"," + value
        elif name in values:
            raise BadRequest(f"{name.decode().title()} is given twice")
        values[name] = value
    if _host.fullmatch(values.get(b"host", b"")) is None:
        raise BadRequest("Host is missing or malformed")
    if b"transfer-encoding" in values:
        raise BadRequest("Transfer-Encoding is not accepted; send Content-Length")
    if b"content-encoding" in values:
        # aiohttp would unpack it whoever sends it: 600 bytes can be 400 MB.
        raise BadRequest("Content-Encoding is not accepted")
    if b"expect" in values:
        raise BadRequest("Expect is not accepted")
    length = values.get(b"content-length", b"0")
    if _length(length) is None:
        raise BadRequest("Content-Length is malformed")
    options = {option.strip() for option in values.get(b"connection", b"").lower().split(b",")}
    upgrade = b"upgrade" in values
    if upgrade and (
        values[b"upgrade"].lower() != b"websocket" or b"upgrade" not in options or int(length)
    ):
        raise BadRequest("only an upgrade to a WebSocket is accepted")
    return Fields(int(length), upgrade, b"close" in options)
