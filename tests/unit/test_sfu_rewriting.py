"""What a subscriber gets, held against what was sent, through loss, disorder, repetition, changes
of layer, temporal limits and the wrap of every number."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.interfaces import Kind
from sfu.publication import Publication
from sfu.rtp import encode
from sfu.subscription import Subscription
from tests.unit.sfu_world import (
    CAMERA,
    IDS,
    MICROPHONE,
    OPUS,
    PLAIN_CAMERA,
    TEMPORAL_PATTERN,
    Encoder,
    Page,
    Picture,
    Sent,
    World,
    picture,
    simulcast,
    unwrapped,
)


def internals(world: World, pid: str) -> tuple[Subscription, Publication]:
    """The one video subscription of a page, to aim it by hand."""
    participant = world.room._participants[pid]
    (subscription,) = participant.subscriptions.values()
    assert subscription.publication is not None
    return subscription, subscription.publication


@dataclass
class Scene:
    """A publisher with three layers and one subscriber that nobody allots anything to."""

    world: World = field(default_factory=World)
    encoders: list[Encoder] = field(default_factory=lambda: simulcast(TEMPORAL_PATTERN))

    def __post_init__(self) -> None:
        self.world.join("a", send=[CAMERA])
        self.track = self.world.receive_video("a")
        self.page: Page = self.world.join("b", receive=[self.track])
        self.subscription, self.publication = internals(self.world, "b")

    def aim(self, layer: int | None, limit: int = 3) -> None:
        self.subscription.aim(None if layer is None else self.publication.streams[layer], limit)

    def receive(self, packet: bytes) -> None:
        self.world.room.receive_rtp("a", packet, self.world.now)

    def frames(self, count: int, *, keys: tuple[int, ...] = (), packets: int = 2) -> None:
        for _ in range(count):
            for encoder in self.encoders:
                for packet in encoder.frame(packets, key=encoder.layer in keys):
                    self.receive(packet)
            keys = ()
            self.world.now += 1 / 30

    @property
    def media(self) -> list[Sent]:
        return self.page.of(self.track.ssrc)

    @property
    def pictures(self) -> list[Picture]:
        return [one for one in map(picture, self.media) if one is not None]


def check_unbroken(pictures: list[Picture]) -> None:
    """A stream as one encoder would have sent it: every number counts on by what it should."""
    sequences = list(unwrapped((one.sequence for one in pictures), 16))
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    frames = [
        list(packets)
        for _, packets in itertools.groupby(pictures, lambda one: (one.layer, one.frame))
    ]
    ids = list(unwrapped((packets[0].picture_id for packets in frames), 15))
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    times = list(unwrapped((packets[0].timestamp for packets in frames), 32))
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    tl0 = list(unwrapped((packets[0].tl0 for packets in frames), 8))
    for packets, earlier, later in zip(frames[1:], tl0, tl0[1:], strict=False):
        assert later - earlier == (1 if packets[0].tid == 0 else 0)
    for packets in frames:
        assert len({(one.timestamp, one.picture_id, one.tl0) for one in packets}) == 1


def test_changes_of_layer_leave_no_seam() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(20)
    scene.aim(2)
    scene.frames(3)
    assert {one.layer for one in scene.pictures} == {0}, "no change before a key frame"
    scene.frames(20, keys=(2,))
    scene.aim(1)
    scene.frames(20, keys=(1,))
    check_unbroken(scene.pictures)
    layers = [layer for layer, _ in itertools.groupby(scene.pictures, lambda one: one.layer)]
    assert layers == [0, 2, 1]
    assert all(one.begins for one in scene.pictures if one.key)


def test_a_pause_leaves_no_seam_but_in_time() -> None:
    scene = Scene()
    scene.aim(1)
    scene.frames(10)
    scene.aim(None)
    scene.frames(60)
    assert len(scene.pictures) == 20
    scene.aim(1)
    scene.frames(10, keys=(1,))
    check_unbroken(scene.pictures)
    before, after = scene.pictures[19], scene.pictures[20]
    passed = (after.timestamp - before.timestamp) & 0xFFFFFFFF
    assert passed == pytest.approx(61 * 3000, rel=0.02)


@pytest.mark.parametrize("limit", [0, 1])
def test_temporal_layers_are_left_out_without_a_gap(limit: int) -> None:
    scene = Scene()
    scene.aim(0, limit)
    scene.frames(40)
    assert {one.tid for one in scene.pictures} == set(range(limit + 1))
    check_unbroken(scene.pictures)


def test_temporal_layers_come_back_only_where_a_frame_allows_it() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(8)
    scene.aim(0, 0)
    scene.frames(8)
    scene.aim(0, 3)
    scene.frames(16)
    check_unbroken(scene.pictures)
    frames = [next(group) for _, group in itertools.groupby(scene.pictures, lambda one: one.frame)]
    kept = [one for one in frames if 8 <= one.frame < 16]
    assert {one.tid for one in kept} == {0}
    back = [one for one in frames if one.frame >= 16]
    first_of = {tid: next(one.frame for one in back if one.tid == tid) for tid in (1, 2)}
    assert first_of[1] < first_of[2], "one layer at a time"


@given(
    orders=st.permutations(range(24)),
    lost=st.sets(st.integers(0, 23), max_size=6),
    repeated=st.sets(st.integers(0, 23), max_size=6),
    limit=st.integers(0, 2),
    packets=st.integers(1, 4),
    window=st.integers(1, 24),
)
def test_disorder_loss_and_repetition(
    *,
    orders: list[int],
    lost: set[int],
    repeated: set[int],
    limit: int,
    packets: int,
    window: int,
) -> None:
    """Whatever comes in whatever order: no number twice, frames in their order, and each packet
    in the place that it would have had."""
    scene = Scene()
    scene.aim(0, limit)
    scene.frames(1, packets=packets)  # the key frame everybody begins with
    encoder = scene.encoders[0]
    made = [packet for _ in range(24 // packets) for packet in encoder.frame(packets)]
    order = sorted(range(len(made)), key=lambda at: at // window * window + orders[at] % window)
    for at in order:
        if at not in lost:
            scene.receive(made[at])
            if at in repeated:
                scene.receive(made[at])
    numbers = [packet.sequence for packet in scene.media]
    assert len(numbers) == len(set(numbers)), "a number twice is a nonce twice"
    by_place = sorted(scene.pictures, key=lambda one: (one.frame, one.packet))
    places = list(unwrapped((one.sequence for one in by_place), 16))
    assert places == sorted(places)
    assert all(one.tid <= limit for one in scene.pictures)
    ids: dict[int, set[int]] = {}
    for one in scene.pictures:
        ids.setdefault(one.frame, set()).add(one.picture_id)
    assert all(len(found) == 1 for found in ids.values())
    counted = list(unwrapped((ids[frame].pop() for frame in sorted(ids)), 15))
    assert counted == sorted(set(counted)), "every frame has a PictureID of its own"
    if not lost and limit == 2:
        assert len(scene.pictures) == packets + len(made)
    for one in scene.pictures:
        original = encoder.sent[(one.frame * packets + one.packet + 0xFFF1) & 0xFFFF]
        assert original[-20:] == bytes(20).replace(b"\0", b"\x55")


@given(
    late=st.lists(st.integers(1, 30), min_size=1, max_size=10, unique=True),
    limit=st.integers(0, 2),
)
def test_late_packets_fill_exactly_their_places(late: list[int], limit: int) -> None:
    """Once everything has come, nothing is missing: late packets of frames that were left out
    leave an empty packet in the place that had been kept for them."""
    scene = Scene()
    scene.aim(0, limit)
    scene.frames(1)
    made = [packet for _ in range(20) for packet in scene.encoders[0].frame(2)]
    for at, packet in enumerate(made):
        if at not in late:
            scene.receive(packet)
    for at in late:
        scene.receive(made[at])
    numbers = sorted(unwrapped((packet.sequence for packet in scene.media), 16))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_places_are_kept_after_many_packets_too() -> None:
    """Where the leg's memory has gone round."""
    scene = Scene()
    scene.aim(0)
    scene.frames(1)
    encoder = scene.encoders[0]
    for _ in range(700):
        for packet in encoder.frame():
            scene.receive(packet)
        scene.world.pass_time(0.02)
    made = [packet for _ in range(4) for packet in encoder.frame()]
    for at in (0, 3, 7, 2, 1, 5, 4, 6):
        scene.receive(made[at])
    numbers = sorted(unwrapped((packet.sequence for packet in scene.media), 16))
    assert numbers == list(range(numbers[0], numbers[0] + 1410))
    leg = scene.subscription.leg
    newest = leg.highest - leg.offset
    assert leg.place(newest) is None, "taken"
    assert leg.place(newest + 1) is None, "still to come"
    assert leg.place(newest - 600) is None, "forgotten"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["aim", "frames", "jump", "lose"]),
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        max_size=25,
    )
)
def test_no_number_is_ever_used_twice(steps: list[tuple[str, int, int]]) -> None:
    """Over all changes, pauses, jumps and losses; and what comes after is never numbered before."""
    scene = Scene()
    scene.frames(1)
    for what, layer, more in steps:
        match what:
            case "aim":
                scene.aim(layer if layer < 3 else None, more)
            case "frames":
                scene.frames(more + 1, keys=(layer,))
            case "jump":
                encoder = scene.encoders[layer % 3]
                encoder.sequence = (encoder.sequence + 300 * (more + 1)) & 0xFFFF
            case "lose":
                for _ in range(more + 1):
                    scene.encoders[layer % 3].frame()
    numbers = [packet.sequence for packet in scene.media]
    assert len(numbers) == len(set(numbers))
    counted = list(unwrapped(numbers, 16))
    assert counted == sorted(counted)
    times = list(unwrapped((one.timestamp for one in scene.pictures), 32))
    assert times == sorted(times)
    ids = list(unwrapped((one.picture_id for one in scene.pictures), 15))
    assert ids == sorted(ids)


