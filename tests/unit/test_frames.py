"""The frame codec: RFC 6455 rule by rule, any cut of any stream, and `websockets` as the peer."""

from __future__ import annotations

import struct
import sys
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from signaling.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAGMENTS,
    MAX_MESSAGE,
    PING,
    PONG,
    TEXT,
    Close,
    Event,
    FrameDecoder,
    FrameError,
    Ping,
    Pong,
    Text,
    encode_close,
    encode_masked,
    encode_ping,
    encode_pong,
    encode_text,
)
from signaling.masking import unmask, unmask_portably

MASK = b"\x01\x80\xfe\x55"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return encode_masked(opcode, payload, MASK, fin=fin)


def decode(*chunks: bytes) -> list[Event]:
    decoder = FrameDecoder()
    return [event for chunk in chunks for event in decoder.receive_data(chunk)]


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


# --- what is taken ---


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 300, 65_535, 65_536])
def test_text_of_every_length_form(size: int) -> None:
    assert decode(frame(TEXT, b"x" * size)) == [Text(b"x" * size)]


def test_several_frames_in_one_chunk() -> None:
    stream = frame(TEXT, b"a") + frame(PING, b"p") + frame(PONG) + frame(TEXT, "ü".encode())
    assert decode(stream) == [Text(b"a"), Ping(b"p"), Pong(b""), Text("ü".encode())]


def test_fragments_with_control_frames_between() -> None:
    euro = "€".encode()
    stream = (
        frame(TEXT, euro[:1], fin=False)
        + frame(PING, b"now")
        + frame(CONTINUATION, b"", fin=False)
        + frame(PONG)
        + frame(CONTINUATION, euro[1:])
    )
    assert decode(stream) == [Ping(b"now"), Pong(b""), Text(euro)]
    assert decode(stream + stream) == decode(stream) * 2


def test_as_many_fragments_as_allowed() -> None:
    stream = frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * (MAX_FRAGMENTS - 2)
    assert decode(stream + frame(CONTINUATION, b"x")) == [Text(b"x")]


def test_fragments_of_the_largest_message() -> None:
    stream = frame(TEXT, b"a" * 65_535, fin=False) + frame(CONTINUATION, b"b")
    assert decode(stream) == [Text(b"a" * 65_535 + b"b")]


@pytest.mark.parametrize(
    "code",
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4401, 4999],
)
def test_valid_close(code: int) -> None:
    assert decode(close(code, "tschüß".encode())) == [Close(code, "tschüß")]


def test_close_without_a_code() -> None:
    assert decode(frame(CLOSE)) == [Close(1005, "")]


def test_nothing_comes_after_a_close() -> None:
    decoder = FrameDecoder()
    assert decoder.receive_data(close(1000) + frame(TEXT, b"late")) == [Close(1000, "")]
    assert decoder.closed
    assert decoder.receive_data(frame(TEXT, b"later")) == []
    assert decoder.receive_data(b"\xff") == []


# --- what is refused ---


def header(first: int, second: int, *rest: int) -> bytes:
    return bytes((first, second, *rest))


