"""The request guard: what HTTP requests may look like, how long they may take, and that aiohttp's
own parser sees in what is forwarded exactly the one request the guard saw."""

from __future__ import annotations

import asyncio
import json
import sys
from unittest.mock import Mock

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from hypothesis import example, given
from hypothesis import strategies as st

from signaling.guard import (
    IDLE_DEADLINE,
    MAX_BODY,
    MAX_HEAD,
    MAX_HELD,
    REQUEST_DEADLINE,
    Forward,
    Hangup,
    Output,
    Reject,
    RequestGuard,
    State,
)

GET = b"GET /healthz HTTP/1.1\r\nHost: konsil.example\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: konsil.example\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return (
        b"POST /api/v1/consultations HTTP/1.1\r\nHost: konsil.example\r\nContent-Length: %d\r\n\r\n"
        % size
        + body
    )


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join((line, *(fields or (b"Host: a",)), b"", b""))


def feed(*chunks: bytes) -> list[Output]:
    guard = RequestGuard(0.0)
    return [output for chunk in chunks for output in guard.receive_data(chunk, 0.0)]


def rejected(outputs: list[Output]) -> Reject:
    assert len(outputs) == 1
    assert isinstance(outputs[0], Reject), outputs
    return outputs[0]


# --- what passes ---


@pytest.mark.parametrize(
    "data",
    [
        GET,
        UPGRADE,
        post(b"{}"),
        post(b""),
        post(b"x" * MAX_BODY),
        request(b"HEAD /static/js/join.js?v=1&x=%20/?@ HTTP/1.1"),
        request(b"GET /static/f%C3%BCr.js HTTP/1.1"),
        request(b"GET /a.b/..c/c..d/...e/ HTTP/1.1"),
        request(b"GET /.well-known/security.txt HTTP/1.1"),
        request(b"OPTIONS / HTTP/1.1"),
        request(b"PUT / HTTP/1.1"),
        request(b"GET / HTTP/1.0"),
        request(b"GET / HTTP/1.1", b"Host: [2001:db8::1]:8080"),
        request(b"GET / HTTP/1.1", b"host:\t127.0.0.1:8080 \t"),
        request(b"GET / HTTP/1.1", b"Host: a", b"X-Empty:", b"User-Agent: Jos\xe9 \t x"),
        request(b"GET / HTTP/1.1", b"Host: a", b"Connection: close", b"Connection: x"),
        request(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"y" * (MAX_HEAD - 32)),
    ],
)
def test_whole_requests_pass_unchanged(data: bytes) -> None:
    assert feed(data) == [Forward(data)]
    assert feed(*(data[i : i + 1] for i in range(len(data)))) == [Forward(data)]


def test_nothing_is_forwarded_before_the_body_is_complete() -> None:
    data = post(b"0123456789")
    assert feed(data[:-1]) == []
    assert feed(data[:-1], data[-1:]) == [Forward(data)]


