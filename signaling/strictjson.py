"""Why a JSON text was refused: the slow path behind msgspec's fast one.

msgspec stops at the first fault and keeps the last of two equal members silently. What it
cannot say is found here by reading the text once more with the standard library's parser.
"""

from __future__ import annotations

import json
import re
from typing import Final

_AT = re.compile(r" - at `\$(.*)`\Z", re.DOTALL)
_ABOUT_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`\Z", re.DOTALL)
MAX_FIELD: Final = 64  # characters of a foreign field name that are repeated in an answer


class MessageError(Exception):
    """A message that is refused; the socket lives.

    `code` is ``bad_message`` or ``bad_name``; `field` the wire name of the field at fault (``""``
    when it is the message as a whole); `detail` one plain sentence without any of the content.
    """

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(code, field, detail)
        self.code = code
        self.field = field
        self.detail = detail


class _DuplicateError(Exception):
    """Stops the standard library's parser."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for field, value in pairs:
        if field in members:
            raise _DuplicateError(field)
        members[field] = value
    return members


def refuse_duplicates(data: bytes) -> dict[str, object]:
    """The members of `data`, an object in valid JSON. Raises MessageError if one is there twice."""
    try:
        members: dict[str, object] = json.loads(data, object_pairs_hook=_each_once)
    except _DuplicateError as duplicate:
        raise MessageError("bad_message", _shown(duplicate.field), "given twice") from None
    except (RecursionError, ValueError):
        # msgspec took it: then it is a form that only the standard library finds too much, and
        # what cannot be checked is not let through.
        raise MessageError("bad_message", "", "cannot be read as JSON") from None
    return members


def refusal(data: bytes, error: Exception) -> MessageError:
    """The error of `data` that msgspec refused with `error`."""
    text = str(error)
    path = ""
    if at := _AT.search(text):
        path = at.group(1).removeprefix(".")
        text = text[: at.start()]
    if isinstance(error, RecursionError):
        return MessageError("bad_message", "", "nested too deeply")
    if about := _ABOUT_FIELD.match(text):
        field = f"{path}.{about.group(2)}" if path else about.group(2)
        detail = "unknown field" if about.group(1) == "contains unknown" else "missing field"
        return MessageError("bad_message", _shown(field), detail)
    if text.startswith(("Invalid value", "Invalid enum value")):
        detail = "unknown message type" if path == "type" else "not one of the known values"
        return MessageError("bad_message", _shown(path), detail)
    if path:
        return MessageError("bad_message", _shown(path), _plain(text))
    if text.startswith("Expected"):
        return MessageError("bad_message", "", "a message is one JSON object")
    if field := _lone_surrogate(data):
        return MessageError("bad_message", field, "not Unicode text")
    return MessageError("bad_message", "", "not valid JSON")


def _lone_surrogate(data: bytes) -> str:
    """The top-level member whose text is no Unicode, if that is what is wrong with `data`."""
    if b"\\u" not in data:
        return ""
    try:
        members = json.loads(data)
    except (RecursionError, ValueError):
        return ""
    if isinstance(members, dict):
        for field, value in members.items():
            if isinstance(value, str) and not _is_unicode(value):
                return _shown(field)
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(field: str) -> str:
    """A foreign field name, fit to be repeated."""
    field = field[:MAX_FIELD]
    return field if field.isprintable() else ascii(field)[1:-1][:MAX_FIELD]


def _plain(text: str) -> str:
    """msgspec's sentence without code marks and patterns."""
    if "matching regex" in text:
        return "not of the required form"
    return text.replace("`", "").replace("Expected", "expected", 1)
