"""The golden messages, and that whatever comes in only MessageError comes out."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signaling import codes
from signaling.messages import (
    Ack,
    Bye,
    ClientMessage,
    Error,
    Hello,
    Ping,
    Room,
    RoomView,
    ServerMessage,
    Signal,
    encode,
    encode_signal,
    parse,
    parse_server,
    room_message,
    room_view,
)
from signaling.strictjson import MAX_FIELD, MessageError

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/messages.json").read_text())["vectors"]
ME = "AbCdEfGhIjKlMnOpQrStUv"


def text_of(vector: dict[str, Any]) -> bytes:
    text = vector["json"]
    if isinstance(text, list):
        text = "".join(piece * times for piece, times in text)
    encoded: bytes = text.encode()
    return encoded


def read(vector: dict[str, Any]) -> ClientMessage | ServerMessage:
    reader = parse if vector["direction"] == "to_server" else parse_server
    return reader(text_of(vector))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_golden_message(vector: dict[str, Any]) -> None:
    if vector["ok"]:
        message = read(vector)
        if "parsed" in vector:
            assert json.loads(encode(message)) == vector["parsed"]
        return
    with pytest.raises(MessageError) as refused:
        read(vector)
    assert refused.value.code == vector["code"]
    if vector["field"] is not None:
        assert refused.value.field == vector["field"]
    assert refused.value.detail


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["ok"]], ids=lambda v: v["name"])
def test_what_is_read_can_be_written_and_read_again(vector: dict[str, Any]) -> None:
    message = read(vector)
    again = parse if vector["direction"] == "to_server" else parse_server
    assert again(encode(message)) == message


def test_every_type_of_the_protocol_document_has_a_golden_message() -> None:
    document = (ROOT / "docs/protocol.md").read_text()
    from_page, from_server = document.split("\n## 3. ")[1].split("\n## 5. ")[0].split("\n## 4. ")
    group = document.split("\n### 9.1 ")[1].split("\n### 9.3 ")[0].split("\n### 9.2 ")
    for direction, section in (
        ("to_server", from_page + group[0]),
        ("to_page", from_server + group[1]),
    ):
        named = set()
        for cell in re.findall(r"^\| (`[^|]*) \|", section, re.M):
            named.update(re.findall(r"`(\w+)`", cell))
        taken = {
            vector["parsed"]["type"]
            for vector in VECTORS
            if vector["direction"] == direction and "parsed" in vector
        }
        assert taken == named


def test_codes_are_those_of_the_protocol_document() -> None:
    section = (ROOT / "docs/protocol.md").read_text().split("## 6. ")[1].split("## 7. ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d*) ?\| ?(\d*) ?\|", section, re.M)
    assert rows
    documented = {
        code: codes.Code(code, int(http) if http else None, int(close) if close else None)
        for code, http, close in rows
    }
    assert dict(codes.CODES) == documented


def test_a_code_without_the_asked_form_is_our_fault() -> None:
    assert codes.http_status("bad_request") == 400
    assert codes.close_code("taken_over") == 4409
    assert codes.http_status("bad_message") == codes.http_status("no such code") == 500
    assert codes.close_code("bad_name") == codes.close_code("no such code") == 1011


def test_relayed_signal_text() -> None:
    assert (
        encode_signal(7, ME, "sealed.x.1.y")
        == b'{"type":"signal","seq":7,"from":"%s","data":"sealed.x.1.y"}' % ME.encode()
    )


def test_absent_members_are_not_written() -> None:
    assert encode(Error("internal", "sorry")) == (
        b'{"type":"error","code":"internal","detail":"sorry"}'
    )
    assert encode(Bye("ended")) == b'{"type":"bye","reason":"ended"}'


def test_room_is_made_of_any_view_with_its_attributes() -> None:
    person = SimpleNamespace(
        id=ME, instance="12345678", name="Ada", role="client", status="waiting", connected=True,
        since=5, groups=True,
    )  # fmt: skip
    view = SimpleNamespace(
        version=1, you="in_call", host_present=True, locked=False, place=None,
        participants=[person], media=SimpleNamespace(mode="sfu", generation=3),
    )  # fmt: skip
    message = room_message(view)
    assert isinstance(message, Room)
    assert parse_server(encode(message)) == message
    inner = room_view(view)
    assert isinstance(inner, RoomView)
    assert inner.participants[0].name == "Ada"
    assert b'"type"' not in msgspec.json.encode(inner)


def test_detail_and_field_repeat_nothing_of_the_content() -> None:
    canary = "Frau-Kanarienvogel"
    hello = {"type": "hello", "token": "t", "secret": "s" * 22, "instance": "12345678"}
    offer = {"type": "group_offer", "id": 1, "generation": 1, "sdp": "v=0", "tracks": []}
    texts = [
        canary,
        json.dumps({"type": canary}),
        json.dumps({"type": "ack", "seq": canary}),
        json.dumps(hello | {"token": canary, "secret": canary}),
        json.dumps(hello | {"name": f"{canary}\n{canary}"}),
        json.dumps(hello | {"name": canary * 10}),
        json.dumps(offer | {"sdp": canary * 10_000}),
        json.dumps(offer | {"tracks": [{"mid": canary * 2, "send": "camera"}]}),
        json.dumps(offer | {"tracks": [{"mid": "0", "send": canary}]}),
    ]
    for text in texts:
        with pytest.raises(MessageError) as refused:
            parse(text.encode())
        assert canary not in repr(refused.value.args)


@pytest.mark.parametrize("character", ["\u0000", "\u202e", "\n", "\u2028", "\ue000"])
def test_foreign_field_name_is_repeated_harmlessly(character: str) -> None:
    with pytest.raises(MessageError) as refused:
        parse(json.dumps({"type": "ping", f"a{character}b": 1}).encode())
    field = refused.value.field
    assert field.startswith("a\\")
    assert field.isprintable()
    assert len(field) <= MAX_FIELD


def outcome(
    reader: Callable[[bytes], ClientMessage | ServerMessage], data: bytes
) -> ClientMessage | ServerMessage | MessageError:
    try:
        return reader(data)
    except MessageError as error:
        return error


def refused_or_strict(data: bytes) -> None:
    """Whatever is taken means what a plain JSON parser sees, each member once."""
    message = outcome(parse, data)
    if isinstance(message, MessageError):
        assert message.code in ("bad_message", "bad_name")
        assert len(message.field) <= MAX_FIELD
        return
    pairs: list[list[tuple[str, Any]]] = []

    def note(members: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(members)
        return dict(members)

    json.loads(data, object_pairs_hook=note)
    assert all(len(dict(members)) == len(members) for members in pairs)
    seen = json.loads(encode(message))
    for field, value in pairs[-1]:
        if field == "tiles":
            assert [{"pinned": False} | tile for tile in seen[field]] == [
                {"pinned": False} | tile for tile in value
            ]
        elif field != "name":
            default = {"last_seq": 0, "reopen": False, "groups": False}.get(field)
            assert seen.get(field, default) == value


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x00")
@example(b'{"type":"ping"}\x00')
@example(b'{"type":"\xff"}')
@example(b'{"type":"ping","\xed\xa0\x80":1}')
@example('{"type":"ping"}'.encode("utf-16"))
@example('{"type":"ping"}'.encode("utf-16-le"))
@example(b"[" * 65_536)
@example(b'{"a":' * 13_000)
@example(b'{"type":"ack","seq":' + b"9" * 65_000 + b"}")
@example(b'{"type":"ack","seq":-' + b"9" * 65_000 + b"}")
@example(b'{"type":"ack","seq":1e' + b"9" * 65_000 + b"}")
@example(b'{"type":"ack","seq":0.' + b"9" * 65_000 + b"}")
@example(b'{"type":"ping"' + b',"a":1' * 10_000 + b"}")
@example(b'{"type":"ack"' + b',"seq":1' * 8_000 + b"}")
@example(b'{"type":"ack","seq":1' + b" " * 65_000 + b"}")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    refused_or_strict(data)
    result = outcome(parse_server, data)
    assert not isinstance(result, MessageError) or result.code == "bad_message"


json_text = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=30)
    | st.sampled_from([ME, "x" * 22, "12345678", "1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
field_names = st.sampled_from(
    ["type", "id", "participant", "locked", "to", "data", "seq", "token", "secret", "instance",
     "name", "last_seq", "reopen", "groups", "generation", "sdp", "tracks",
     "tiles", "Id", "", "\u0000"]
)  # fmt: skip
kinds = st.sampled_from(
    ["hello", "admit", "decline", "back_to_waiting", "remove", "lock", "end", "leave", "connected",
     "signal", "ack", "ping", "group_offer", "group_want", "group_failed", "p2p_failed", "ask_mute",
     "invite_guest", "welcome", ""]
)  # fmt: skip
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])


@given(
    kinds,
    st.lists(st.tuples(field_names, json_text), max_size=6),
    separators,
    st.booleans(),
    st.booleans(),
)
def test_any_members_are_read_or_refused(
    kind: str,
    members: list[tuple[str, Any]],
    separator: tuple[str, str],
    ascii_only: bool,
    type_last: bool,
) -> None:
    def dump(value: Any) -> str:
        return json.dumps(value, separators=separator, ensure_ascii=ascii_only)

    tagged = [*members, ("type", kind)] if type_last else [("type", kind), *members]
    inner = separator[0].join(f"{dump(name)}{separator[1]}{dump(value)}" for name, value in tagged)
    refused_or_strict(("{" + inner + "}").encode(errors="surrogatepass"))


VALID = [
    vector
    for vector in VECTORS
    if vector["ok"] and vector["direction"] == "to_server" and "parsed" in vector
]


@given(st.sampled_from(VALID), st.data())
def test_a_message_with_a_few_bytes_changed(vector: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(text_of(vector))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not text:
            break
    refused_or_strict(bytes(text))


@given(st.sampled_from(VALID), st.data())
def test_a_member_given_twice_is_always_refused(
    vector: dict[str, Any], data: st.DataObject
) -> None:
    members = list(vector["parsed"].items())
    members.insert(data.draw(st.integers(0, len(members))), data.draw(st.sampled_from(members)))
    separator = data.draw(separators)
    text = separator[0].join(
        f"{json.dumps(name)}{separator[1]}{json.dumps(value)}" for name, value in members
    )
    with pytest.raises(MessageError) as refused:
        parse(("{" + text + "}").encode())
    assert refused.value.code == "bad_message"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200), st.integers(0, 2**53 - 1))
def test_signal_data_is_passed_on_unchanged(data: str, number: int) -> None:
    for ascii_only in (True, False):
        text = json.dumps(
            {"type": "signal", "id": number, "to": ME, "data": data}, ensure_ascii=ascii_only
        )
        message = parse(text.encode())
        assert message == Signal(number, ME, data)
    relayed = json.loads(encode_signal(number, ME, data))
    assert relayed == {"type": "signal", "seq": number, "from": ME, "data": data}


def test_memory_of_a_message_is_not_tracked() -> None:
    for message in (parse(b'{"type":"ping"}'), parse(b'{"type":"ack","seq":1}')):
        assert isinstance(message, Ping | Ack)
        assert not gc.is_tracked(message)


def test_hello_without_a_name_has_an_empty_one() -> None:
    message = parse(
        b'{"type":"hello","token":"t","secret":"%s","instance":"12345678"}' % (b"s" * 22)
    )
    assert message == Hello("t", "s" * 22, "12345678", "", 0, False)
