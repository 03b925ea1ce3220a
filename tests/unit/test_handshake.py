"""The opening handshake of a WebSocket (RFC 6455 section 4.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.handshake import Handshake, NotOpened, fields_of, is_for_websocket

ORIGIN = "https://konsil.test"
GOOD = {
    "origin": ORIGIN,
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "other, konsil.v1",
}
HANDSHAKE = Handshake(ORIGIN, b"X-Frame-Options: DENY\r\n")


def test_the_example_of_the_rfc() -> None:
    head, empty, rest = HANDSHAKE.open(GOOD).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert (empty, rest) == (b"\r\n\r\n", b"")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert b"Sec-WebSocket-Protocol: konsil.v1" in lines
    assert b"X-Frame-Options: DENY" in lines
    assert not any(line.lower().startswith(b"sec-websocket-extensions") for line in lines)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"origin": None}, 403, "origin_refused"),
        ({"origin": "https://konsil.test.evil.test"}, 403, "origin_refused"),
        ({"origin": f"{ORIGIN}, {ORIGIN}"}, 403, "origin_refused"),
        ({"upgrade": None}, 426, "bad_request"),
        ({"sec-websocket-version": "8"}, 426, "bad_request"),
        ({"sec-websocket-version": "13, 13"}, 426, "bad_request"),
        ({"sec-websocket-version": None}, 426, "bad_request"),
        ({"sec-websocket-key": None}, 400, "bad_request"),
        ({"sec-websocket-key": "dGhl"}, 400, "bad_request"),
        ({"sec-websocket-key": "ü"}, 400, "bad_request"),
        ({"sec-websocket-protocol": None}, 400, "bad_request"),
        ({"sec-websocket-protocol": "konsil.v10"}, 400, "bad_request"),
    ],
)
def test_refusals(changes: dict[str, str | None], status: int, code: str) -> None:
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(NotOpened) as caught:
        HANDSHAKE.open(fields)
    assert caught.value.code == code
    assert caught.value.response.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nX-Frame-Options: DENY\r\n" in caught.value.response
    assert f'"code":"{code}"'.encode() in caught.value.response


def test_fields_are_read_and_repeated_ones_joined() -> None:
    request = (
        b"GET /ws HTTP/1.1\r\nHost: konsil.test\r\nX-Forwarded-For: 1.2.3.4\r\n"
        b"Origin:\t https://konsil.test \r\nx-forwarded-for: 5.6.7.8\r\n\r\nHost: body"
    )
    assert fields_of(request) == {
        "host": "konsil.test",
        "x-forwarded-for": "1.2.3.4, 5.6.7.8",
        "origin": "https://konsil.test",
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /ws HTTP/1.1", True),
        (b"GET /ws?x=1 HTTP/1.1", True),
        (b"GET /wss HTTP/1.1", False),
        (b"GET /ws/ HTTP/1.1", False),
        (b"POST /ws HTTP/1.1", False),
    ],
)
def test_what_is_a_handshake(line: bytes, expected: bool) -> None:
    assert is_for_websocket(line + b"\r\nHost: x\r\n\r\n") is expected


@given(st.dictionaries(st.sampled_from([*GOOD, "host"]), st.text(max_size=40)))
def test_any_fields_open_or_are_refused(fields: dict[str, str]) -> None:
    try:
        response = HANDSHAKE.open({**GOOD, **fields})
    except NotOpened as refused:
        response = refused.response
    assert response.startswith(b"HTTP/1.1 ")
    assert response.count(b"\r\n\r\n") >= 1


@given(st.binary(max_size=300))
def test_any_bytes_have_fields(data: bytes) -> None:
    assert isinstance(fields_of(data), dict)
