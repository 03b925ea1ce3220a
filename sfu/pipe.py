"""What a node's process and whoever started it say to one another: JSON, one document a line."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from sfu.config import NodeConfig
from sfu.control import Event, Request, Result
from sfu.metrics import Stats

LINE_LIMIT: Final = 1 << 20  # bytes; a description has at most 60,000 characters
REPORT_SECONDS: Final = 1.0  # between two reports of a node's numbers


class Begin(Struct, frozen=True, tag_field="say", tag="begin"):
    """The first line to a node: its settings, and its sockets by file descriptor."""

    config: NodeConfig
    port: int
    udp: tuple[int, ...]
    tcp: tuple[int, ...]


class Ask(Struct, frozen=True, tag_field="say", tag="ask"):
    """A request; its result comes back under the same number."""

    number: int
    request: Request


class Ready(Struct, frozen=True, tag_field="say", tag="ready"):
    """The node serves."""


class Told(Struct, frozen=True, tag_field="say", tag="told"):
    """The result of a request."""

    number: int
    result: Result


class Happened(Struct, frozen=True, tag_field="say", tag="happened"):
    """An event."""

    event: Event


class Report(Struct, frozen=True, tag_field="say", tag="report"):
    """A node's numbers."""

    stats: Stats


ToNode = Begin | Ask
FromNode = Ready | Told | Happened | Report

_encode: Final = msgspec.json.Encoder().encode
_TO_NODE: Final[msgspec.json.Decoder[ToNode]] = msgspec.json.Decoder(ToNode)
_FROM_NODE: Final[msgspec.json.Decoder[FromNode]] = msgspec.json.Decoder(FromNode)


def line_of(message: ToNode | FromNode) -> bytes:
    return _encode(message) + b"\n"


def to_node(line: bytes) -> ToNode:
    return _TO_NODE.decode(line)


def from_node(line: bytes) -> FromNode:
    return _FROM_NODE.decode(line)