def test_a_publisher_that_jumps_leaves_no_gap() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(5)
    scene.encoders[0].sequence = (scene.encoders[0].sequence + 1000) & 0xFFFF
    scene.frames(5)
    numbers = list(unwrapped((packet.sequence for packet in scene.media), 16))
    assert numbers == list(range(numbers[0], numbers[0] + 20))


def test_padding_of_the_publisher_is_not_passed_on() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(2)
    encoder = scene.encoders[0]
    encoder.sequence += 1
    scene.receive(
        encode(96, encoder.sequence & 0xFFFF, encoder.timestamp, encoder.ssrc, b"", padding=200)
    )
    scene.frames(2)
    numbers = list(unwrapped((packet.sequence for packet in scene.media), 16))
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_key_index_counts_on() -> None:
    scene = Scene()
    for at, encoder in enumerate(scene.encoders):
        encoder.key_index = 29 + at
    scene.aim(0)
    scene.frames(2)
    scene.aim(1)
    scene.frames(2, keys=(1,))
    found = [packet.payload[5] & 0x1F for packet in scene.media]
    assert found == [found[0]] * 6 + [(found[0] + 1) & 0x1F] * 4


def test_a_change_of_ssrc_goes_on_with_a_key_frame() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(10)
    scene.encoders[0] = Encoder(ssrc=0x999, rid="l", sequence=77, picture_id=5, tl0=3)
    scene.frames(10)
    check_unbroken(scene.pictures)
    assert len(scene.pictures) == 40


