"""A shared screen on simulated links: little to send for long, then everything at once."""

import itertools

from sfu import rtcp
from sfu.interfaces import Kind, SendTrack, Tile
from sfu.subscription import Subscription
from tests.unit.sfu_link import Simulation, Viewer
from tests.unit.sfu_world import (
    IDS,
    MICROPHONE,
    OPUS,
    TEMPORAL_PATTERN,
    VIDEO_CODECS,
    Encoder,
    encode,
)

SCREEN = SendTrack("1", "screen", Kind.VIDEO, VIDEO_CODECS, IDS)
STILL, FILM = 30_000, 2_500_000  # bit/s
FRAMES = 15  # a second


class Presenter:
    """Sends a screen, and sound all the time."""

    def __init__(self, world: Simulation, *, layered: bool) -> None:
        self.world = world
        self.page = world.pages["a"]
        self.encoder = Encoder(0x100, temporal=TEMPORAL_PATTERN if layered else ((0, False),))
        self.bitrate = STILL
        self.sound = 0
        self.key_frames = 0
        world.every(1 / FRAMES, self.frame)
        world.every(0.02, self.speak)

    def deliver(self, packet: bytes) -> None:
        self.world.room.receive_rtp("a", packet, self.world.now)

    def frame(self) -> None:
        asked = any(isinstance(one, rtcp.KeyFrameRequest) for one in self.page.rtcp)
        self.page.rtcp.clear()
        key = asked or not self.encoder.frames
        self.key_frames += key
        octets = self.bitrate // (8 * FRAMES) * (3 if key else 1)
        count = -(-octets // 1100)
        for packet in self.encoder.frame(count, key=key, size=octets // count, step=6000):
            self.deliver(packet)

    def speak(self) -> None:
        self.sound += 1
        number, at = self.sound & 0xFFFF, 960 * self.sound & 0xFFFFFFFF
        self.deliver(encode(OPUS, number, at, 0x77, bytes(80), extensions=[(1, b"0")]))


class Show:
    """Who presents, and one who looks on over a link of so many bit/s (None: any number)."""

    def __init__(self, rate: int | None, *, layered: bool = False) -> None:
        self.world = world = Simulation()
        world.join("a", send=[SCREEN, MICROPHONE])
        video, audio = world.receive_video("a", "screen"), world.receive_audio("a")
        self.presenter = Presenter(world, layered=layered)
        page = world.join("b", receive=[video, audio])
        self.viewer = Viewer(world, page, rtx={video.rtx_ssrc: video.ssrc})
        self.viewer.link.rate = rate
        world.room.want("b", [Tile("a", "screen", 1280, 720)], world.now)

    @property
    def subscription(self) -> Subscription:
        subscriptions = self.world.room._participants["b"].subscriptions.values()
        return next(one for one in subscriptions if one.track.kind is Kind.VIDEO)

    def watch(self, seconds: float) -> list[bool]:
        """Whether the screen is shown, every tenth of a second."""
        shown = []
        for _ in range(int(seconds * 10)):
            self.world.run(0.1)
            shown.append(self.subscription.stream is not None)
        return shown


def changes(shown: list[bool]) -> int:
    return sum(before != after for before, after in itertools.pairwise(shown))


def test_what_is_left_out_for_want_of_bandwidth_does_not_come_and_go() -> None:
    show = Show(2_400_000)
    show.presenter.bitrate = FILM
    show.world.run(20)
    asked = show.presenter.key_frames
    shown = show.watch(60)
    assert changes(shown) <= 16
    # All others who look at it get them, too.
    assert show.presenter.key_frames - asked <= 10


def test_a_film_on_a_screen_is_seen_at_fewer_frames_where_the_way_is_narrow() -> None:
    for rate in (1_800_000, 2_400_000):
        show = Show(rate, layered=True)
        show.presenter.bitrate = FILM
        show.world.run(20)
        shown = show.watch(60)
        assert sum(shown) > 0.9 * len(shown), rate
        assert show.subscription.limit < max(tid for tid, _ in TEMPORAL_PATTERN), rate


def test_a_film_that_begins_on_a_still_screen_is_seen_at_once_where_there_is_room() -> None:
    for rate in (None, 20_000_000):
        show = Show(rate)
        show.world.run(20)
        show.presenter.bitrate = FILM
        asked = show.presenter.key_frames
        assert all(show.watch(8)), rate
        assert show.presenter.key_frames == asked, rate
