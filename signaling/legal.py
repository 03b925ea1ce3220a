"""The foot of every page: links to the operator's imprint and privacy notice.

They are in the HTML, so that they need no script; `web/js/page.js` says them anew where somebody
switches the language.
"""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path


def feet(web_root: Path, *, imprint: str, privacy: str) -> Mapping[str, bytes]:
    """Language -> HTML, for every language there is; nothing where there is nothing to link to."""
    if not (imprint or privacy):
        return {}
    return {
        path.stem: foot(path.stem, json.loads(path.read_bytes()), imprint, privacy).encode()
        for path in sorted((web_root / "i18n").glob("*.json"))
    }


def foot(language: str, words: Mapping[str, str], imprint: str, privacy: str) -> str:
    """Make the HTML; a URL that is empty has no link."""
    links = [
        _link(name, url, rel, words[f"shell.{name}"])
        for name, url, rel in (
            ("imprint", imprint, "noopener"),
            # A link type of the HTML standard; an imprint has none.
            ("privacy", privacy, "privacy-policy noopener"),
        )
        if url
    ]
    return f'<footer class="legal" lang="{language}">' + "\n".join(links) + "</footer>\n"


def _link(name: str, url: str, rel: str, word: str) -> str:
    # In a tab of its own: whoever waits keeps this one.
    return (
        f'<a data-testid="{name}-link" href="{escape(url)}" target="_blank" rel="{rel}">'
        f"{escape(word)}</a>"
    )
