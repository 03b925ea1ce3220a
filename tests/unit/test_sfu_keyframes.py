"""Requests for key frames: at most one in 500 ms, whoever asks how often."""

from sfu import rtcp
from sfu.keyframes import Insistence, KeyFrameRequests
from tests.unit.sfu_world import CAMERA, PLAIN_CAMERA, Encoder, Page, World


def asked(page: Page) -> int:
    count = sum(isinstance(one, rtcp.KeyFrameRequest) for one in page.rtcp)
    page.rtcp.clear()
    return count


def test_wishes_do_not_add_up() -> None:
    requests = KeyFrameRequests()
    for _ in range(5):
        requests.want()
    assert requests.due(10.0)
    assert not requests.due(10.1)
    requests.want()
    assert not requests.due(10.4)
    assert requests.due(10.5), "kept for when the time has come"
    requests.want()
    requests.answered()
    assert not requests.due(20.0)


def test_a_publisher_that_does_not_answer_is_asked_more_rarely() -> None:
    requests = KeyFrameRequests()
    count = 0
    for tick in range(1000):
        requests.want()
        count += requests.due(tick * 0.02)
    assert count <= 4 + 20 / 2


def test_many_new_subscribers_cause_one_request() -> None:
    world = World()
    publisher = world.join("a", send=[PLAIN_CAMERA])
    encoder = Encoder(ssrc=0x10)
    for packet in encoder.frame():
        world.room.receive_rtp("a", packet, world.now)
    for name in "bcdefgh":
        world.join(name, receive=[world.receive_video("a")])
    world.pass_time(0.1)
    assert asked(publisher) == 1
    for packet in encoder.frame(key=True):
        world.room.receive_rtp("a", packet, world.now)
    world.pass_time(3)
    assert asked(publisher) == 0
    assert all(len(world.pages[name].rtp) == 2 for name in "bcdefgh")


def test_a_subscriber_that_asks_without_end_is_heard_ever_more_rarely() -> None:
    """As a page does that has no key for a source: it decodes nothing, and everybody would pay."""
    world = World()
    publisher = world.join("a", send=[PLAIN_CAMERA])
    track = world.receive_video("a")
    world.join("b", receive=[track])
    encoder = Encoder(ssrc=0x10)
    total = 0
    for _ in range(20 * 30):
        for packet in encoder.frame(key=asked(publisher) > 0):
            world.room.receive_rtp("a", packet, world.now)
        world.room.receive_rtcp("b", rtcp.pli(track.ssrc), world.now)
        world.pass_time(1 / 30)
    total = world.room.counters.key_frames_asked
    assert 8 <= total <= 12


def test_insistence_is_forgiven() -> None:
    insistence = Insistence()
    assert insistence.counts(0.0)
    assert not insistence.counts(0.4)
    assert insistence.counts(0.5)
    assert not insistence.counts(1.2)
    assert insistence.counts(1.5)
    assert not insistence.counts(3.0)
    assert insistence.counts(20.0)
    assert insistence.counts(20.5)


def test_only_the_layer_that_is_followed_is_asked() -> None:
    world = World()
    publisher = world.join("a", send=[CAMERA])
    track = world.receive_video("a")
    world.join("b", receive=[track])
    encoders = [Encoder(ssrc=0x100 + at, rid=rid, layer=at) for at, rid in enumerate("lmh")]
    for encoder in encoders:
        for packet in encoder.frame():
            world.room.receive_rtp("a", packet, world.now)
    world.pass_time(0.1)
    publisher.rtcp.clear()
    world.room.receive_rtcp("b", rtcp.pli(track.ssrc), world.now)
    world.pass_time(0.1)
    requests = [one for one in publisher.rtcp if isinstance(one, rtcp.KeyFrameRequest)]
    assert requests == [rtcp.KeyFrameRequest(0x100)]


def test_requests_for_what_is_not_ours_are_nothing() -> None:
    world = World()
    publisher = world.join("a", send=[PLAIN_CAMERA])
    for packet in Encoder(ssrc=0x10).frame():
        world.room.receive_rtp("a", packet, world.now)
    world.room.receive_rtcp("a", rtcp.pli(0x10) + rtcp.fir(0x999, 1), world.now)
    world.pass_time(1)
    assert asked(publisher) == 0
