"""A description cut into numbered lines and media sections (RFC 8866 §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_CHARACTERS: Final = 60_000
MAX_LINES: Final = 8_000
MAX_LINE: Final = 2_000
MAX_SECTIONS: Final = 128

_LINE: Final = re.compile(r"[a-z]=[\x20-\x7e\x80-\U0010ffff]*")
_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,32}")


class BadDescriptionError(ValueError):
    """An offer that is not understood. `field` names the line and `detail` says what is wrong.

    Neither holds a value from the description: descriptions carry addresses.
    """

    def __init__(self, line: int, name: str, detail: str) -> None:
        super().__init__(f"line {line} {name}: {detail}")
        self.field = f"line {line} {name}".rstrip()
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `name` is `m`, `c`, … or for an attribute `a=mid`; `value` is what follows.

    The value of `a=mid:0` is `0`; a flag's, as of `a=rtcp-mux`, is empty.
    """

    number: int
    name: str
    value: str

    def bad(self, detail: str) -> BadDescriptionError:
        return BadDescriptionError(self.number, self.name, detail)


@dataclass(slots=True)
class Block:
    """The lines of the session, or of one media section, whose first line is then its `m=`."""

    lines: list[Line] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Line]:
        return (line for line in self.lines if line.name == name)

    def one(self, name: str) -> Line | None:
        """The line of that name; raises BadDescriptionError when there are two that differ."""
        found: Line | None = None
        for line in self.all(name):
            if found is not None and found.value != line.value:
                raise line.bad("given twice")
            found = line
        return found


@dataclass(slots=True)
class Description:
    """The session's own lines, then the sections in their order."""

    session: Block
    sections: list[Block]
    last_line: int


def split(text: str) -> Description:
    """Cut a description up; raises BadDescriptionError beyond the bounds above.

    Lines may end in CRLF or LF. Characters that have no place in a line of text are refused, so
    that nothing of an offer can end a line early in whatever we write.
    """
    if len(text) > MAX_CHARACTERS:
        last = text.count("\n", 0, MAX_CHARACTERS) + 1
        raise BadDescriptionError(last, "", f"longer than {MAX_CHARACTERS} characters")
    rows = text.split("\n")
    if rows[-1] == "":
        rows.pop()
    if len(rows) > MAX_LINES:
        raise BadDescriptionError(MAX_LINES + 1, "", f"more than {MAX_LINES} lines")
    session = block = Block()
    sections: list[Block] = []
    for number, row in enumerate(rows, 1):
        line = _line(number, row.removesuffix("\r"))
        if line.name == "m":
            if len(sections) == MAX_SECTIONS:
                raise line.bad(f"more than {MAX_SECTIONS} media sections")
            block = Block()
            sections.append(block)
        block.lines.append(line)
    first = session.lines[0] if session.lines else None
    if first is None or first.name != "v" or first.value != "0":
        raise BadDescriptionError(1, "v", "a description begins with v=0")
    return Description(session, sections, len(rows))


def _line(number: int, row: str) -> Line:
    if len(row) > MAX_LINE:
        raise BadDescriptionError(number, "", f"longer than {MAX_LINE} characters")
    if not _LINE.fullmatch(row):
        raise BadDescriptionError(number, "", "not a line of a session description")
    if row[0] != "a":
        return Line(number, row[0], row[2:])
    name, _, value = row[2:].partition(":")
    if not _NAME.fullmatch(name):
        raise BadDescriptionError(number, "a", "not an attribute")
    return Line(number, f"a={name}", value)
