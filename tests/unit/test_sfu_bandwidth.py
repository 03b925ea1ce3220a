"""The estimate of a way down, and what the room makes of it, on simulated links."""

import itertools

import pytest

from sfu import rtcp
from sfu.bandwidth import MINIMUM, Bandwidth
from sfu.delay_gradient import DelayGradient, Usage
from sfu.downlink import Downlink
from sfu.interfaces import Kind, ReceiveTrack, Tile
from sfu.probing import Probe
from sfu.standing_queue import StandingQueue
from tests.unit.sfu_link import Camera, Link, Simulation, Viewer
from tests.unit.sfu_world import CAMERA, MICROPHONE, OPUS, picture, read


def test_the_gradient_tells_a_growing_queue_from_noise() -> None:
    gradient = DelayGradient()
    for at in range(300):
        gradient.packet(at * 0.01, 50 + at * 0.01 + 0.002 * (at * 7 % 5) / 5)
    assert gradient.usage is Usage.NORMAL
    for at in range(300, 360):
        gradient.packet(at * 0.01, 50 + at * 0.01 + (at - 300) * 0.003)
    assert gradient.usage is Usage.OVERUSE
    for at in range(360, 400):
        gradient.packet(at * 0.01, 50.18 + at * 0.01 - (at - 360) * 0.003)
    assert gradient.usage is Usage.UNDERUSE


def test_the_gradient_survives_pauses_and_disorder() -> None:
    gradient = DelayGradient()
    for at in range(100):
        gradient.packet(at * 0.01, 50 + at * 0.01)
        gradient.packet(at * 0.01 - 0.5, 50 + at * 0.01)
    gradient.packet(100.0, 400.0)
    gradient.packet(100.1, 1.0)
    for at in range(100):
        gradient.packet(101 + at * 0.01, 2 + at * 0.01)
    assert gradient.usage is Usage.NORMAL


def test_a_standing_queue_is_drained_and_a_new_way_is_not() -> None:
    queue = StandingQueue()

    def pass_through(delay: float, seconds: float, start: float) -> list[bool]:
        told = []
        for at in range(int(seconds * 20)):
            now = start + at * 0.05
            queue.packet(now - delay, now + 1000.0, now)
            told.append(queue.draining)
        return told

    assert not any(pass_through(0.05, 30, 0))
    assert not any(pass_through(0.8, 0.2, 30)), "busy for a moment"
    assert not any(pass_through(0.05, 1, 30.2))
    assert pass_through(0.8, 1, 31.2)[-1]
    assert pass_through(0.3, 1, 32.2)[-1], "not short yet"
    assert not pass_through(0.1, 1, 33.2)[-1]
    told = pass_through(2.0, 20, 34.2)
    assert any(told)
    assert not any(told[120:]), "it is the way's own delay"


def test_remb_and_reports_alone() -> None:
    """For a page that writes no transport-wide feedback."""
    bandwidth = Bandwidth(1_000_000, 5_000_000, 0.0)
    bandwidth.remb(300_000, 1.0)
    assert bandwidth.target == 300_000
    bandwidth.remb(2_000_000, 2.0)
    assert bandwidth.target == pytest.approx(1_000_000)
    for at in range(20):
        bandwidth.receiver_report(0.0, 3.0 + at)
        bandwidth.remb(2_000_000, 3.0 + at)
    assert bandwidth.target == 2_000_000
    for at in range(5):
        bandwidth.receiver_report(0.3, 24.0 + at)
    assert bandwidth.target < 1_000_000
    bandwidth.remb(0, 40.0)
    assert bandwidth.target == MINIMUM


def test_lies_in_feedback_stay_within_bounds() -> None:
    bandwidth = Bandwidth(1_000_000, 5_000_000, 0.0)
    downlink = Downlink(lambda length: None, lambda packet: None)
    downlink.next_number += 100
    for at in range(200):
        received = [
            ((at * 31 + place * 977) & 0xFFFF, float(place * at % 13)) for place in range(90)
        ]
        bandwidth.feedback([*received, (5, None)], downlink, 1.0 + at * 0.05)
        assert MINIMUM <= bandwidth.target <= 5_000_000


