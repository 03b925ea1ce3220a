"""The table of web pages: what is in it, and in which language a page fetches its words ahead."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.legal import feet, foot
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


# --- the foot of every page ---

IMPRINT, PRIVACY = "https://clinic.example/imprint?a=1&b=2", "https://clinic.example/privacy"
HOSTILE = "https://clinic.example/\">'><img src=x onerror=alert(1)>"


class Links(HTMLParser):
    """What a browser would take for elements, in order, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


WORDS = {"shell.imprint": "Imprint", "shell.privacy": "<Privacy>"}


def test_a_foot_links_to_what_there_is() -> None:
    both = Links(foot("en", WORDS, IMPRINT, PRIVACY)).elements
    assert [tag for tag, _ in both] == ["footer", "a", "a"]
    assert [element.get("href") for _, element in both[1:]] == [IMPRINT, PRIVACY]
    assert [element["rel"] for _, element in both[1:]] == ["noopener", "privacy-policy noopener"]
    assert {element["target"] for _, element in both[1:]} == {"_blank"}
    for imprint, privacy in ((IMPRINT, ""), ("", PRIVACY)):
        elements = Links(foot("en", WORDS, imprint, privacy)).elements
        assert [element.get("href") for _, element in elements[1:]] == [imprint or privacy]


def test_nothing_breaks_out_of_a_foot() -> None:
    elements = Links(foot("en", WORDS, HOSTILE, HOSTILE)).elements
    assert [tag for tag, _ in elements] == ["footer", "a", "a"]
    assert [element.get("href") for _, element in elements[1:]] == [HOSTILE, HOSTILE]


def test_nothing_to_link_to_is_no_foot() -> None:
    assert feet(WEB, imprint="", privacy="") == {}


def test_each_language_has_a_foot_in_its_words() -> None:
    made = feet(WEB, imprint=IMPRINT, privacy=PRIVACY)
    html = read(WEB / "join.html", made)
    for language, words in (
        ("en", ("Imprint", "Privacy")),
        ("de", ("Impressum", "Datenschutz")),
        ("fr", ("Mentions légales", "Confidentialité")),
    ):
        body = html.form(language).body.decode()
        assert body.endswith(f"{made[language].decode()}</body>\n</html>\n")
        assert f'<footer class="legal" lang="{language}">' in body
        for word in words:
            assert f">{word}</a>" in body


def test_a_foot_is_part_of_a_pages_tag_and_of_no_script() -> None:
    made = [
        feet(WEB, imprint=imprint, privacy="") for imprint in ("", IMPRINT, IMPRINT + "&changed")
    ]
    assert len({read(WEB / "join.html", one).form("de").etag for one in made}) == 3
    assert len({read(WEB / "js" / "join.js", one).form("de").etag for one in made}) == 1


def test_a_page_without_an_end_has_its_foot_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><p>Words</p>")
    body = read(tmp_path / "page.html", {"en": b"<footer></footer>"}).form("").body
    assert body == b"<!doctype html><p>Words</p><footer></footer>"
