"""Sessions as bytes: equal sessions, equal bytes; anything else is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting_room.codec import REVISION_LENGTH, CodecError, _revision, decode, encode, revision
from waiting_room.events import Join
from waiting_room.participant import Role
from waiting_room.session import (
    Session,
    apply,
)

NOW = 1_800_000_000_000


def session(*names: str) -> Session:
    made = Session.new("r" * 22, "provider-id1", NOW, NOW)
    for index, name in enumerate(names):
        joined = apply(made, Join(f"p{index}", Role.CLIENT, name, "page-1", "n1"), NOW)
        assert isinstance(joined, Session)
        made = joined
    return made


def stored(body: bytes) -> bytes:
    return _revision(body) + body


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=5))
def test_what_is_stored_comes_back(names: list[str]) -> None:
    original = session(*names)
    value = encode(original)
    assert decode(value) == original
    assert value.startswith(revision(original))
    assert len(revision(original)) == REVISION_LENGTH


def test_another_content_is_another_revision() -> None:
    assert revision(session("Anna")) != revision(session("Anne"))
    assert revision(session("Anna")) == revision(session("Anna"))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    for value in (data, stored(data)):
        with pytest.raises(CodecError):
            decode(value)


def test_a_session_of_another_format_or_spelling_is_refused() -> None:
    good = json.loads(encode(session("Anna"))[REVISION_LENGTH:])

    def refuse(body: bytes) -> None:
        with pytest.raises(CodecError):
            decode(stored(body))

    def compact(value: object) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    assert decode(stored(compact(good))) == session("Anna")
    refuse(json.dumps(good).encode())
    refuse(compact({**good, "format": 1}))
    refuse(compact({**good, "more": 1}))
    refuse(compact({**good, "session": {**good["session"], "more": 1}}))
    refuse(compact({**good, "session": {**good["session"], "locked": "no"}}))
    refuse(compact({**good, "session": {**good["session"], "participants": [{}]}}))
    refuse(b"[" * 100_000)
    with pytest.raises(CodecError, match="revision"):
        decode(b"0" * REVISION_LENGTH + compact(good))