# --- what is refused ---


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("TE and CL together", request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3",
                                       b"Transfer-Encoding: chunked")),
        ("TE alone", request(b"POST / HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")),
        ("TE disguised", request(b"POST / HTTP/1.1", b"Host: a", b"tRANSFER-eNCODING:\tx")),
        ("space before the colon", request(b"GET / HTTP/1.1", b"Host: a", b"X-A : b")),
        ("space before TE's colon", request(b"GET / HTTP/1.1", b"Host: a",
                                            b"Transfer-Encoding : chunked")),
        ("two Hosts", request(b"GET / HTTP/1.1", b"Host: a", b"Host: b")),
        ("the same Host twice", request(b"GET / HTTP/1.1", b"Host: a", b"hOST: a")),
        ("no Host", request(b"GET / HTTP/1.1", b"Accept: */*")),
        ("no fields at all", b"GET / HTTP/1.1\r\n\r\n"),
        ("empty Host", request(b"GET / HTTP/1.1", b"Host:")),
        ("Host with a path", request(b"GET / HTTP/1.1", b"Host: a/b")),
        ("Host with user", request(b"GET / HTTP/1.1", b"Host: b@a")),
        ("two Hosts in one", request(b"GET / HTTP/1.1", b"Host: a, b")),
        ("Host with a long port", request(b"GET / HTTP/1.1", b"Host: a:123456")),
        ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("bare LF behind the line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("bare LF in the fields", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        ("bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
        ("bare CR", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
        ("bare CR in the line", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        ("folded field", request(b"GET / HTTP/1.1", b"Host: a", b"X: b", b" c")),
        ("folded first field", request(b"GET / HTTP/1.1", b" Host: a", b"Host: a")),
        ("field without colon", request(b"GET / HTTP/1.1", b"Host: a", b"nonsense")),
        ("field without name", request(b"GET / HTTP/1.1", b"Host: a", b": b")),
        ("field name beyond ASCII", request(b"GET / HTTP/1.1", b"Host: a", b"\xc3\xbc: b")),
        ("NUL in a field", request(b"GET / HTTP/1.1", b"Host: a", b"X: a\x00b")),
        ("control in a field", request(b"GET / HTTP/1.1", b"Host: a", b"X: a\x1bb")),
        ("DEL in a field", request(b"GET / HTTP/1.1", b"Host: a", b"X: a\x7fb")),
        ("9 kB head", request(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"y" * 9000)),
        ("head one byte too long",
         request(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"y" * (MAX_HEAD - 31))),
        ("9 kB request line", request(b"GET /" + b"a" * 9000 + b" HTTP/1.1")),
        ("9 kB without end", b"GET /" + b"a" * 9000),
        ("NUL in the path", request(b"GET /a\x00b HTTP/1.1")),
        ("encoded NUL in the path", request(b"GET /a%00b HTTP/1.1")),
        ("encoded NUL in the query", request(b"GET /?a%00b HTTP/1.1")),
        ("encoded control in the path", request(b"GET /a%0d%0aX:b HTTP/1.1")),
        ("byte beyond ASCII in the path", request(b"GET /\xc3\xbc HTTP/1.1")),
        ("tab between the parts", request(b"GET\t/\tHTTP/1.1")),
        ("two spaces", request(b"GET  / HTTP/1.1")),
        ("space in the path", request(b"GET /a b HTTP/1.1")),
        ("space behind the version", request(b"GET / HTTP/1.1 ")),
        ("..", request(b"GET /static/../keys HTTP/1.1")),
        (".. at the end", request(b"GET /static/.. HTTP/1.1")),
        (".", request(b"GET /./x HTTP/1.1")),
        ("encoded ..", request(b"GET /static/%2e%2E/keys HTTP/1.1")),
        ("half encoded ..", request(b"GET /static/.%2e/keys HTTP/1.1")),
        ("encoded slash", request(b"GET /static%2fkeys HTTP/1.1")),
        ("encoded slash in capitals", request(b"GET /static%2Fkeys HTTP/1.1")),
        ("backslash", request(b"GET /static\\keys HTTP/1.1")),
        ("encoded backslash", request(b"GET /static%5c..%5Ckeys HTTP/1.1")),
        ("overlong dots", request(b"GET /%c0%ae%c0%ae/keys HTTP/1.1")),
        ("stray percent", request(b"GET /%zz HTTP/1.1")),
        ("stray percent at the end", request(b"GET /% HTTP/1.1")),
        ("stray percent in the query", request(b"GET /?a=%f HTTP/1.1")),
        ("two slashes first", request(b"GET //evil.example/ HTTP/1.1")),
        ("two slashes within", request(b"GET /a//b HTTP/1.1")),
        ("fragment", request(b"GET /a#b HTTP/1.1")),
        ("absolute-form", request(b"GET http://konsil.example/ HTTP/1.1")),
        ("authority-form", request(b"CONNECT konsil.example:443 HTTP/1.1")),
        ("asterisk-form", request(b"OPTIONS * HTTP/1.1")),
        ("empty target", request(b"GET  HTTP/1.1")),
        ("CONNECT with a path", request(b"CONNECT / HTTP/1.1")),
        ("TRACE", request(b"TRACE / HTTP/1.1")),
        ("unknown method", request(b"BREW / HTTP/1.1")),
        ("method in small letters", request(b"get / HTTP/1.1")),
        ("no method", request(b"/ HTTP/1.1")),
        ("HTTP/0.9", b"GET /\r\n"),
        ("HTTP/1.2", request(b"GET / HTTP/1.2")),
        ("HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/01.1", request(b"GET / HTTP/01.1")),
        ("http in small letters", request(b"GET / http/1.1")),
        ("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00"),
        ("leading empty line", b"\r\n" + GET),
        ("leading space", b" " + GET),
        ("plus sign in Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: +3")),
        ("minus sign in Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: -3")),
        ("list in Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3, 3")),
        ("Content-Length twice",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3", b"Content-Length: 3")),
        ("empty Content-Length", request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length:")),
        ("hexadecimal Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 0x3")),
        ("underscored Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 1_0")),
        ("other digits in Content-Length",
         request(b"POST / HTTP/1.1", b"Host: a", "Content-Length: ٣".encode())),
        ("Content-Length of 5,000 digits",
         request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: " + b"9" * 5000)),
        ("Expect", request(b"POST / HTTP/1.1", b"Host: a", b"Expect: 100-continue")),
        ("a packed body", request(b"POST / HTTP/1.1", b"Host: a", b"cONTENT-eNCODING: br")),
        ("upgrade to h2c", request(b"GET / HTTP/1.1", b"Host: a", b"Connection: Upgrade",
                                   b"Upgrade: h2c")),
        ("upgrade twice", request(b"GET / HTTP/1.1", b"Host: a", b"Connection: Upgrade",
                                  b"Upgrade: websocket", b"Upgrade: websocket")),
        ("upgrade without Connection",
         request(b"GET / HTTP/1.1", b"Host: a", b"Upgrade: websocket")),
        ("upgrade by POST", request(b"POST / HTTP/1.1", b"Host: a", b"Connection: Upgrade",
                                    b"Upgrade: websocket")),
        ("upgrade of HTTP/1.0", request(b"GET / HTTP/1.0", b"Host: a", b"Connection: Upgrade",
                                        b"Upgrade: websocket")),
        ("upgrade with a body", request(b"GET / HTTP/1.1", b"Host: a", b"Connection: Upgrade",
                                        b"Upgrade: websocket", b"Content-Length: 1")),
    ],
)  # fmt: skip
def test_refused_with_400_in_one_piece_or_bytewise(name: str, data: bytes) -> None:
    for chunks in ([data], [data[i : i + 1] for i in range(len(data))]):
        guard = RequestGuard(0.0)
        outputs = [output for chunk in chunks for output in guard.receive_data(chunk, 0.0)]
        reject = rejected(outputs)
        assert (reject.status, reject.code) == (400, "bad_request"), name
        assert guard.state is State.CLOSED
        assert guard.receive_data(GET, 0.0) == []
        assert guard.next_timeout() is None


