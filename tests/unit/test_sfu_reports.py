"""Reports: what publishers learn of their streams, and what keeps sound and pictures together."""

import itertools

import pytest

from sfu import rtcp
from sfu.interfaces import Tile
from sfu.reports import Reception, RoundTrip, SenderClock
from sfu.rtp import encode
from tests.unit.sfu_world import (
    CAMERA,
    MICROPHONE,
    OPUS,
    PLAIN_CAMERA,
    Encoder,
    Page,
    World,
    picture,
    simulcast,
    unwrapped,
)

SECOND = 1 << 32


def reports(page: Page) -> list[rtcp.SenderInfo]:
    found = [one for one in page.rtcp if isinstance(one, rtcp.SenderInfo)]
    page.rtcp.clear()
    return found


def test_loss_and_jitter_of_a_stream() -> None:
    reception = Reception(90_000, 0x10000 + 10)
    for at in range(100):
        if at % 10:
            reception.packet(at * 3000, 5.0 + at / 30 + (0.005 if at % 2 else 0.0))
    block = reception.block(7, 0x10000 + 109, SenderClock(90_000), 10.0)
    assert block.total_lost == 10
    assert block.lost == pytest.approx(0.1)
    assert block.highest == 109
    assert 200 < block.jitter < 500
    assert (block.last_report, block.delay) == (0, 0)
    again = reception.block(7, 0x10000 + 109, SenderClock(90_000), 11.0)
    assert again.lost == 0.0


