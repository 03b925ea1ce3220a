"""Display names beyond the golden ones."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from signaling.names import MAX_NAME, UnshowableName, clean_name

BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def outcome(name: str) -> str | UnshowableName:
    try:
        return clean_name(name)
    except UnshowableName as why:
        return why


@given(st.text(st.characters(), max_size=80))
@example("\u0000")
@example("\ud800")
@example("A\u0300\u0301")
@example("ŉ" * 60)
@example("\u0344" * 60)  # grows under NFC
@example("\u1faf" * 60)  # four code points before composing
@example(unicodedata.normalize("NFD", "\u1faf" * 60))
def test_what_is_taken_can_be_shown(name: str) -> None:
    cleaned = outcome(name)
    if isinstance(cleaned, UnshowableName):
        assert str(cleaned).startswith("the name ")
        return
    assert 1 <= len(cleaned) <= MAX_NAME
    assert cleaned == unicodedata.normalize("NFC", cleaned)
    assert cleaned.strip() == cleaned
    cleaned.encode()
    for character in cleaned:
        assert character not in BIDI
        assert unicodedata.category(character) not in {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}
    assert clean_name(cleaned) == cleaned


@given(st.text(st.characters(max_codepoint=0x17F), min_size=1, max_size=MAX_NAME - 1))
@example("Jean-Luc O'Neill (Dr.)")
def test_the_quick_way_judges_like_the_slow_one(name: str) -> None:
    """A letter from another plane in front sends a name the slow way."""
    name = name.strip()
    assume(name)
    quick = outcome(name)
    assume(not isinstance(quick, UnshowableName) or str(quick) != "the name shows nothing")
    slow = outcome("\U0001d504" + name)
    assert (quick == name) == (slow == "\U0001d504" + name)


def test_a_name_that_just_fits_before_composing() -> None:
    longest = unicodedata.normalize("NFD", "\u1faf" * MAX_NAME)
    assert len(longest) == 4 * MAX_NAME
    assert clean_name(longest) == "\u1faf" * MAX_NAME
    with pytest.raises(UnshowableName):
        clean_name(longest + "a")