@pytest.mark.parametrize(
    ("name", "stream", "code"),
    [
        ("unmasked", b"\x81\x01a", 1002),
        ("unmasked, empty", b"\x81\x00", 1002),
        ("RSV1 (no extension was agreed)", header(0xC1, 0x80), 1002),
        ("RSV2", header(0xA1, 0x80), 1002),
        ("RSV3", header(0x91, 0x80), 1002),
        ("fragmented ping", header(0x09, 0x80), 1002),
        ("fragmented close", header(0x08, 0x80), 1002),
        ("ping of 126 bytes", header(0x89, 0xFE), 1002),
        ("close with a 64-bit length", header(0x88, 0xFF), 1002),
        ("continuation of nothing", frame(CONTINUATION, b"x"), 1002),
        ("continuation after a whole message", frame(TEXT, b"x") + frame(CONTINUATION), 1002),
        ("text inside a text", frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        ("binary inside a text", frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002),
        ("125 as 16 bits", header(0x81, 0xFE, 0, 125), 1002),
        ("125 as 16 bits, in one piece", header(0x81, 0xFE, 0, 125) + bytes(129), 1002),
        ("0 as 16 bits", header(0x81, 0xFE, 0, 0), 1002),
        ("65,535 as 64 bits", header(0x81, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255), 1002),
        ("127 as 64 bits, in one piece", header(0x81, 0xFF) + bytes(131), 1002),
        ("top bit of 64", header(0x81, 0xFF, 128, 0, 0, 0, 0, 1, 0, 0), 1002),
        ("2^62", header(0x81, 0xFF, 64, 0, 0, 0, 0, 0, 0, 0), 1009),
        ("65,537", header(0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1), 1009),
        (
            "65,537 over two fragments",
            frame(TEXT, b"x" * 65_535, fin=False) + header(0x80, 0x82),
            1009,
        ),
        ("binary", header(0x82, 0x80), 1003),
        ("fragmented binary", header(0x02, 0x80), 1003),
        ("invalid UTF-8", frame(TEXT, b"ab\xff"), 1007),
        ("overlong UTF-8", frame(TEXT, b"\xc0\xaf"), 1007),
        ("surrogate in UTF-8", frame(TEXT, b"\xed\xa0\x80"), 1007),
        ("UTF-8 cut short", frame(TEXT, b"\xe2\x82"), 1007),
        (
            "UTF-8 cut short over fragments",
            frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"),
            1007,
        ),
        ("close of one byte", frame(CLOSE, b"\x03"), 1002),
        ("close with a reason that is no UTF-8", close(1000, b"\xff"), 1007),
        (
            "too many fragments",
            frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * MAX_FRAGMENTS,
            1009,
        ),
        *(
            (f"close code {code}", close(code), 1002)
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
        ),
        *(
            (f"opcode {opcode:#x}", header(0x80 | opcode, 0x80), 1002)
            for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        ),
    ],
)
def test_refused(name: str, stream: bytes, code: int) -> None:
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        decoder = FrameDecoder()
        events = [event for chunk in chunks for event in decoder.receive_data(chunk)]
        last = events[-1]
        assert isinstance(last, FrameError), name
        assert last.code == code
        assert last.reason
        assert not any(isinstance(event, FrameError | Close) for event in events[:-1])
        assert decoder.closed
        assert decoder.receive_data(frame(TEXT, b"x")) == []


def test_messages_before_the_fault_are_still_given() -> None:
    assert decode(frame(TEXT, b"good") + b"\x81\x01a") == [
        Text(b"good"),
        FrameError(1002, "frame not masked"),
    ]


def test_a_huge_length_costs_nothing() -> None:
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        decoder.receive_data(header(0x81, 0xFF, 64, 0, 0, 0, 0, 0, 0, 0))
        assert tracemalloc.get_traced_memory()[1] < 10_000
        waiting = FrameDecoder()
        waiting.receive_data(header(0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0))  # 65,536 will come
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_an_idle_decoder_is_small() -> None:
    decoder = FrameDecoder()
    for _ in range(3):
        decoder.receive_data(frame(TEXT, b"x" * 5000)[:100])
        decoder.receive_data(frame(TEXT, b"x" * 5000)[100:])
    assert sys.getsizeof(decoder) < 120
    assert not hasattr(decoder, "__dict__")
    held = [getattr(decoder, slot) for slot in FrameDecoder.__slots__]
    assert not any(isinstance(value, bytes | bytearray | list) for value in held)


# --- any cut of any stream ---

payloads = st.binary(max_size=200) | st.text(max_size=80).map(str.encode) | st.just(b"x" * 66_000)
good_frames = st.builds(
    lambda opcode, payload, mask, fin: encode_masked(
        opcode, payload[:125] if opcode & 8 else payload, mask, fin=fin or opcode >= CLOSE
    ),
    st.sampled_from([CONTINUATION, TEXT, TEXT, TEXT, BINARY, CLOSE, PING, PONG]),
    payloads,
    st.binary(min_size=4, max_size=4),
    st.booleans(),
)
streams = st.lists(good_frames | st.binary(max_size=20), max_size=6).map(b"".join)


@given(streams, st.data())
@example(frame(TEXT, b"x" * 127) + frame(TEXT, b"y"), None)
def test_every_cut_gives_the_same_events(stream: bytes, data: st.DataObject | None) -> None:
    whole = decode(stream)
    ends = [event for event in whole if isinstance(event, FrameError | Close)]
    assert ends in ([], whole[-1:])
    for event in whole:
        if isinstance(event, Text):
            event.payload.decode()
            assert len(event.payload) <= MAX_MESSAGE
    cuts = (
        [1]
        if data is None
        else sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    )
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*parts) == whole
    if len(stream) < 1000:
        assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == whole


@given(st.binary(max_size=400))
def test_any_bytes_give_events_only(data: bytes) -> None:
    for event in decode(data):
        assert isinstance(event, Text | Ping | Pong | Close | FrameError)


@given(st.binary(max_size=5000), st.binary(min_size=4, max_size=4))
@example(b"x" * 1024, b"abcd")
@example(b"x" * 1025, b"abcd")
@example(b"", b"abcd")
def test_both_ways_of_unmasking_are_the_rule_of_the_rfc(payload: bytes, mask: bytes) -> None:
    by_rule = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    assert unmask(mask, payload) == unmask_portably(mask, payload) == by_rule


# --- an independent peer ---


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text", "ping", "pong", "fragments"]),
            st.text(st.characters(codec="utf-8"), max_size=400),
        ),
        max_size=6,
    )
)
def test_websockets_client_is_understood(script: list[tuple[str, str]]) -> None:
    client = Protocol(CLIENT, state=OPEN)
    expected: list[Event] = []
    for kind, text in script:
        payload = text.encode()
        match kind:
            case "text":
                client.send_text(payload)
                expected.append(Text(payload))
            case "ping":
                client.send_ping(payload[:125])
                expected.append(Ping(payload[:125]))
            case "pong":
                client.send_pong(payload[:125])
                expected.append(Pong(payload[:125]))
            case _:
                half = len(payload) // 2
                client.send_text(payload[:half], fin=False)
                client.send_ping(b"")
                client.send_continuation(payload[half:], fin=True)
                expected += [Ping(b""), Text(payload)]
    client.send_close(1001, "bye")
    expected.append(Close(1001, "bye"))
    assert decode(b"".join(client.data_to_send())) == expected


@given(
    st.text(st.characters(codec="utf-8"), max_size=400) | st.just("x" * 65_536),
    st.text(st.characters(codec="utf-8"), max_size=100),
)
def test_websockets_client_understands(text: str, reason: str) -> None:
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(
        encode_text(text.encode())
        + encode_ping(b"p")
        + encode_pong(b"q")
        + encode_close(4401, reason)
    )
    assert client.parser_exc is None
    frames = client.events_received()
    assert [(f.opcode, f.data) for f in frames if isinstance(f, Frame)][:3] == [
        (Opcode.TEXT, text.encode()),
        (Opcode.PING, b"p"),
        (Opcode.PONG, b"q"),
    ]
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == 4401
    assert reason.startswith(client.close_rcvd.reason)
    assert len(client.close_rcvd.reason.encode()) >= min(len(reason.encode()), 120)


def test_close_without_a_code_is_empty() -> None:
    assert encode_close(1005) == b"\x88\x00"