@pytest.mark.parametrize("length", [MAX_BODY + 1, 10**9, 999_999_999_999_999])
def test_a_body_too_long_is_refused_by_its_announcement(length: int) -> None:
    reject = rejected(feed(post(b"", length)))
    assert (reject.status, reject.code) == (413, "too_large")


def test_the_answer_is_a_problem_document() -> None:
    guard = RequestGuard(0.0, b"X-Content-Type-Options: nosniff\r\n")
    canary = b"Frau-Kanarienvogel"
    data = request(b"GET /" + canary + b"/../x HTTP/1.1", b"Host: a", b"X: " + canary)
    reject = rejected(guard.receive_data(data, 0.0))
    head, _, body = reject.data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 400 Bad Request"
    assert b"Connection: close" in lines
    assert b"Content-Type: application/problem+json" in lines
    assert b"X-Content-Type-Options: nosniff" in lines
    assert b"Content-Length: %d" % len(body) in lines
    problem = json.loads(body)
    assert problem.pop("detail")
    assert problem == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "bad_request",
    }
    assert canary not in reject.data


# --- one request after another ---


def test_the_next_request_waits_for_the_answer() -> None:
    guard = RequestGuard(0.0)
    assert guard.receive_data(GET + post(b"{}") + GET[:10], 0.0) == [Forward(GET)]
    assert guard.receive_data(GET[10:], 1.0) == []
    assert guard.answered(2.0) == [Forward(post(b"{}"))]
    assert guard.answered(3.0) == [Forward(GET)]
    assert guard.answered(4.0) == []
    assert guard.next_timeout() == 4.0 + IDLE_DEADLINE
    assert guard.receive_data(GET, 50.0) == [Forward(GET)]


def test_a_bad_request_behind_a_good_one_is_refused_after_its_answer() -> None:
    guard = RequestGuard(0.0)
    assert guard.receive_data(GET + b"nonsense", 0.0) == [Forward(GET)]
    assert rejected(guard.answered(1.0)).status == 400


