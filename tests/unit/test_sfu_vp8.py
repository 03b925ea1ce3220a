"""The VP8 payload descriptor (RFC 7741 §4.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.vp8 import Vp8Descriptor, frame_size
from tests.unit.sfu_world import vp8_payload


@given(
    begins=st.booleans(),
    key=st.booleans(),
    picture_id=st.integers(0, 0x7FFF),
    tl0=st.integers(0, 255),
    tid=st.integers(0, 3),
    sync=st.booleans(),
    key_index=st.none() | st.integers(0, 31),
)
def test_all_fields(
    *,
    begins: bool,
    key: bool,
    picture_id: int,
    tl0: int,
    tid: int,
    sync: bool,
    key_index: int | None,
) -> None:
    payload = vp8_payload(
        b"content", begins=begins, key=key, picture_id=picture_id, tl0=tl0, tid=tid, sync=sync,
        key_index=key_index,
    )  # fmt: skip
    vp8 = Vp8Descriptor()
    assert vp8.parse(b"front" + payload + b"behind", 5, 5 + len(payload))
    assert (vp8.begins, vp8.key) == (begins, begins and key)
    assert (vp8.picture_id, vp8.picture_id_mask) == (picture_id, 0x7FFF)
    assert (vp8.tl0, vp8.tid, vp8.sync, vp8.length) == (tl0, tid, sync, 6)
    assert (payload[vp8.tl0_at], payload[vp8.picture_id_at] & 0x7F) == (tl0, picture_id >> 8)
    assert bool(vp8.key_index_at) is (key_index is not None)


@pytest.mark.parametrize(
    ("payload", "length"),
    [
        (b"\x10\x00", 1),  # no extension
        (b"\x90\x00\x00", 2),  # an empty one
        (b"\x90\x80\x05\x01", 3),  # PictureID of 7 bits
        (b"\x90\x80\x80\x05\x01", 4),
        (b"\x90\x40\x05\x01", 3),
        (b"\x90\x10\x05\x01", 3),
    ],
)
def test_optional_fields(payload: bytes, length: int) -> None:
    vp8 = Vp8Descriptor()
    assert vp8.parse(payload, 0, len(payload))
    assert vp8.length == length


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x10", b"\x90\x80", b"\x90\x80\x80\x05", b"\x90\xf0\x80\x05\x01\x01", b"\x90\x00"],
)
def test_too_short(payload: bytes) -> None:
    assert not Vp8Descriptor().parse(payload, 0, len(payload))


@given(st.binary(max_size=20))
def test_no_bytes_raise(payload: bytes) -> None:
    vp8 = Vp8Descriptor()
    if vp8.parse(payload, 0, len(payload)):
        assert 0 < vp8.length < len(payload)
        assert max(vp8.picture_id_at, vp8.tl0_at, vp8.key_index_at) < vp8.length
    frame_size(payload, 0, len(payload))


def test_the_size_of_a_key_frame() -> None:
    payload = vp8_payload(b"", key=True, size=(1280, 720))
    assert frame_size(payload, 6, len(payload)) == (1280, 720)
    assert frame_size(payload, 6, len(payload) - 1) is None
    assert frame_size(vp8_payload(b"x" * 20), 6, 29) is None


def test_a_later_partition_begins_no_frame() -> None:
    vp8 = Vp8Descriptor()
    assert vp8.parse(b"\x11\x00", 0, 2)
    assert not vp8.begins
    assert not vp8.key
