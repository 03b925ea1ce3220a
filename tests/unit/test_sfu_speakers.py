"""Who speaks, from levels in header extensions."""

from sfu.audio_levels import Speakers
from sfu.interfaces import Kind, SendTrack
from sfu.interfaces import Speakers as Told
from sfu.rtp import encode
from tests.unit.sfu_world import AUDIO_CODECS, IDS, MICROPHONE, OPUS, World


def speak(speakers: Speakers, levels: dict[str, int], now: float) -> tuple[str, ...] | None:
    for name, level in levels.items():
        for _ in range(15):
            speakers.note(name, level)
    return speakers.evaluate(now)


def test_loudest_first_and_silence_in_the_end() -> None:
    speakers = Speakers()
    assert speak(speakers, {"a": 127, "b": 60}, 1.0) is None
    assert speak(speakers, {"a": 40, "b": 20}, 1.4) == ("b", "a")
    assert speak(speakers, {"a": 40, "b": 20}, 1.8) is None
    assert speak(speakers, {"a": 127, "b": 127}, 2.2) is None, "a pause between words"
    assert speak(speakers, {}, 3.5) == ()


def test_the_lead_does_not_change_for_little() -> None:
    speakers = Speakers()
    assert speak(speakers, {"a": 30, "b": 33}, 1.0) == ("a", "b")
    assert speak(speakers, {"a": 33, "b": 30}, 1.4) is None
    for at in range(5):
        told = speak(speakers, {"a": 45, "b": 20}, 1.8 + at * 0.4)
        if told is not None:
            break
    assert told == ("b", "a")


def test_at_most_every_300_ms() -> None:
    speakers = Speakers()
    assert speak(speakers, {"a": 30}, 1.0) == ("a",)
    assert speak(speakers, {"a": 30, "b": 10}, 1.2) is None
    assert speak(speakers, {"a": 30, "b": 10}, 1.3) == ("b", "a")


def test_a_room_tells() -> None:
    world = World()
    world.join("a", send=[MICROPHONE])
    world.join("b", send=[MICROPHONE])
    world.room.poll_output()
    for at in range(30):
        for name, level in (("a", 0x80 | 25), ("b", 90)):
            packet = encode(
                OPUS, at, at * 960, ord(name), bytes(50),
                extensions=[(1, b"0"), (6, bytes((level,)))],
            )  # fmt: skip
            world.room.receive_rtp(name, packet, world.now)
        world.pass_time(0.02)
    assert world.room.poll_output() == [Told(("a",))]
    world.room.remove_participant("a", world.now)
    world.pass_time(0.5)
    assert Told(()) in world.room.poll_output()


def test_the_sound_of_a_shared_screen_is_nobodys_voice() -> None:
    for shared in (127, 10):  # silent, and as loud as can be
        world = World()
        sound = SendTrack("9", "screen_audio", Kind.AUDIO, AUDIO_CODECS, IDS)
        world.join("a", send=[MICROPHONE, sound])
        world.join("b", send=[MICROPHONE, sound])
        world.room.poll_output()
        for at in range(30):
            for name, mid, ssrc, level in (
                ("a", b"0", 1, 25), ("a", b"9", 2, shared),
                ("b", b"0", 3, 127), ("b", b"9", 4, shared),
            ):  # fmt: skip
                packet = encode(
                    OPUS, at, at * 960, ssrc, bytes(50),
                    extensions=[(1, mid), (6, bytes((level,)))],
                )  # fmt: skip
                world.room.receive_rtp(name, packet, world.now)
            world.pass_time(0.02)
        assert world.room.poll_output() == [Told(("a",))]