def test_held_bytes_are_bounded() -> None:
    guard = RequestGuard(0.0)
    guard.receive_data(GET, 0.0)
    assert guard.receive_data(b"x" * MAX_HELD, 0.0) == []
    assert guard.receive_data(b"x", 0.0) == [Hangup()]
    assert feed(GET + b"x" * (MAX_HELD + 1)) == [Hangup()]


@pytest.mark.parametrize(
    "data",
    [request(b"GET / HTTP/1.0"), request(b"GET / HTTP/1.1", b"Host: a", b"Connection: Close")],
)
def test_the_last_request_is_the_last(data: bytes) -> None:
    guard = RequestGuard(0.0)
    assert guard.receive_data(data + GET, 0.0) == [Forward(data)]
    assert guard.answered(1.0) == [Hangup()]


def test_answered_without_a_request_does_nothing() -> None:
    guard = RequestGuard(0.0)
    assert guard.answered(1.0) == []
    assert guard.next_timeout() == REQUEST_DEADLINE


# --- upgrade ---


def test_after_an_upgrade_everything_passes() -> None:
    guard = RequestGuard(0.0)
    assert guard.receive_data(UPGRADE + b"\x81", 0.0) == [Forward(UPGRADE)]
    assert guard.receive_data(b"\x80", 0.0) == []
    assert guard.upgraded() == b"\x81\x80"
    assert guard.state is State.UPGRADED
    assert guard.next_timeout() is None
    assert guard.handle_timer(1e9) == []
    assert guard.receive_data(b"\x00\xff\n", 1.0) == [Forward(b"\x00\xff\n")]
    assert guard.answered(2.0) == []


def test_after_a_refused_upgrade_the_connection_ends() -> None:
    guard = RequestGuard(0.0)
    guard.receive_data(UPGRADE + GET, 0.0)
    assert guard.answered(1.0) == [Hangup()]
    assert guard.receive_data(GET, 1.0) == []


def test_only_an_upgrade_request_can_be_upgraded() -> None:
    guard = RequestGuard(0.0)
    guard.receive_data(GET, 0.0)
    with pytest.raises(AssertionError):
        guard.upgraded()


# --- time ---


@pytest.mark.parametrize("part", [b"GET", b"GET / HTTP/1.1\r\nHos", post(b"{", 10)])
def test_an_incomplete_request_ends_after_ten_seconds(part: bytes) -> None:
    guard = RequestGuard(0.0)
    assert guard.receive_data(part[:1], 5.0) == []
    for i, byte in enumerate(part[1:]):
        assert guard.receive_data(bytes((byte,)), 5.0 + i * 0.01) == []
    assert guard.next_timeout() == 5.0 + REQUEST_DEADLINE
    assert guard.handle_timer(14.9) == []
    reject = rejected(guard.handle_timer(15.0))
    assert (reject.status, reject.code) == (408, "bad_request")
    assert guard.handle_timer(16.0) == []


def test_a_silent_connection_ends_without_a_word() -> None:
    guard = RequestGuard(100.0)
    assert guard.next_timeout() == 100.0 + REQUEST_DEADLINE
    assert guard.handle_timer(110.0) == [Hangup()]


def test_a_kept_connection_ends_after_its_idle_time() -> None:
    guard = RequestGuard(0.0)
    guard.receive_data(GET, 1.0)
    assert guard.next_timeout() is None
    assert guard.handle_timer(500.0) == []
    guard.answered(500.0)
    assert guard.next_timeout() == 500.0 + IDLE_DEADLINE
    guard.receive_data(b"G", 570.0)
    assert guard.next_timeout() == 570.0 + REQUEST_DEADLINE


def test_a_waiting_guard_is_small() -> None:
    guard = RequestGuard(0.0)
    guard.receive_data(GET, 0.0)
    guard.answered(1.0)
    assert guard._buffer is None
    assert not hasattr(guard, "__dict__")
    assert sys.getsizeof(guard) < 150


# --- any bytes, any cut, and a second opinion ---

