"""Encodes and decodes in the event loop, in place of aiortc's threads.

aiortc hands each frame to a thread and takes its result back: two wake-ups for a packet of sound
that takes less time than either. Bots' pictures are small, so the loop does it itself, and a pair
takes half of the processor time.
"""

from __future__ import annotations

import functools
import queue
from typing import Any, Final

import av
from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import get_decoder
from aiortc.codecs.base import Decoder, Encoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from av.frame import Frame
from av.packet import Packet

from loadtest.bots.media import SAMPLES, TONE_DBOV, tone

_NEXT: Final = "_next_encoded_frame"
_ENCODER: Final = "_RTCRtpSender__encoder"
_KEY_FRAME_WANTED: Final = "_RTCRtpSender__force_keyframe"
_TO_DECODER: Final = "_RTCRtpReceiver__decoder_queue"
_DECODER_ERROR: Final = "_RTCRtpReceiver__decoder_error"

_LOOP: Final = 50  # packets of sound: a second, and so whole periods of the tone


@functools.cache
def tone_packets() -> tuple[bytes, ...]:
    """A stretch of the tone as Opus, to be sent over and over: it is the same for every bot, so it
    is encoded once. The first second is left out, where the encoder finds its feet."""
    encoder, packets = OpusEncoder(), list[bytes]()
    for number in range(2 * _LOOP + 1):  # the encoder keeps one back
        packets += encoder.encode(tone(number * SAMPLES))[0]
    return tuple(packets[_LOOP : 2 * _LOOP])


class Sound(Encoder):
    """For what is encoded already."""

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        raise NotImplementedError

    def pack(self, packet: Packet[Any]) -> tuple[list[bytes], Any]:
        return [bytes(packet)], packet.pts


def encode_here(sender: RTCRtpSender, encoder: Encoder) -> None:
    """Before the sender is started."""

    async def next_frame(_: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        data = await sender.track.recv()
        level: Any = None
        if isinstance(data, Packet):
            (payloads, timestamp), level = encoder.pack(data), TONE_DBOV
        else:
            wanted = getattr(sender, _KEY_FRAME_WANTED)
            setattr(sender, _KEY_FRAME_WANTED, False)
            payloads, timestamp = encoder.encode(data, wanted)
        return RTCEncodedFrame(payloads, timestamp, level) if payloads else None

    _known(sender, _KEY_FRAME_WANTED)
    _replace(sender, _ENCODER, encoder)  # which is told what the receiver has bandwidth for
    _replace(sender, _NEXT, next_frame)


def decode_here(decoding: Decoding) -> None:
    """Before its receiver is started."""
    _replace(decoding.receiver, _TO_DECODER, decoding)


class Decoding(queue.Queue[Any]):
    """Stands for the queue to the decoder's thread, which hears from it only that it is over."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        super().__init__()  # one entry at most
        self.receiver = receiver
        self.error = _known(receiver, _DECODER_ERROR)
        """Set: the receiver asks for a key frame."""
        self._decoder: Decoder | None = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            super().put(None, block, timeout)
            return
        codec, encoded = item
        if self._decoder is None:
            self._decoder = get_decoder(codec)
        try:
            frames = self._decoder.decode(encoded)
        except av.FFmpegError:
            self.error.set()
            return
        shown = _known(self.receiver.track, "_queue")
        for frame in frames:
            shown.put_nowait(frame)


def _known(end: object, name: str) -> Any:
    """Raises RuntimeError rather than to do something else than was meant."""
    if not hasattr(end, name):
        raise RuntimeError(f"this release of aiortc has no {name}")
    return getattr(end, name)


def _replace(end: object, name: str, value: object) -> None:
    _known(end, name)
    setattr(end, name, value)
