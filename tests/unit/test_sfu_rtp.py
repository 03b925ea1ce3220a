"""RTP packets and header extensions: what is read is what was written, and nothing raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp import RtpPacket, encode
from sfu.rtx import unwrap

ELEMENTS = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6)
LONG_ELEMENTS = st.dictionaries(st.integers(1, 255), st.binary(min_size=1, max_size=60), max_size=4)


@given(
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=100),
    marker=st.booleans(),
    elements=ELEMENTS | LONG_ELEMENTS,
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15),
    padding=st.integers(0, 255),
)
def test_what_is_written_is_read(
    *,
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool,
    elements: dict[int, bytes],
    csrcs: list[int],
    padding: int,
) -> None:
    data = encode(
        payload_type, sequence, timestamp, ssrc, payload,
        marker=marker, extensions=elements.items(), csrcs=csrcs, padding=padding,
    )  # fmt: skip
    packet = RtpPacket()
    assert packet.parse(data)
    assert (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == (
        payload_type, sequence, timestamp, ssrc,
    )  # fmt: skip
    assert packet.marker is marker
    assert data[packet.start : packet.end] == payload
    for number, value in elements.items():
        assert packet.extension(number) == value
    assert all(packet.extension(number) is None for number in {3, 9} - set(elements))


@given(st.binary(max_size=120), st.integers(0, 255))
def test_no_bytes_raise(data: bytes, number: int) -> None:
    packet = RtpPacket()
    if packet.parse(data):
        assert 12 <= packet.start <= packet.end <= len(data)
        packet.extension(number)
        packet.text(number)
        unwrap(packet, 96, 1)


@given(st.binary(min_size=20, max_size=60), st.sampled_from([0xBEDE, 0x1000, 0x100F, 0x1234]))
def test_no_extension_block_raises(block: bytes, profile: int) -> None:
    block = block[: len(block) & ~3]
    data = encode(96, 1, 2, 3, b"")
    data = bytes((data[0] | 0x10,)) + data[1:] + profile.to_bytes(2, "big")
    data += (len(block) // 4).to_bytes(2, "big") + block
    packet = RtpPacket()
    assert packet.parse(data)
    for number in range(256):
        value = packet.extension(number)
        assert value is None or (value and value in block)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x00" + bytes(11),  # version 0
        b"\x40" + bytes(11),  # version 1: STUN and the like
        b"\x8f" + bytes(30),  # fifteen CSRCs that are not there
        b"\x90" + bytes(11),  # an extension that is not there
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x02" + bytes(4),  # shorter than it says
        b"\xa0" + bytes(11),  # padding of nothing
        b"\xa0" + bytes(11) + b"\x02",  # more padding than payload
    ],
)
def test_what_is_not_well_formed_is_not_read(data: bytes) -> None:
    assert not RtpPacket().parse(data)


def test_an_extension_block_ends_at_id_fifteen() -> None:
    data = b"\x90" + bytes(11) + b"\xbe\xde\x00\x01" + b"\xf0\xaa\x10\x07"
    packet = RtpPacket()
    assert packet.parse(data)
    assert packet.extension(1) is None


def test_a_retransmission_carries_its_packet() -> None:
    original = encode(96, 0xFFFF, 77, 5, b"payload", marker=True)
    packet = RtpPacket()
    assert packet.parse(
        encode(97, 3, 77, 6, b"\xff\xffpayload", marker=True, extensions=[(3, b"h")], padding=4)
    )
    assert unwrap(packet, 96, 5) == original


def test_a_retransmission_of_nothing_is_padding() -> None:
    packet = RtpPacket()
    assert packet.parse(encode(97, 3, 77, 6, b"\xff\xff", padding=200))
    assert unwrap(packet, 96, 5) is None