lines = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /api HTTP/1.1", b"GET /a/../b HTTP/1.1", b"GET /%2e HTTP/1.0",
     b"GET /x HTTP/1.0", b"HEAD /?q HTTP/1.1", b"GET", b"PUT http://a/ HTTP/1.1", b"\x16\x03"]
)  # fmt: skip
fine_fields = st.sampled_from(
    [b"Content-Length: 3", b"Connection: close", b"X: y", b"X: \xe4", b"Connection: keep-alive",
     b"Accept: */*", b"Cookie: a=b; c", b"Origin:\tnull ", b"X-Forwarded-For: ::1"]
)  # fmt: skip
fields = fine_fields | st.sampled_from(
    [b"Host: a", b"Host: b:80", b"Content-Length: 5", b"content-length: 99999", b" folded",
     b"Transfer-Encoding: chunked", b"Connection: Upgrade", b"Upgrade: websocket", b"no colon",
     b"X:\x00", b"X : y", b"Expect: x", b"Content-Length: 1 2", b"Host:a\x0b"]
)  # fmt: skip
ends = st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\n\r"])
bodies = st.sampled_from([b"", b"abc", b"abcde", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])


@st.composite
def requests(draw: st.DrawFn, *, mostly_fine: bool = False) -> bytes:
    some_fields = fine_fields if mostly_fine and draw(st.integers(0, 3)) else fields
    some_ends = st.just(b"\r\n") if mostly_fine and draw(st.integers(0, 3)) else ends
    parts = [draw(lines), draw(some_ends), b"Host: a", draw(some_ends)]
    for field in draw(st.lists(some_fields, max_size=4)):
        parts += [field, draw(some_ends)]
    return b"".join([*parts, draw(some_ends), draw(bodies)])


def run(guard: RequestGuard, chunks: list[bytes]) -> list[tuple[object, ...]]:
    """All that comes out when every request is answered at once, without the words of refusals."""
    seen: list[tuple[object, ...]] = []
    for chunk in chunks:
        outputs = guard.receive_data(chunk, 0.0)
        while outputs:
            for output in outputs:
                match output:
                    case Forward(data):
                        seen.append((Forward, data))
                    case Reject(status, code):
                        seen.append((Reject, status, code))
                    case _:
                        seen.append((Hangup,))
            outputs = guard.answered(0.0)
    return seen


@given(st.lists(requests() | st.binary(max_size=30), max_size=3).map(b"".join), st.data())
@example(GET * 3, None)
@example(GET + UPGRADE + GET, None)
def test_every_cut_gives_the_same_outputs(stream: bytes, data: st.DataObject | None) -> None:
    whole = run(RequestGuard(0.0), [stream])
    bytewise = run(RequestGuard(0.0), [stream[i : i + 1] for i in range(len(stream))])
    assert bytewise == whole
    if data is not None:
        cut = data.draw(st.integers(0, len(stream)))
        assert run(RequestGuard(0.0), [stream[:cut], stream[cut:]]) == whole


@pytest.fixture(scope="module")
def idle_loop() -> asyncio.AbstractEventLoop:
    return Mock(spec=asyncio.AbstractEventLoop)


def second_opinion(loop: asyncio.AbstractEventLoop, data: bytes) -> tuple[RawRequestMessage, bytes]:
    """What aiohttp's parser makes of `data`: one message and its body, complete."""
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    messages, upgraded, tail = parser.feed_data(data)
    ((message, payload),) = messages
    assert payload.is_eof()
    assert tail == b""
    assert upgraded == message.upgrade
    return message, b"".join(getattr(payload, "_buffer", ()))


@given(data=requests(mostly_fine=True))
def test_aiohttp_sees_exactly_one_request_in_what_is_forwarded(
    idle_loop: asyncio.AbstractEventLoop, data: bytes
) -> None:
    forwarded = [output.data for output in feed(data) if isinstance(output, Forward)]
    if not forwarded:
        return
    (one,) = forwarded
    message, body = second_opinion(idle_loop, one)
    assert one.endswith(b"\r\n\r\n" + body)
    assert message.method.encode() == one.split(b" ")[0]
    assert message.path.encode() == one.split(b" ")[1]
    assert not message.chunked


def test_aiohttp_agrees_on_what_passes(idle_loop: asyncio.AbstractEventLoop) -> None:
    for data, body in ((GET, b""), (post(b"{}"), b"{}"), (UPGRADE, b"")):
        assert second_opinion(idle_loop, data)[1] == body