def test_a_source_published_anew_goes_on_in_the_same_numbers() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    for sequence, ssrc in ((0xFFFE, 0x10), (5, 0x20)):
        world.join("a", send=[PLAIN_CAMERA])
        encoder = Encoder(ssrc=ssrc, sequence=sequence)
        for _ in range(5):
            for packet in encoder.frame():
                world.room.receive_rtp("a", packet, world.now)
            world.pass_time(0.04)
    numbers = list(unwrapped((packet.sequence for packet in page.of(track.ssrc)), 16))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) >= 12


def test_sound_goes_through_untouched_but_for_its_numbers() -> None:
    world = World()
    world.join("a", send=[MICROPHONE])
    track = world.receive_audio("a")
    page = world.join("b", receive=[track])
    for at in range(20):
        packet = encode(
            OPUS, 0xFFF8 + at & 0xFFFF, 0xFFFFFF00 + 960 * at & 0xFFFFFFFF, 7, bytes((at,)) * 60,
            marker=at == 0, extensions=[(1, b"0"), (6, b"\x80")],
        )  # fmt: skip
        world.room.receive_rtp("a", packet, world.now)
    sent = page.of(track.ssrc)
    assert [packet.payload for packet in sent] == [bytes((at,)) * 60 for at in range(20)]
    assert [packet.marker for packet in sent] == [True] + [False] * 19
    times = list(unwrapped((packet.timestamp for packet in sent), 32))
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [960] * 19
    numbers = [packet.transport_cc for packet in sent]
    assert numbers == list(range(20))
    assert {packet.payload_type for packet in sent} == {OPUS}


def test_the_mid_is_sent_until_the_subscriber_has_reported() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(2)
    assert {packet.mid for packet in scene.media} == {scene.track.mid}
    scene.subscription.leg.reported()
    scene.page.take()
    scene.frames(2)
    assert {packet.mid for packet in scene.media} == {""}
    assert {packet.transport_cc for packet in scene.media} == {4, 5, 6, 7}


def test_only_what_is_negotiated_is_forwarded() -> None:
    scene = Scene()
    scene.aim(0)
    scene.frames(1)
    before = len(scene.media)
    odd = encode(99, 5, 0, scene.encoders[0].ssrc, b"x" * 50)
    unknown = encode(96, 5, 0, 0xBAD, b"x" * 50)
    for packet in (odd, unknown, b"", b"\x80", bytes(12), b"\x80" * 1600):
        scene.receive(packet)
    assert len(scene.media) == before
    dropped = scene.world.room.counters.dropped
    assert dropped == {"unknown_payload_type": 1, "unknown_ssrc": 1, "bad_rtp": 4}


def test_a_subscriber_of_another_kind_gets_nothing() -> None:
    assert Kind.AUDIO != Kind.VIDEO
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a", source="microphone")
    page = world.join("b", receive=[track])
    for packet in Encoder(ssrc=1).frame():
        world.room.receive_rtp("a", packet, world.now)
    assert page.rtp == []
    assert IDS
