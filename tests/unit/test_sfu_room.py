"""The room: who gets what from whom, streams learnt from MID and RID, bounds, and hostile pages."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import rtcp
from sfu.interfaces import (
    Bounds,
    Codec,
    Extension,
    ForwardingRoom,
    Kind,
    ReceiveTrack,
    RoomFullError,
    SendTrack,
    Source,
    Sources,
    Tile,
    Transport,
)
from sfu.room import Room
from sfu.rtp import encode
from sfu.sequence import nearest16, signed32
from tests.unit.sfu_world import (
    CAMERA,
    DOWN_IDS,
    FEEDBACK,
    IDS,
    MICROPHONE,
    PLAIN_CAMERA,
    VIDEO_CODECS,
    VP8,
    VP8_RTX,
    Encoder,
    Page,
    World,
    simulcast,
    vp8_payload,
)


def test_the_promises_are_kept_by_type() -> None:
    world = World()
    room: ForwardingRoom = world.room
    transport: Transport = Page(world, "x")
    assert isinstance(room, Room)
    assert transport is not None


@given(st.integers(0, 0xFFFF), st.integers(0, 1 << 40))
def test_the_nearest_number(value: int, reference: int) -> None:
    found = nearest16(value, reference)
    assert found & 0xFFFF == value
    assert -0x8000 <= found - reference < 0x8000
    assert -(1 << 31) <= signed32(reference - value) < 1 << 31


def test_sources_are_told_when_they_change() -> None:
    world = World()
    camera = Source("a", "camera", Kind.VIDEO, 3)
    microphone = Source("a", "microphone", Kind.AUDIO, 1)
    world.join("a", send=[CAMERA, MICROPHONE])
    assert world.room.poll_output() == [Sources((camera, microphone))]
    world.room.set_tracks("a", [CAMERA, MICROPHONE], [], world.now)
    assert world.room.poll_output() == []
    world.room.set_tracks("a", [MICROPHONE], [], world.now)
    assert world.room.poll_output() == [Sources((microphone,))]
    world.room.remove_participant("a", world.now)
    assert world.room.poll_output() == [Sources(())]


def test_everybody_gets_everybody_and_nobody_itself() -> None:
    world = World()
    names = "abcd"
    for at, name in enumerate(names):
        world.join(name, send=[replace(PLAIN_CAMERA, ssrcs=(0x10 + at,))])
    tracks: dict[str, dict[str, ReceiveTrack]] = {}
    for name in names:
        tracks[name] = {other: world.receive_video(other) for other in names}
        world.room.set_tracks(
            name, [replace(PLAIN_CAMERA, ssrcs=(0x10 + names.index(name),))],
            tracks[name].values(), world.now,
        )  # fmt: skip
    for at in range(len(names)):
        for packet in Encoder(ssrc=0x10 + at, mid="").frame():
            world.room.receive_rtp(names[at], packet, world.now)
    for name in names:
        for other in names:
            expected = 0 if other == name else 2
            assert len(world.pages[name].of(tracks[name][other].ssrc)) == expected


@pytest.mark.parametrize("announced", [True, False])
def test_layers_are_learnt_from_rids(announced: bool) -> None:
    """Announced SSRCs are in no certain order where there are RIDs."""
    world = World()
    ssrcs = (0x102, 0x101, 0x100) if announced else ()
    world.join("a", send=[replace(CAMERA, ssrcs=ssrcs)])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    for encoder in simulcast():
        for packet in encoder.frame():
            world.room.receive_rtp("a", packet, world.now)
    assert len(page.of(track.ssrc)) == 2
    participant = world.room._participants["a"]
    assert {ssrc: stream.layer for ssrc, stream in participant.media.items()} == {
        0x100: 0, 0x101: 1, 0x102: 2,
    }  # fmt: skip


def test_a_retransmission_stream_is_learnt_from_its_repaired_rid() -> None:
    world = World()
    world.join("a", send=[CAMERA])
    encoders = simulcast()
    for encoder in encoders:
        for packet in encoder.frame():
            world.room.receive_rtp("a", packet, world.now)
    payload = b"\0\0" + vp8_payload(b"x" * 50)
    for at, rid in enumerate("lmh"):
        packet = encode(
            VP8_RTX, 1, 0, 0x200 + at, payload, extensions=[(1, b"1"), (3, rid.encode())]
        )
        world.room.receive_rtp("a", packet, world.now)
    participant = world.room._participants["a"]
    assert {ssrc: stream.layer for ssrc, stream in participant.repairs.items()} == {
        0x200: 0, 0x201: 1, 0x202: 2,
    }  # fmt: skip


def test_a_page_without_mid_is_understood_where_types_tell() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA, MICROPHONE])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    for packet in Encoder(ssrc=0x10, mid="").frame():
        world.room.receive_rtp("a", packet, world.now)
    assert len(page.of(track.ssrc)) == 2


def test_payload_types_and_codecs_of_each_page_are_its_own() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    other = replace(
        track, codecs={45: Codec("H264", 90_000, 46), 120: Codec("vp8", 90_000, 121, "", FEEDBACK)}
    )
    page = world.join("b", receive=[other])
    strange = world.join("c", receive=[replace(track, codecs={45: Codec("H264", 90_000)})])
    for packet in Encoder(ssrc=0x10).frame():
        world.room.receive_rtp("a", packet, world.now)
    assert {packet.payload_type for packet in page.of(track.ssrc)} == {120}
    world.room.receive_rtcp("b", rtcp.nack(track.ssrc, [page.rtp[0].sequence]), world.now)
    assert page.rtp[-1].payload_type == 121
    assert strange.rtp == []


def test_pages_without_transport_wide_feedback_get_send_times() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    ids = {number: at for number, at in DOWN_IDS.items() if number is not Extension.TRANSPORT_CC}
    track = replace(world.receive_video("a"), extensions=ids)
    page = world.join("b", receive=[track])
    bare = replace(world.receive_video("a"), extensions={})
    plain = world.join("c", receive=[bare])
    for packet in Encoder(ssrc=0x10).frame():
        world.room.receive_rtp("a", packet, world.now)
    assert all(packet.transport_cc is None for packet in (*page.rtp, *plain.rtp))
    at = page.rtp[0].data.index(bytes((4 << 4 | 2,)), 12)
    stamp = int.from_bytes(page.rtp[0].data[at + 1 : at + 4], "big")
    assert stamp == int(world.now * (1 << 18)) & 0xFFFFFF
    assert len(plain.of(bare.ssrc)) == 2


def test_tracks_that_stay_go_on_while_others_come_and_go() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    encoder = Encoder(ssrc=0x10)
    for at in range(12):
        more = [world.receive_video("a", "screen") for _ in range(at % 3)]
        world.room.set_tracks("b", [MICROPHONE] if at % 2 else [], [track, *more], world.now)
        world.room.set_tracks("a", [PLAIN_CAMERA, *([MICROPHONE] if at % 2 else [])], [], world.now)
        for packet in encoder.frame():
            world.room.receive_rtp("a", packet, world.now)
    numbers = [packet.sequence for packet in page.of(track.ssrc)]
    assert numbers == list(range(numbers[0], numbers[0] + 24))


def test_who_is_not_connected_gets_nothing_and_asks_for_nothing() -> None:
    world = World()
    publisher = world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    encoder = Encoder(ssrc=0x10)
    for packet in encoder.frame():
        world.room.receive_rtp("a", packet, world.now)
    world.room.set_connected("b", False, world.now)
    page.take()
    for _ in range(60):
        for packet in encoder.frame():
            world.room.receive_rtp("a", packet, world.now)
        world.room.receive_rtcp("b", rtcp.pli(track.ssrc), world.now)
        world.pass_time(1 / 30)
    assert page.take() == []
    assert world.room.counters.key_frames_asked == 0
    world.room.set_connected("b", True, world.now)
    world.pass_time(0.1)
    assert any(isinstance(one, rtcp.KeyFrameRequest) for one in publisher.rtcp)


def test_who_is_removed_gets_nothing() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    page = world.join("b", receive=[world.receive_video("a")])
    encoder = Encoder(ssrc=0x10)
    world.room.remove_participant("b", world.now)
    for packet in encoder.frame():
        world.room.receive_rtp("a", packet, world.now)
        world.room.receive_rtp("b", packet, world.now)
    world.room.receive_rtcp("b", rtcp.pli(1), world.now)
    world.pass_time(2)
    assert page.rtp == []
    assert world.room._participants["a"].media[0x10].legs == []


def test_timers_run_only_while_somebody_is_connected() -> None:
    world = World()
    assert world.room.next_timeout() is None
    world.join("a")
    assert world.room.next_timeout() is not None
    world.room.set_connected("a", False, world.now)
    assert world.room.next_timeout() is None


# Bounds


def test_a_room_is_full_at_its_bound() -> None:
    world = World(Bounds(participants=2))
    world.join("a")
    world.join("b")
    with pytest.raises(RoomFullError):
        world.join("c")
    world.join("b")
    world.room.remove_participant("a", world.now)
    world.join("c")


def test_tracks_beyond_the_bound_are_left_out() -> None:
    world = World(Bounds(send_tracks=2, receive_tracks=3))
    tracks = [SendTrack(str(at), f"source{at}", Kind.VIDEO, VIDEO_CODECS, IDS) for at in range(5)]
    world.join("a", send=tracks)
    (sources,) = world.room.poll_output()
    assert isinstance(sources, Sources)
    assert [one.source for one in sources.sources] == ["source0", "source1"]
    world.join("b", receive=[world.receive_video("a") for _ in range(9)])
    assert len(world.room._participants["b"].subscriptions) == 3


def test_ssrcs_beyond_the_bound_are_dropped() -> None:
    world = World()
    world.join("a", send=[CAMERA])
    for at in range(500):
        encoder = Encoder(ssrc=0x1000 + at, rid="lmh"[at % 3])
        for packet in encoder.frame(1):
            world.room.receive_rtp("a", packet, world.now)
        world.now += 0.6 if at % 3 == 2 else 0
    participant = world.room._participants["a"]
    assert len(participant.media) <= 3
    flood = World()
    flood.join("a", send=[CAMERA])
    for at in range(50):
        for packet in Encoder(ssrc=at, rid="l").frame(1):
            flood.room.receive_rtp("a", packet, flood.now)
    assert flood.room.counters.dropped["unknown_ssrc"] == 48


def test_a_publisher_above_its_bit_rate_is_cut() -> None:
    world = World(Bounds(max_bitrate_up=1_000_000))
    world.join("a", send=[PLAIN_CAMERA])
    page = world.join("b", receive=[world.receive_video("a")])
    encoder = Encoder(ssrc=0x10)
    for _ in range(100):
        for packet in encoder.frame(20, size=1000):
            world.room.receive_rtp("a", packet, world.now)
        world.pass_time(0.04)
    octets = sum(len(packet.data) for packet in page.rtp)
    assert world.room.counters.dropped["over_bitrate"] > 0
    assert octets * 8 / 4 < 1_000_000 * 1.5 * 1.3
    before = world.room.counters.dropped["over_bitrate"]
    for at in range(20_000):
        world.room.receive_rtp("a", encode(96, at & 0xFFFF, 0, 0x77, b""), world.now)
    assert world.room.counters.dropped["over_bitrate"] - before > 15_000


def test_control_packets_are_bounded_in_rate() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    world.join("b", receive=[track])
    for _ in range(1000):
        world.room.receive_rtcp("b", rtcp.nack(track.ssrc, list(range(100))), world.now)
    dropped = world.room.counters.dropped["over_rtcp_rate"]
    assert dropped >= 800
    world.pass_time(1)
    world.room.receive_rtcp("b", rtcp.pli(track.ssrc), world.now)
    assert world.room.counters.dropped["over_rtcp_rate"] == dropped


def test_the_history_of_a_room_is_bounded() -> None:
    world = World(Bounds(history_packets=64, history_bytes=20_000))
    world.join("a", send=[CAMERA])
    encoders = simulcast()
    for _ in range(60):
        for encoder in encoders:
            for packet in encoder.frame(4, size=1000):
                world.room.receive_rtp("a", packet, world.now)
        world.pass_time(0.03)
        for stream in world.room._participants["a"].streams():
            assert stream.history.octets <= 21_200
    world.pass_time(3)
    assert all(not s.history.octets for s in world.room._participants["a"].streams())


# Hostile pages

PACKETS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda payload_type, sequence, ssrc, payload, elements: encode(
            payload_type, sequence, 0, ssrc, payload, extensions=elements.items()
        ),
        st.sampled_from([VP8, VP8_RTX, 111, 0]),
        st.integers(0, 0xFFFF),
        st.sampled_from([0x100, 0x101, 0x200, 0x77]),
        st.binary(max_size=40),
        st.dictionaries(
            st.integers(1, 14),
            st.sampled_from([b"0", b"1", b"l", b"h", b"\xff\xff", b"\x00"]),
            max_size=4,
        ),
    ),
)
CONTROL = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda kind, count, body: rtcp.packet(kind, count, body[: len(body) & ~3]),
        st.sampled_from([200, 201, 203, 205, 206]),
        st.sampled_from([0, 1, 4, 15]),
        st.binary(max_size=60).map(lambda body: b"\0\0\0\1\0\0\x50\0" + body),
    ),
)


@given(st.lists(st.tuples(st.booleans(), PACKETS, CONTROL, st.integers(0, 50)), max_size=40))
def test_nothing_that_a_page_sends_raises_or_disturbs_others(
    steps: list[tuple[bool, bytes, bytes, int]],
) -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    hostile = world.receive_video("a")
    world.join("x", send=[CAMERA, MICROPHONE], receive=[hostile])
    encoder = Encoder(ssrc=0x10)
    for is_control, packet, control, passed in steps:
        if is_control:
            world.room.receive_rtcp("x", control, world.now)
        else:
            world.room.receive_rtp("x", packet, world.now)
        for media in encoder.frame():
            world.room.receive_rtp("a", media, world.now)
        world.pass_time(passed / 1000)
        world.room.poll_output()
    numbers = [packet.sequence for packet in page.of(track.ssrc)]
    assert numbers == [(0x7FF0 + at) & 0xFFFF for at in range(2 * len(steps))]


def test_tiles_are_taken_to_a_bound() -> None:
    world = World()
    world.join("a")
    world.room.want("a", [Tile(str(at), "camera", 1, 1) for at in range(1000)], world.now)
    tiles = world.room._participants["a"].tiles
    assert tiles is not None
    assert len(tiles) == 64
    world.room.want("nobody", [], world.now)
    world.room.set_tracks("nobody", [], [], world.now)
    world.room.set_connected("nobody", True, world.now)
    assert Extension.MID in IDS
