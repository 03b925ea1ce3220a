"""Bandwidth split over tiles, and which layers that makes subscribers follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.interfaces import Bounds, Kind, SendTrack, Tile
from sfu.layers import MARGIN, PAUSED, Step, Wish, allocate, best_layer
from sfu.rtp import encode
from tests.unit.sfu_world import (
    CAMERA,
    IDS,
    MICROPHONE,
    OPUS,
    PLAIN_CAMERA,
    VIDEO_CODECS,
    Encoder,
    World,
    picture,
    simulcast,
)

STEPS = (Step(0, 3, 150_000), Step(1, 3, 500_000), Step(2, 3, 1_500_000))
WISHES = st.lists(
    st.builds(
        Wish,
        steps=st.lists(st.integers(1, 2_000_000), max_size=5, unique=True).map(
            lambda rates: tuple(Step(at, 3, rate) for at, rate in enumerate(sorted(rates)))
        ),
        size=st.integers(0, 1_000_000),
        first=st.booleans(),
        current=st.integers(PAUSED, 4),
    ),
    max_size=10,
)


@given(budget=st.integers(-100_000, 10_000_000), wishes=WISHES)
def test_never_more_than_there_is(budget: int, wishes: list[Wish]) -> None:
    chosen = allocate(budget, wishes)
    taken = [wish.steps[at].bitrate for wish, at in zip(wishes, chosen, strict=True) if at >= 0]
    assert all(PAUSED <= at < len(wish.steps) for wish, at in zip(wishes, chosen, strict=True))
    # Only the very first may be sent into a little less than it takes.
    assert sum(taken) <= max(budget, 0) or len(taken) == 1
    assert sum(taken) * 0.7 <= max(budget, 0)


@given(budget=st.integers(0, 10_000_000), wishes=WISHES)
def test_what_is_allotted_is_allotted_again(budget: int, wishes: list[Wish]) -> None:
    """With the same bandwidth nothing changes: hysteresis holds what it has."""
    chosen = allocate(budget, wishes)
    again = [
        Wish(wish.steps, wish.size, wish.first, at) for wish, at in zip(wishes, chosen, strict=True)
    ]
    assert allocate(budget, again) == chosen


def test_everybody_gets_the_least_before_anybody_gets_more() -> None:
    wishes = [Wish(STEPS, size) for size in (100, 300, 200)]
    assert allocate(500_000, wishes) == [0, 0, 0]
    assert allocate(300_000 * 1.15, wishes) == [PAUSED, 0, 0]
    assert allocate(1_000_000, wishes) == [0, 1, 0]
    assert allocate(10_000_000, wishes) == [2, 2, 2]
    assert allocate(0, wishes) == [PAUSED] * 3


def test_screens_and_pinned_tiles_come_first() -> None:
    wishes = [Wish(STEPS, 900), Wish(STEPS, 100, first=True), Wish(STEPS, 800)]
    assert allocate(1_000_000, wishes) == [0, 1, 0]
    assert allocate(200_000, wishes) == [PAUSED, 0, PAUSED]
    assert allocate(2_100_000, wishes) == [0, 2, 0]


def test_no_going_back_and_forth() -> None:
    below, above = int(500_000 * 1.05), int(500_000 * MARGIN) + 1
    assert allocate(below, [Wish(STEPS, 1, current=0)]) == [0]
    assert allocate(above, [Wish(STEPS, 1, current=0)]) == [1]
    assert allocate(below, [Wish(STEPS, 1, current=1)]) == [1]
    assert allocate(499_000, [Wish(STEPS, 1, current=1)]) == [0]


@pytest.mark.parametrize(
    ("tile", "layer"),
    [((160, 90), 0), ((320, 180), 0), ((480, 270), 1), ((640, 360), 1), ((1920, 1080), 2)],
)
def test_the_layer_for_a_tile(tile: tuple[int, int], layer: int) -> None:
    assert best_layer([None, None, None], *tile) == layer
    assert best_layer([(320, 180), (640, 360), (1280, 720)], *tile) == layer
    assert best_layer([None], *tile) == 0


def play(world: World, encoders: dict[str, list[Encoder]], seconds: float) -> None:
    for _ in range(int(seconds * 30)):
        for pid, layers in encoders.items():
            wanted = {getattr(one, "ssrc", 0) for one in world.pages[pid].rtcp}
            world.pages[pid].rtcp.clear()
            for encoder in layers:
                # About 150, 500 and 1500 kbit/s.
                size = (600, 1030, 1030)[encoder.layer]
                count = (1, 2, 6)[encoder.layer]
                for packet in encoder.frame(count, key=encoder.ssrc in wanted, size=size):
                    world.room.receive_rtp(pid, packet, world.now)
        world.pass_time(1 / 30)


def layers_of(world: World, pid: str) -> dict[str, int | None]:
    """The layer that each source of a page is followed in; None is paused."""
    return {
        one.track.participant: one.stream.layer if one.stream is not None else None
        for one in world.room._participants[pid].subscriptions.values()
    }


def conference(bounds: Bounds | None = None) -> tuple[World, dict[str, list[Encoder]]]:
    world = World(bounds)
    for name in "abc":
        world.join(name, send=[CAMERA])
    world.join("z", receive=[world.receive_video(name) for name in "abc"])
    encoders = {name: simulcast() for name in "abc"}
    return world, encoders


def test_tiles_decide_over_layers() -> None:
    world, encoders = conference()
    world.room._participants["z"].bandwidth.target = 10_000_000
    play(world, encoders, 2)
    assert layers_of(world, "z") == {"a": 0, "b": 0, "c": 0}
    tiles = [Tile("a", "camera", 1280, 720), Tile("b", "camera", 640, 360)]
    world.room.want("z", tiles, world.now)
    play(world, encoders, 4)
    assert layers_of(world, "z") == {"a": 2, "b": 1, "c": None}
    before = len(world.pages["z"].rtp)
    world.room.want("z", [Tile("a", "camera", 0, 0)], world.now)
    play(world, encoders, 1)
    assert layers_of(world, "z") == {"a": None, "b": None, "c": None}
    assert len(world.pages["z"].rtp) == before


def test_bandwidth_decides_too_and_the_pinned_one_is_first() -> None:
    world, encoders = conference()
    tiles = [Tile(name, "camera", 1280, 720, pinned=name == "b") for name in "abc"]
    world.room.want("z", tiles, world.now)
    world.room._participants["z"].bandwidth.target = 1_000_000
    play(world, encoders, 4)
    assert layers_of(world, "z") == {"a": 0, "b": 1, "c": 0}
    world.room._participants["z"].bandwidth.target = 200_000
    play(world, encoders, 1)
    assert layers_of(world, "z") == {"a": None, "b": 0, "c": None}


def test_sound_is_never_cut() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA, MICROPHONE])
    video, audio = world.receive_video("a"), world.receive_audio("a")
    page = world.join("b", receive=[video, audio])
    bandwidth = world.room._participants["b"].bandwidth
    encoder = Encoder(ssrc=0x10)
    for at in range(200):
        bandwidth.target = 10_000
        packet = encode(OPUS, at, at * 960, 0x77, bytes(80), extensions=[(1, b"0")])
        world.room.receive_rtp("a", packet, world.now)
        for one in encoder.frame(size=1000):
            world.room.receive_rtp("a", one, world.now)
        world.pass_time(0.02)
    assert len(page.of(audio.ssrc)) == 200
    assert len(page.of(video.ssrc)) < 100


def test_a_layer_that_is_not_sent_is_not_waited_for() -> None:
    world, encoders = conference()
    world.room.want("z", [Tile("a", "camera", 1280, 720)], world.now)
    world.room._participants["z"].bandwidth.target = 10_000_000
    play(world, encoders, 3)
    assert layers_of(world, "z")["a"] == 2
    encoders["a"].pop()  # as a browser does whose way up is short
    play(world, encoders, 4)
    assert layers_of(world, "z")["a"] == 1


def test_last_n_by_who_spoke() -> None:
    world = World(Bounds(video_sources_shown=2))
    for name in "abc":
        world.join(name, send=[CAMERA, MICROPHONE])
    world.join("z", receive=[world.receive_video(name) for name in "abc"])
    encoders = {name: simulcast() for name in "abc"}
    world.room.want("z", [Tile(name, "camera", 320, 180) for name in "abc"], world.now)
    for at, name in enumerate("bc"):
        for step in range(30):
            packet = encode(
                OPUS, at * 30 + step, 0, 0x70 + ord(name), bytes(80),
                extensions=[(1, b"0"), (6, b"\x14")],
            )  # fmt: skip
            world.room.receive_rtp(name, packet, world.now)
            world.pass_time(0.02)
    play(world, encoders, 2)
    shown = {name for name, layer in layers_of(world, "z").items() if layer is not None}
    assert shown == {"b", "c"}
    screen = SendTrack("2", "screen", Kind.VIDEO, VIDEO_CODECS, IDS)
    world.room.set_tracks("a", [CAMERA, MICROPHONE, screen], [], world.now)
    participant = world.room._participants["z"]
    tracks = [one.track for one in participant.subscriptions.values()]
    wanted = world.receive_video("a", source="screen")
    world.room.set_tracks("z", [], [*tracks, wanted], world.now)
    tiles = [Tile(name, "camera", 320, 180) for name in "abc"]
    world.room.want("z", [*tiles, Tile("a", "screen", 800, 600)], world.now)
    sharing = Encoder(ssrc=0x99, mid="2")
    for _ in range(40):
        for packet in sharing.frame():
            world.room.receive_rtp("a", packet, world.now)
        play(world, encoders, 1 / 30)
    followed = {
        (one.track.participant, one.track.source)
        for one in participant.subscriptions.values()
        if one.stream is not None
    }
    assert followed == {("a", "screen"), ("c", "camera")}


def test_temporal_layers_come_before_smaller_pictures() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    encoder = Encoder(ssrc=0x10, temporal=((0, False), (2, True), (1, True), (2, False)))
    bandwidth = world.room._participants["b"].bandwidth
    for _ in range(120):
        bandwidth.target = 150_000  # half of what all of it takes
        for packet in encoder.frame(1, size=1100):
            world.room.receive_rtp("a", packet, world.now)
        world.pass_time(1 / 30)
    late = [one for one in map(picture, page.of(track.ssrc)[-20:]) if one]
    assert {one.tid for one in late} == {0, 1}
