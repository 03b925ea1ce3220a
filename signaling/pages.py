"""The web pages, served from memory.

All files are read once at the start, so no request ever names a path that reaches the disk: what is
not in the table does not exist. Top-level `NAME.html` is the page `/NAME` (`index.html` is `/`);
files in folders below are `/static/FOLDER/…`. Nothing else is served.

A page's head names its words in every language; it is served with those of the reader's only, and
with the operator's links at its foot (legal.py).
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from aiohttp import web

from signaling.headers import CACHE_NEVER, CACHE_REVALIDATE

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_TOTAL_BYTES = 16 * 1024 * 1024
"""Bounds of one file and of all together; beyond them the server does not start."""

_CONTENT_TYPES = {
    ".bin": "application/octet-stream",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_WORTH_PACKING = frozenset({".css", ".html", ".js", ".json", ".mjs", ".svg", ".txt"})


_WORDS = re.compile(rb'<link [^<>]*href="/static/i18n/(?:[\w-]+/)?([a-z]{2,3})\.json">\n')
"""The line in a page's head that fetches words ahead, and their language."""
_DEFAULT_LANGUAGE = "en"
_MAX_ACCEPT_LANGUAGE = 1024
_WEIGHT = re.compile(r"[01](?:\.[0-9]{0,3})?")


NO_FEET: Final[Mapping[str, bytes]] = MappingProxyType({})


class PagesError(Exception):
    """The web files cannot be served; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Form:
    """One body as it goes over the wire."""

    body: bytes
    packed: bytes | None
    etag: str


@dataclass(frozen=True, slots=True)
class Page:
    """One file, in one form or in one for each language."""

    path: Path
    modified_ns: int
    size: int
    forms: Mapping[str, Form]
    content_type: str
    cache_control: str

    def form(self, accept_language: str) -> Form:
        """Choose by the header `Accept-Language` (RFC 9110 section 12.5.4), else English."""
        return self.forms[_language(accept_language, self.forms)]

    @property
    def varies(self) -> str:
        """What of a request decides on the answer, for the header `Vary`; may be empty."""
        several = "Accept-Language" if len(self.forms) > 1 else ""
        packed = "Accept-Encoding" if any(form.packed for form in self.forms.values()) else ""
        return ", ".join(filter(None, (several, packed)))


def read(path: Path, feet: Mapping[str, bytes] = NO_FEET) -> Page:
    """Make a page of a file; raises PagesError if it is too large, OSError if it is not there.

    `feet`: language -> HTML that ends every page.
    """
    modified_ns = path.stat().st_mtime_ns
    body = path.read_bytes()
    if len(body) > MAX_FILE_BYTES:
        raise PagesError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    is_page = path.suffix == ".html"
    languages = set(_WORDS.findall(body)) if is_page else set()
    if _DEFAULT_LANGUAGE.encode() in languages:
        bodies = {code.decode(): _only(code, body) for code in languages}
    else:
        bodies = {_DEFAULT_LANGUAGE: body}
    if is_page and feet:
        bodies = {code: _with_foot(one, feet[code]) for code, one in bodies.items()}
    return Page(
        path=path,
        modified_ns=modified_ns,
        size=len(body),
        forms={code: _form(one, path.suffix) for code, one in bodies.items()},
        content_type=_CONTENT_TYPES[path.suffix],
        cache_control=CACHE_NEVER if is_page else CACHE_REVALIDATE,
    )


def _only(language: bytes, html: bytes) -> bytes:
    return _WORDS.sub(lambda line: line[0] if line[1] == language else b"", html)


def _with_foot(html: bytes, foot: bytes) -> bytes:
    before, end, after = html.rpartition(b"</body>")
    return before + foot + end + after if end else html + foot


def _form(body: bytes, suffix: str) -> Form:
    packed = None
    if suffix in _WORTH_PACKING:
        smaller = gzip.compress(body, 9, mtime=0)
        packed = smaller if len(smaller) < len(body) else None
    return Form(body, packed, '"' + hashlib.sha256(body).hexdigest()[:32] + '"')


def _url_of(name: PurePosixPath) -> str:
    if len(name.parts) > 1:
        return f"/static/{name}"
    return "/" if name.stem == "index" else f"/{name.stem}"


class Pages:
    """The table of everything under `root` that a browser may fetch."""

    def __init__(
        self, root: Path, *, feet: Mapping[str, bytes] = NO_FEET, reload: bool = False
    ) -> None:
        """Read all files below `root`; with `reload`, look at each again when it is asked for.

        `feet`: language -> HTML that ends every page. Raises PagesError when the files exceed the
        bounds.
        """
        self._feet = feet
        self._reload = reload
        self._pages: dict[str, Page] = {}
        total = 0
        for path in sorted(root.rglob("*")):
            name = PurePosixPath(path.relative_to(root).as_posix())
            is_page = len(name.parts) == 1 and path.suffix == ".html"
            is_static = len(name.parts) > 1 and path.suffix in _CONTENT_TYPES
            if any(part.startswith((".", "_")) for part in name.parts):
                continue
            if not (is_page or is_static) or not path.is_file():
                continue
            page = read(path, feet)
            total += page.size
            if total > MAX_TOTAL_BYTES:
                raise PagesError(f"the files below {root} exceed {MAX_TOTAL_BYTES} bytes")
            self._pages[_url_of(name)] = page

    def urls(self) -> list[str]:
        """Give every path that is served."""
        return list(self._pages)

    def _page(self, url: str) -> Page | None:
        page = self._pages.get(url)
        if page is None or not self._reload:
            return page
        try:
            if page.path.stat().st_mtime_ns != page.modified_ns:
                page = self._pages[url] = read(page.path, self._feet)
        except OSError:
            return page  # being rewritten by an editor: the last whole one will do
        return page

    def respond(self, request: web.Request) -> web.Response | None:
        """Answer GET or HEAD for a known path, conditionally (RFC 9110 section 13); else None."""
        page = self._page(request.path)
        if page is None:
            return None
        form = page.form(request.headers.get("Accept-Language", ""))
        headers = {
            "Content-Type": page.content_type,
            "Cache-Control": page.cache_control,
            "ETag": form.etag,
        }
        if page.varies:
            headers["Vary"] = page.varies
        known = request.headers.get("If-None-Match", "")
        if form.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return web.Response(status=304, headers=headers)
        body = form.body
        if form.packed is not None and _takes_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = form.packed
        return web.Response(body=body, headers=headers)

    def not_found(self) -> web.Response | None:
        """Tell a person that there is no such page; None where there is no page to say it with."""
        page = self._page("/404")
        if page is None:
            return None
        headers = {"Content-Type": page.content_type, "Cache-Control": CACHE_NEVER}
        return web.Response(status=404, body=page.form("").body, headers=headers)


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.split(","):
        coding, _, weight = item.replace(" ", "").lower().partition(";q=")
        if coding == "gzip":
            return weight not in ("0", "0.0", "0.00", "0.000")
    return False


def _language(accept_language: str, known: Mapping[str, Form]) -> str:
    best, best_weight = _DEFAULT_LANGUAGE, 0.0
    for item in accept_language[:_MAX_ACCEPT_LANGUAGE].split(","):
        tag, _, weight = item.replace(" ", "").lower().partition(";q=")
        language = tag.partition("-")[0]
        weighs = 1.0 if not weight else float(weight) if _WEIGHT.fullmatch(weight) else 0.0
        # As the pages do it: the first one spoken here, by its base.
        if language in known and weighs > best_weight:
            best, best_weight = language, weighs
    return best