class Leg:
    """A camera with three layers, sound, and one viewer behind a link."""

    def __init__(self, delay: float = 0.02) -> None:
        self.world = Simulation()
        self.world.join("a", send=[CAMERA, MICROPHONE])
        self.video = self.world.receive_video("a")
        self.audio = self.world.receive_audio("a")
        self.camera = Camera(self.world, "a")
        self.viewer = self.join("b", self.video, self.audio)
        self.viewer.link.delay = delay

    def join(self, name: str, video: ReceiveTrack, audio: ReceiveTrack) -> Viewer:
        page = self.world.join(name, receive=[video, audio])
        assert video.rtx_ssrc is not None
        viewer = Viewer(self.world, page, rtx={video.rtx_ssrc: video.ssrc})
        self.world.room.want(name, [Tile("a", "camera", 1280, 720)], self.world.now)
        return viewer

    def layer(self, name: str = "b") -> int | None:
        subscriptions = self.world.room._participants[name].subscriptions.values()
        (video,) = (one for one in subscriptions if one.track.kind is Kind.VIDEO)
        return None if video.stream is None else video.stream.layer

    def until_layer(self, layer: int, most: float) -> float:
        """Seconds until the layer is followed."""
        start = self.world.now
        while self.layer() != layer:
            assert self.world.now - start < most, f"still layer {self.layer()}"
            self.world.run(0.1)
        return self.world.now - start

    def longest_silence(self, since: float) -> float:
        times = sorted(at for at, _ in self.viewer.got[self.audio.ssrc].values() if at > since)
        return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_an_unlimited_leg_gets_the_best_layer() -> None:
    leg = Leg()
    leg.until_layer(2, 5)
    leg.world.run(10)
    assert leg.layer() == 2
    assert leg.viewer.link.lost == 0


def test_a_leg_limited_to_300_kbit_falls_within_5_s_and_climbs_back() -> None:
    leg = Leg()
    leg.until_layer(2, 5)
    leg.world.run(3)
    leg.viewer.link.rate = 300_000
    limited = leg.world.now
    leg.until_layer(0, 5)
    leg.world.run(5)
    lost, settled = leg.viewer.link.lost, leg.world.now
    leg.world.run(20)
    assert leg.layer() == 0
    assert leg.viewer.link.lost - lost < 15, "probes do not flood the leg"
    assert leg.longest_silence(limited) < 0.5, "sound never stops"
    late = [at - sent for at, sent in _delays(leg, settled)]
    assert sorted(late)[int(len(late) * 0.95)] < 0.3
    leg.viewer.link.rate = None
    leg.until_layer(2, 20)


def test_a_deep_queue_is_noticed_by_its_delay_alone() -> None:
    """A leg that loses nothing, and would let everybody wait."""
    leg = Leg()
    leg.until_layer(2, 5)
    leg.world.run(3)
    leg.viewer.link.rate, leg.viewer.link.queue = 300_000, 10.0
    leg.until_layer(0, 5)
    leg.world.run(1)
    assert leg.world.room._participants["b"].bandwidth.target < 400_000
    leg.world.run(7)
    assert leg.viewer.link.lost == 0
    assert leg.viewer.link.busy_until - leg.world.now < 0.3


def _probe(spread: float, lost: int = 0) -> tuple[Probe, float | None]:
    """A probe of 200 ms at 1 Mbit/s, with what each burst is delayed more than the one before."""
    downlink = Downlink(lambda length: None, lambda packet: None)
    probe = Probe(0.0)
    probe.consider(600_000, 2_000_000, downlink, 2.0, float("-inf"))
    assert probe.active
    received = []
    for tick in range(12):
        now = 2.0 + tick * 0.02
        while probe.octets_due(downlink, now) > 0:
            number = downlink.next_number
            downlink.next_number += 1
            downlink.times[number % 2048], downlink.sizes[number % 2048] = now, 500
            came = None if number % 5 < lost else 50 + now + tick * spread
            received.append((number & 0xFFFF, came))
    assert not probe.active
    assert len(received) == pytest.approx(1_200_000 * 0.2 / 8 / 500, rel=0.15)
    return probe, probe.feedback(received, downlink, 2.4)


def test_a_probe_tells_what_is_carried() -> None:
    probe, found = _probe(0.0)
    assert found == pytest.approx(1_200_000, rel=0.15)
    _, found = _probe(0.02)  # half as fast
    assert found == pytest.approx(600_000 * 0.85, rel=0.15)
    failed, found = _probe(0.0, lost=2)
    assert found is None
    downlink = Downlink(lambda length: None, lambda packet: None)
    for again, since in ((probe, 0.4), (failed, 2.1)):
        again.consider(600_000, 2_000_000, downlink, 2.4 + since - 0.2, float("-inf"))
        assert not again.active
        again.consider(600_000, 500_000, downlink, 2.4 + since, float("-inf"))
        again.consider(600_000, 2_000_000, downlink, 2.4 + since, 2.3)
        assert not again.active
        again.consider(600_000, 2_000_000, downlink, 2.4 + since, float("-inf"))
        assert again.active


