"""Links: what is made is taken apart again, and nothing else is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting_room.links import LinkParts, is_room_id, make, new_id, parse

TOKEN = "head.body.signature"
SECRET = "s" * 22
base64url = string.ascii_letters + string.digits + "-_"


@pytest.mark.parametrize("page", ["join", "host", "provider"])
@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize(
    "public_url",
    ["https://konsil.example", "http://localhost:8080", "https://[::1]:8443", "https://a.b/konsil"],
)
def test_round_trip(public_url: str, page: str, secret: str | None) -> None:
    parts = LinkParts(public_url, page, TOKEN, secret)  # type: ignore[arg-type]
    assert parse(make(parts)) == parts
    assert make(parts).partition("#")[0] == f"{public_url}/{page}"


def test_the_form_that_pages_rely_on() -> None:
    assert make(LinkParts("https://k.example/", "join", TOKEN, SECRET)) == (
        f"https://k.example/join#{TOKEN}~{SECRET}"
    )


@pytest.mark.parametrize(
    "link",
    [
        "",
        "#",
        f"https://k.example/join?{TOKEN}",
        f"https://k.example/join?t=1#{TOKEN}",
        f"https://k.example/admin#{TOKEN}",
        f"https://k.example/join/#{TOKEN}",
        f"https:///join#{TOKEN}",
        f"ftp://k.example/join#{TOKEN}",
        f"javascript:alert(1)/join#{TOKEN}",
        "https://k.example/join#",
        "https://k.example/join#a.b",
        "https://k.example/join#a..c",
        f"https://k.example/join#{TOKEN}~",
        f"https://k.example/join#{TOKEN}~short",
        f"https://k.example/join#{TOKEN}~{SECRET}x",
        f"https://k.example/join#{TOKEN}~{SECRET}~{SECRET}",
        f"https://k.example/join#{TOKEN}\n",
        f"https://[k.example/join#{TOKEN}",
    ],
)
def test_what_is_no_link(link: str) -> None:
    assert parse(link) is None


@given(st.text() | st.text(alphabet="https:/join#.~ab[]?\x00\ud800"))
def test_any_text_is_looked_at_calmly(text: str) -> None:
    parts = parse(text)
    assert parts is None or parse(make(parts)) == parts


def test_parts_that_make_no_link() -> None:
    with pytest.raises(ValueError, match="no link"):
        make(LinkParts("https://k.example", "join", "no token"))
    with pytest.raises(ValueError, match="no link"):
        make(LinkParts("https://k.example", "join", TOKEN, "short"))


def test_what_is_secret_is_not_shown() -> None:
    shown = repr(LinkParts("https://k.example", "join", TOKEN, SECRET))
    assert TOKEN not in shown
    assert SECRET not in shown


@given(st.binary(min_size=16, max_size=16))
def test_ids(random: bytes) -> None:
    made = new_id(random)
    assert is_room_id(made)
    assert set(made) <= set(base64url)


def test_ids_take_all_of_their_randomness() -> None:
    assert new_id(b"\x00" * 16) == "A" * 22
    assert new_id(b"\xff" * 16) == "_" * 21 + "w"
    for length in (0, 15, 17):
        with pytest.raises(ValueError, match="16 random bytes"):
            new_id(b"\x00" * length)
    for wrong in ("", "A" * 21, "A" * 23, "A" * 21 + "=", "A" * 21 + "\n", "A" * 21 + "é"):
        assert not is_room_id(wrong)
