"""RTCP: what is written is read, by us and (for fixed bytes) by anybody, and nothing raises."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp

WORD = st.integers(0, 0xFFFFFFFF)


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=60, unique=True), WORD)
def test_nack(numbers: list[int], ssrc: int) -> None:
    extended = sorted(numbers)
    (message,) = rtcp.parse_compound(rtcp.nack(ssrc, extended)) or [None]
    assert message == rtcp.Nack(ssrc, tuple(extended))


def test_nack_over_the_wrap() -> None:
    (message,) = rtcp.parse_compound(rtcp.nack(9, [0xFFFE, 0x10001, 0x1000E])) or [None]
    assert message == rtcp.Nack(9, (0xFFFE, 1, 14))


@given(ssrc=WORD, ntp=st.integers(0, (1 << 64) - 1), timestamp=WORD, count=WORD)
def test_sender_report(ssrc: int, ntp: int, timestamp: int, count: int) -> None:
    data = rtcp.sender_report(ssrc, ntp, timestamp, packets=count, octets=count)
    assert rtcp.parse_compound(data) == [rtcp.SenderInfo(ssrc, ntp, timestamp)]


@given(
    st.lists(
        st.builds(
            rtcp.ReportBlock,
            ssrc=WORD,
            lost=st.integers(0, 255).map(lambda value: value / 256),
            total_lost=st.integers(0, 0x7FFFFF),
            highest=WORD,
            jitter=WORD,
            last_report=WORD,
            delay=WORD,
        ),
        max_size=31,
    )
)
def test_receiver_report(blocks: list[rtcp.ReportBlock]) -> None:
    assert rtcp.parse_compound(rtcp.receiver_report(blocks)) == blocks


@given(bitrate=st.integers(0, 1 << 40), ssrcs=st.lists(WORD, max_size=5))
def test_remb(bitrate: int, ssrcs: list[int]) -> None:
    (message,) = rtcp.parse_compound(rtcp.remb(bitrate, ssrcs)) or [None]
    assert isinstance(message, rtcp.Remb)
    assert bitrate * (1 - 2**-16) <= message.bitrate <= bitrate


def test_key_frame_requests() -> None:
    data = rtcp.pli(5) + rtcp.fir(6, 300)
    assert rtcp.parse_compound(data) == [rtcp.KeyFrameRequest(5), rtcp.KeyFrameRequest(6)]
    assert rtcp.pli(5) == bytes.fromhex("81ce0002 00000001 00000005")
    assert rtcp.fir(6, 300) == bytes.fromhex("84ce0004 00000001 00000000 00000006 2c000000")


def test_loss_below_zero() -> None:
    """Duplicates make the total negative (RFC 3550 §6.4.1)."""
    body = struct.pack("!IIIIIII", 1, 2, 0x00FFFFFF, 0, 0, 0, 0)
    (message,) = rtcp.parse_compound(rtcp.packet(201, 1, body)) or [None]
    assert isinstance(message, rtcp.ReportBlock)
    assert message.total_lost == -1


def test_what_we_have_no_use_for_is_left_out() -> None:
    sdes = rtcp.packet(202, 1, bytes(8))
    application = rtcp.packet(204, 0, bytes(8))
    extended = rtcp.packet(207, 0, bytes(4))
    unknown = rtcp.packet(205, 31, bytes(8))
    assert rtcp.parse_compound(sdes + application + extended + unknown) == []
    assert rtcp.parse_compound(sdes + rtcp.pli(3)) == [rtcp.KeyFrameRequest(3)]
    bye = rtcp.packet(203, 1, bytes((0, 0, 0, 9)))
    assert rtcp.parse_compound(bye) == [rtcp.Goodbye(9)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81",
        b"\x81\xce\x00\x02\x00\x00\x00\x01",  # shorter than it says
        b"\x41" + rtcp.pli(1)[1:],  # version 1
        rtcp.pli(1) + b"\x80",
        b"\xa1\xc9\x00\x00",  # padding without any
        b"\xa1\xc9\x00\x01\x00\x00\x00\xff",  # more padding than there is
        rtcp.packet(200, 0, bytes(8)),
        rtcp.packet(201, 1, bytes(8)),
        rtcp.packet(205, 1, bytes(4)),
    ],
)
def test_what_is_not_well_formed_is_not_read(data: bytes) -> None:
    assert rtcp.parse_compound(data) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    rtcp.parse_compound(data)


@given(st.sampled_from([200, 201, 203, 205, 206]), st.integers(0, 31), st.binary(max_size=120))
def test_no_body_raises(packet_type: int, count: int, body: bytes) -> None:
    messages = rtcp.parse_compound(rtcp.packet(packet_type, count, body[: len(body) & ~3]))
    assert messages is None or len(messages) <= 400


def test_a_compound_is_read_to_a_bound() -> None:
    messages = rtcp.parse_compound(rtcp.pli(1) * 100)
    assert messages is not None
    assert len(messages) == 32
    huge = rtcp.packet(205, 1, bytes(8) + b"\x00\x01\xff\xff" * 300)
    (message,) = rtcp.parse_compound(huge) or [None]
    assert isinstance(message, rtcp.Nack)
    assert len(message.numbers) == 64 * 17