def _delays(leg: Leg, since: float) -> list[tuple[float, float]]:
    """Arrival of each packet of sound, and when it would have come without a queue."""
    times = sorted(at for at, _ in leg.viewer.got[leg.audio.ssrc].values() if at > since)
    first = times[0]
    return [(at, first + 0.02 * place) for place, at in enumerate(times)]


@pytest.mark.parametrize("rate", [700_000, 2_000_000])
def test_a_leg_finds_the_layer_that_fits_and_keeps_to_it(rate: int) -> None:
    leg = Leg()
    leg.viewer.link.rate = rate
    leg.world.run(20)
    followed = []
    for _ in range(75):
        leg.world.run(0.2)
        followed.append(leg.layer())
    best = {700_000: {0, 1}, 2_000_000: {1, 2}}[rate]
    assert set(followed) <= best
    changes = sum(earlier != later for earlier, later in itertools.pairwise(followed))
    assert changes <= 4


def test_loss_of_five_percent_and_80_ms_costs_no_frames() -> None:
    leg = Leg(delay=0.08)
    other = leg.join("c", leg.world.receive_video("a"), leg.world.receive_audio("a"))
    leg.world.run(3)
    leg.viewer.link.loss = 0.05
    leg.world.run(12)
    leg.viewer.link.loss = 0.0
    leg.world.run(1)
    got = leg.viewer.got[leg.video.ssrc]
    numbers = sorted(got)
    assert len(numbers) / (numbers[-1] - numbers[0] + 1) > 0.995
    assert leg.viewer.link.lost > 60
    assert leg.layer() == 2, "random loss is no congestion"
    assert other.missing == {}
    assert other.link.lost == 0


def test_loss_on_the_way_up_is_repaired_for_everybody() -> None:
    leg = Leg()
    up = Link(leg.world, lambda data: leg.world.room.receive_rtp("a", data, leg.world.now))
    up.loss, up.delay = 0.05, 0.04
    leg.camera.deliver = up.send
    leg.world.run(15)
    up.loss = 0.0
    leg.world.run(1)
    got = leg.viewer.got[leg.video.ssrc]
    numbers = sorted(got)
    assert up.lost > 100
    assert len(numbers) / (numbers[-1] - numbers[0] + 1) > 0.99


def test_a_leg_that_dies_is_not_sent_to_at_full_rate_for_ever() -> None:
    leg = Leg()
    leg.until_layer(2, 5)
    leg.viewer.link.loss = 1.0
    leg.viewer.arrivals.__init__()  # type: ignore[misc]
    leg.world.run(20)
    assert leg.world.room._participants["b"].bandwidth.target <= 100_000
    assert leg.layer() is None


def test_a_queue_that_was_waited_out_is_forgotten_when_nothing_would_tell_of_its_end() -> None:
    """Somebody else's download, on a way to one whose others have no microphone."""
    leg = Leg()
    deliver = leg.camera.deliver
    leg.camera.deliver = lambda packet: None if packet[1] & 0x7F == OPUS else deliver(packet)
    leg.until_layer(2, 8)
    leg.viewer.link.delay += 0.73
    leg.world.run(3)
    assert leg.world.room._participants["b"].bandwidth.draining
    assert leg.layer() is None
    leg.world.run(17)
    leg.viewer.link.delay -= 0.73
    leg.until_layer(2, 15)


def test_silence_of_everybody_is_no_dead_leg() -> None:
    leg = Leg()
    leg.until_layer(2, 5)
    leg.camera.deliver = lambda packet: None
    leg.world.run(20)
    assert leg.world.room._participants["b"].bandwidth.target > 1_000_000


def test_probes_are_padding_that_nobody_takes_for_media() -> None:
    leg = Leg()
    sent = []
    page = leg.world.pages["b"]

    def note(data: bytes) -> None:
        sent.append(read(data))
        leg.viewer.link.send(data)

    page.on_packet = note
    leg.until_layer(2, 5)
    assert any(one.ssrc == leg.video.rtx_ssrc for one in sent), "padding was sent"
    media = [one for one in sent if one.ssrc == leg.video.ssrc]
    assert all(picture(one) is not None for one in media)
    assert leg.world.room.counters.key_frames_asked <= 6
    assert not [one for one in page.rtcp if isinstance(one, rtcp.KeyFrameRequest)]
