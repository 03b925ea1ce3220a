"""Which display names can be shown (docs/protocol.md section 3, `hello`).

A name is put before a host who decides by it whom to admit, so it must not hide, reorder or
imitate anything: no controls, no bidirectional or other invisible formatting, no blanks only.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_NAME: Final = 60  # code points, after trimming and NFC

# What ECMAScript's String.prototype.trim takes away; str.strip() would differ (it takes U+001C to
# U+001F and U+0085 but not U+FEFF), and both sides must judge alike.
_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

# Zero-width joiners: Cf, yet part of the spelling of Persian and Indic names and of emoji.
_JOINERS: Final = "\u200c\u200d"

_REFUSED_CATEGORIES: Final = frozenset(
    {
        "Cc",  # controls
        "Cf",  # format: overrides, isolates, marks, soft hyphen, tags
        "Cs",  # lone surrogates
        "Co",  # private use: looks different everywhere
        "Cn",  # unassigned and noncharacters
        "Zl",
        "Zp",  # line and paragraph separators
    }
)

# Letters and symbols by category, blank by looks: Hangul fillers and the empty Braille pattern.
_INVISIBLE: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")

# The common case: letters of Latin-1 and Latin Extended-A, which are all assigned, precomposed or
# not composable, and visible.
_plain = re.compile(
    "[A-Za-z0-9\u00c0-\u017f](?:[A-Za-z0-9\u00c0-\u017f .,'()-]{0,58}[A-Za-z0-9\u00c0-\u017f.)])?"
).fullmatch


class UnshowableName(ValueError):  # noqa: N818 - it is a name, and the error says why
    """Why a name cannot be shown: one plain sentence, without the name."""


def clean_name(name: str) -> str:
    """The name as it is shown: trimmed, NFC. Raises UnshowableName."""
    if _plain(name):
        return name
    name = name.strip(_BLANKS)
    # NFC composes at most four code points into one, so this refuses nothing that would fit, and
    # spares normalising 60 kB.
    if len(name) > 4 * MAX_NAME:
        raise UnshowableName("the name is longer than 60 characters")
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise UnshowableName("the name is empty")
    if len(name) > MAX_NAME:
        raise UnshowableName("the name is longer than 60 characters")
    visible = False
    for character in name:
        category = unicodedata.category(character)
        if category in _REFUSED_CATEGORIES and character not in _JOINERS:
            raise UnshowableName("the name has a character that cannot be shown")
        if category[0] in "LNPS" and character not in _INVISIBLE:
            visible = True
    if not visible:
        raise UnshowableName("the name shows nothing")
    return name