def test_the_round_trip() -> None:
    trip = RoundTrip()
    trip.sent(7 * SECOND, 100.0)
    block = rtcp.ReportBlock(1, 0, 0, 0, 0, 7 << 16, 65536 // 2)
    assert trip.measure(block, 100.6) == pytest.approx(0.1)
    assert trip.measure(rtcp.ReportBlock(1, 0, 0, 0, 0, 8 << 16, 0), 100.6) is None
    assert trip.measure(block, 100.1) is None, "negative"


def test_publishers_get_reports_with_what_they_need_for_the_round_trip() -> None:
    world = World()
    page = world.join("a", send=[PLAIN_CAMERA])
    encoder = Encoder(ssrc=0x10)
    for at in range(75):
        packets = encoder.frame(2)
        for packet in packets[: 1 if at == 30 else 2]:
            world.room.receive_rtp("a", packet, world.now)
        if at == 40:
            report = rtcp.sender_report(0x10, 5 * SECOND, 0, packets=1, octets=1)
            world.room.receive_rtcp("a", report, world.now)
        world.pass_time(1 / 30)
    blocks = [one for one in page.rtcp if isinstance(one, rtcp.ReportBlock)]
    assert [block.total_lost for block in blocks] == [0, 1]
    assert blocks[-1].ssrc == 0x10
    assert blocks[-1].last_report == 5 << 16
    assert 0 < blocks[-1].delay < 65536
    remb = [one for one in page.rtcp if isinstance(one, rtcp.Remb)]
    assert remb[-1].bitrate == pytest.approx(5_000_000, rel=0.001)


def test_sound_and_pictures_stay_together_over_a_change_of_layer() -> None:
    """A moment that the publisher saw and heard at once is one moment on our timelines, too: the
    frames of every layer, and the sound, by the sender reports that go with them."""
    world = World()
    world.join("a", send=[CAMERA, MICROPHONE])
    video, audio = world.receive_video("a"), world.receive_audio("a")
    page = world.join("b", receive=[video, audio])
    encoders = simulcast()
    starts = {encoder.ssrc: encoder.timestamp for encoder in encoders}
    ntp_start = 3_900_000_000
    moments: dict[tuple[int, int], float] = {}

    def report_of(ssrc: int, seconds: float, timestamp: int) -> None:
        ntp = int((ntp_start + seconds) * SECOND)
        data = rtcp.sender_report(ssrc, ntp, timestamp, packets=0, octets=0)
        world.room.receive_rtcp("a", data, world.now)

    for at in range(150):
        seconds = at / 30
        if at % 15 == 5:
            for encoder in encoders:
                # Clocks are read one after the other: a fraction of a millisecond apart.
                ticks = int(seconds * 90_000) + 20 * encoder.layer
                report_of(encoder.ssrc, seconds, starts[encoder.ssrc] + ticks & 0xFFFFFFFF)
            report_of(0x77, seconds, 960_000 + int(seconds * 48_000))
        world.room.receive_rtp(
            "a", encode(OPUS, at, 960_000 + 1600 * at, 0x77, bytes(60), extensions=[(1, b"0")]),
            world.now,
        )  # fmt: skip
        for encoder in encoders:
            moments[encoder.layer, encoder.frames] = seconds + 1 / 30
            # The larger layers take longer to come.
            for packet in encoder.frame(key=at in {60, 100} and encoder.layer > 0):
                world.room.receive_rtp("a", packet, world.now + 0.004 * encoder.layer)
        if at == 55:
            world.room.want("b", [Tile("a", "camera", 640, 360)], world.now)
        if at == 95:
            world.room.want("b", [Tile("a", "camera", 1280, 720)], world.now)
        world.pass_time(1 / 30)
    pictures = [one for one in map(picture, page.of(video.ssrc)) if one]
    assert {one.layer for one in pictures} == {0, 1, 2}
    frames = {(one.layer, one.frame): one.timestamp for one in pictures}
    in_order = list(unwrapped(frames.values(), 32))
    assert all(later > earlier for earlier, later in itertools.pairwise(in_order))
    of_video = [one for one in page.rtcp if _is_report(one, video.ssrc)]
    of_audio = [one for one in page.rtcp if _is_report(one, audio.ssrc)]
    assert len(of_video) > 8
    assert len(of_audio) > 8
    last = of_video[-1]
    assert isinstance(last, rtcp.SenderInfo)
    for one in pictures[10:]:
        passed = ((one.timestamp - last.timestamp + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        captured = last.ntp / SECOND + passed / 90_000 - ntp_start
        assert captured == pytest.approx(moments[one.layer, one.frame], abs=0.0025)
    heard = of_audio[-1]
    assert isinstance(heard, rtcp.SenderInfo)
    sound = page.of(audio.ssrc)[-1]
    spoken = heard.ntp / SECOND + (sound.timestamp - heard.timestamp) / 48_000 - ntp_start
    assert spoken == pytest.approx(149 / 30, abs=0.0025)


def _is_report(message: rtcp.Message, ssrc: int) -> bool:
    return isinstance(message, rtcp.SenderInfo) and message.ssrc == ssrc


def test_without_reports_timelines_go_on_by_the_clock() -> None:
    world = World()
    world.join("a", send=[CAMERA])
    track = world.receive_video("a")
    page = world.join("b", receive=[track])
    encoders = simulcast()
    for at in range(90):
        for encoder in encoders:
            for packet in encoder.frame(key=at == 60 and encoder.layer == 1):
                world.room.receive_rtp("a", packet, world.now)
        if at == 55:
            world.room.want("b", [Tile("a", "camera", 640, 360)], world.now)
        world.pass_time(1 / 30)
    pictures = [one for one in map(picture, page.of(track.ssrc)) if one]
    first, last = pictures[0], pictures[-1]
    assert (first.layer, last.layer) == (0, 1)
    passed = (last.timestamp - first.timestamp) & 0xFFFFFFFF
    assert passed == pytest.approx(89 * 3000, abs=3000)


def test_the_first_report_comes_with_the_first_packet() -> None:
    world = World()
    world.join("a", send=[PLAIN_CAMERA])
    encoder = Encoder(ssrc=0x10, timestamp=1000)
    for packet in encoder.frame():
        world.room.receive_rtp("a", packet, world.now)
    data = rtcp.sender_report(0x10, 9 * SECOND, 4000, packets=1, octets=1)
    world.room.receive_rtcp("a", data, world.now)
    page = world.join("b", receive=[world.receive_video("a")])
    world.now += 0.5
    for packet in encoder.frame(key=True):
        world.room.receive_rtp("a", packet, world.now)
    (report,) = reports(page)
    assert report.ntp == pytest.approx(9.5 * SECOND, abs=SECOND / 1000)
    assert report.timestamp == pytest.approx(4000 + 45_000, abs=90)
