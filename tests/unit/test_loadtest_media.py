"""What bots send, through the encoders and decoders that it goes through: no connection."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import av
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from loadtest.bots import coding, media
from loadtest.bots.pair import Gate
from loadtest.bots.run import _shares
from loadtest.timecode import TimeCode

CODEC = SimpleNamespace(name="VP8", mimeType="video/VP8")


@pytest.mark.parametrize(("size", "fps"), [((320, 240), 15), ((160, 80), 5), ((160, 90), 15)])
def test_every_time_code_is_read_behind_the_codec(size: tuple[int, int], fps: int) -> None:
    encoder, decoder = Vp8Encoder(), Vp8Decoder()
    for number in range(200):
        sent = TimeCode(1_000_000 + number * 1000 // fps + number % 7, number)
        frame = media.picture(size, sent)
        frame.pts = number * media.VIDEO_CLOCK // fps
        packets, _ = encoder.encode(frame)
        (shown,) = decoder.decode(JitterFrame(b"".join(map(vp8_depayload, packets)), number))
        assert isinstance(shown, av.VideoFrame)
        assert (shown.width, shown.height) == size
        assert media.read_from(shown) == sent


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("320x240", (320, 240)),
        ("160x80", (160, 80)),
        ("640x480", (640, 480)),
        ("158x90", None),
        ("160x78", None),
        ("642x480", None),
        ("161x90", None),
        ("160x91", None),
        ("160", None),
        ("160x90x3", None),
        ("\u0661\u0666\u0660x90", None),
    ],
)
def test_a_size_has_room_for_the_time_code(text: str, size: tuple[int, int] | None) -> None:
    assert media.size_of(text) == size


def test_the_tone_is_heard_all_the_time_however_often_its_packets_are_repeated() -> None:
    packets, decoder, hearing = coding.tone_packets(), OpusDecoder(), media.Hearing()
    for number in range(3 * len(packets)):
        payload = packets[number % len(packets)]
        for frame in decoder.decode(JitterFrame(payload, number * media.SAMPLES)):
            assert isinstance(frame, av.AudioFrame)
            hearing.hear(frame)
    assert hearing.frames == hearing.audible == 3 * len(packets)


def test_silence_is_not_heard() -> None:
    hearing = media.Hearing()
    frame = av.AudioFrame(format="s16", layout="mono", samples=media.SAMPLES)
    frame.planes[0].update(bytes(2 * media.SAMPLES))
    hearing.hear(frame)
    assert (hearing.frames, hearing.audible) == (1, 0)


def test_the_level_that_bots_tell_is_that_of_the_tone() -> None:
    samples = memoryview(media.tone(0).planes[0]).cast("B").cast("h")[: media.SAMPLES]
    mean = sum(one * one for one in samples.tolist()) / media.SAMPLES
    assert abs(10 * math.log10(mean / 32767**2) - media.TONE_DBOV) < 0.5


class Receiver:
    """As much of aiortc's as a decoder knows."""

    def __init__(self) -> None:
        self.track = SimpleNamespace(_queue=asyncio.Queue())
        self._RTCRtpReceiver__decoder_error = asyncio.Event()
        self._RTCRtpReceiver__decoder_queue = None


def test_what_cannot_be_decoded_asks_for_a_key_frame_and_the_next_one_is_shown() -> None:
    receiver: Any = Receiver()
    decoding = coding.Decoding(receiver)
    coding.decode_here(decoding)
    assert receiver._RTCRtpReceiver__decoder_queue is decoding
    decoding.put((CODEC, JitterFrame(b"\xff" * 40, 0)))
    assert decoding.error.is_set()
    assert receiver.track._queue.empty()
    frame = media.picture((160, 90), TimeCode(5, 1))
    frame.pts = 0
    packets, _ = Vp8Encoder().encode(frame)
    decoding.put((CODEC, JitterFrame(b"".join(map(vp8_depayload, packets)), 1)))
    assert media.read_from(receiver.track._queue.get_nowait()) == TimeCode(5, 1)
    assert decoding.empty()  # aiortc's own thread hears of the end alone
    decoding.put(None)
    assert decoding.get_nowait() is None


def test_another_release_of_aiortc_is_told_rather_than_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="no _RTCRtpReceiver__decoder_error"):
        coding.Decoding(SimpleNamespace())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="force_keyframe"):
        coding.encode_here(SimpleNamespace(), coding.Sound())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pairs", "cores", "shares"),
    [(1, 2, [1]), (20, 2, [10, 10]), (5, 2, [3, 2]), (3, 8, [1, 1, 1]), (7, 1, [7])],
)
def test_there_is_a_process_for_each_core(pairs: int, cores: int, shares: list[int]) -> None:
    assert _shares(pairs, cores) == shares


async def test_pairs_talk_when_all_of_them_are_set_up_or_have_failed() -> None:
    gate, arrived = Gate(3), list[int]()

    async def pair(number: int) -> None:
        async with gate.arriving():
            await asyncio.sleep(0)
            if number == 1:
                raise ConnectionError
            arrived.append(number)
        await gate.opens()
        assert arrived == [0, 2]

    done = await asyncio.gather(*map(pair, range(3)), return_exceptions=True)
    assert [type(one) for one in done] == [type(None), ConnectionError, type(None)]
