"""The forms of the fields of messages (docs/protocol.md section 2), and what all messages share."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

MAX_INTEGER: Final = 2**53 - 1
MAX_SDP: Final = 60_000
"""Characters of a description; with the rest of its message it stays below 65,536 bytes."""

Id = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Millis = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
ParticipantId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]
Secret = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22,64}\Z")]
Instance = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,32}\Z")]
Token = Annotated[str, Meta(min_length=1, max_length=2048)]
SignalData = Annotated[str, Meta(min_length=1, max_length=60_000)]

Role = Literal["host", "client", "guest"]
DeviceWord = Literal["works", "refused", "missing"]
Status = Literal["waiting", "admitted", "in_call", "left", "declined", "removed"]


class ClientBase(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="type"
):
    """Common configuration of a page's messages; not a message."""


class ServerBase(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type"
):
    """Common configuration of a server's messages; not a message."""
