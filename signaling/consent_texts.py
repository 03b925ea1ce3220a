"""The texts that a client agrees to before the waiting room, as the pages show them. Pure."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PARTS: Final = ("setup.notice", "setup.consent")
"""Keys of the catalogues; `web/js/consent.js` puts the same together."""


def read_texts(web_root: Path) -> Mapping[tuple[str, str], str]:
    """(language, SHA-256 in hexadecimal) -> text, for every language there is."""
    texts = {}
    for path in sorted((web_root / "i18n").glob("*.json")):
        words = json.loads(path.read_bytes())
        if all(part in words for part in _PARTS):
            text = "\n".join(words[part] for part in _PARTS)
            texts[path.stem, hashlib.sha256(text.encode()).hexdigest()] = text
    return texts
