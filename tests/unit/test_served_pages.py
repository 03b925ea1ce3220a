"""The table of web pages: what is in it, and in which language a page fetches its words ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.pages import MAX_FILE_BYTES, Page, Pages, PagesError, read

WEB = Path(__file__).parents[2] / "web"
LINE = '<link rel="preload" as="fetch" crossorigin href="/static/i18n/{}.json">\n'


def page(tmp_path: Path, *words: str) -> Page:
    html = tmp_path / "page.html"
    html.write_text("<!doctype html>\n" + "".join(map(LINE.format, words)) + "<p>Words</p>\n")
    return read(html)


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE", "de"),
        ("fr;q=0.8, de;q=0.9", "de"),
        ("sw, fr;q=0.2", "fr"),
        ("de;q=0, fr;q=0.001", "fr"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("de;q=nonsense, fr;q=0.1", "fr"),
        ("de;q=7", "en"),
        ("sw", "en"),
        (",;=,,", "en"),
    ],
)
def test_a_page_names_the_words_of_its_reader_only(
    tmp_path: Path, accept: str, language: str
) -> None:
    ours = page(tmp_path, "en", "de", "fr", "desk/en", "desk/de", "desk/fr")
    body = ours.form(accept).body.decode()
    left = [LINE.format(f"{folder}{language}") for folder in ("", "desk/")]
    assert body == "<!doctype html>\n" + "".join(left) + "<p>Words</p>\n"
    assert ours.varies in {"Accept-Language", "Accept-Language, Accept-Encoding"}


@given(st.text() | st.from_regex(r"([a-z]{2}(-[A-Z]{2})?;q=[01]\.[0-9]{1,3},?)+", fullmatch=True))
def test_any_header_gives_a_page(accept: str) -> None:
    html = read(WEB / "join.html")
    assert html.form(accept).body.startswith(b"<!doctype html>")


def test_each_language_has_a_tag_of_its_own() -> None:
    html = read(WEB / "join.html")
    assert set(html.forms) == {"en", "de", "fr"}
    assert len({form.etag for form in html.forms.values()}) == 3
    for form in html.forms.values():
        assert form.body.count(b"/static/i18n/") == 1


def test_what_has_no_words_is_served_as_it_is(tmp_path: Path) -> None:
    ours = page(tmp_path)
    assert list(ours.forms) == ["en"]
    assert "Accept-Language" not in ours.varies
    script = read(WEB / "js" / "join.js")
    assert script.form("de").body == (WEB / "js" / "join.js").read_bytes()
    assert script.varies == "Accept-Encoding"


def test_a_page_that_does_not_speak_english_keeps_all_its_words(tmp_path: Path) -> None:
    assert page(tmp_path, "de", "fr").form("en").body.count(b"i18n") == 2


def test_too_large_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    large = tmp_path / "js" / "large.js"
    large.parent.mkdir()
    large.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(PagesError, match=r"large\.js"):
        Pages(tmp_path)
