"""Links and the ids in them. Pure: randomness is handed in.

`{public_url}/{page}#{token}~{secret}`: everything after `#` stays in the browser, and the secret
never leaves the page at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

Page = Literal["join", "host", "provider", "reception"]

ID_BYTES: Final = 16
_PAGES: Final[tuple[Page, ...]] = ("join", "host", "provider", "reception")
_LINK: Final = re.compile(
    r"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)(?:~([A-Za-z0-9_-]{22}))?"
)
_ROOM: Final = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class LinkParts:
    public_url: str  # without a slash at its end
    page: Page
    token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)  # 22 base64url characters


def make(parts: LinkParts) -> str:
    """The link. Raises ValueError for parts that `parse` would not give back."""
    base = parts.public_url.rstrip("/")
    link = f"{base}/{parts.page}#{parts.token}" + (f"~{parts.secret}" if parts.secret else "")
    if parse(link) is None:
        raise ValueError("these parts make no link")
    return link


def parse(link: str) -> LinkParts | None:
    """The parts of a link; None for anything else. The token is not looked into."""
    before, _, fragment = link.partition("#")
    base, _, page = before.rpartition("/")
    match = _LINK.fullmatch(fragment)
    known = next((p for p in _PAGES if p == page), None)
    if match is None or known is None:
        return None
    try:
        url = urlsplit(base)
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.netloc or url.query:
        return None
    return LinkParts(base, known, match[1], match[2])


def reception(public_url: str, tokens: Sequence[str]) -> str:
    """The link of a reception that works for several providers: `{public_url}/reception#{t}+{t}…`.

    Raises ValueError where there is no token, or one that is none.
    """
    first, *more = (make(LinkParts(public_url, "reception", token)) for token in tokens)
    return "+".join((first, *(link.partition("#")[2] for link in more)))


def new_id(random: bytes) -> str:
    """22 base64url characters out of 16 random bytes: a room, a jti or a link's secret."""
    if len(random) != ID_BYTES:
        raise ValueError(f"an id takes {ID_BYTES} random bytes, not {len(random)}")
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")


new_room_id = new_secret = new_id


def is_room_id(text: str) -> bool:
    return _ROOM.fullmatch(text) is not None
