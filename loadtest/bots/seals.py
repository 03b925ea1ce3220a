"""Frames sealed between encoder and packets, and opened between packets and decoder.

aiortc has no place of its own for this, as browsers have in RTCRtpScriptTransform. So a sender is
given an encoder that seals what it encodes, and a receiver a decoder that opens what comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.codecs.vpx import Vp8Encoder
from av.frame import Frame
from av.packet import Packet

from loadtest.bots.coding import Decoding, Sound, decode_here, encode_here
from loadtest.bots.media import now_ms
from loadtest.frames import Fault, FrameError, FrameOpener, FrameSealer, Kind, context_of

KEY_FRAME_PAUSE_MS: Final = 500.0  # the forwarder heeds no more than two a second either


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose frames: `source` as in docs/protocol.md section 9.1."""

    participant: str
    source: str
    kind: Kind


class Seals:
    """One bot's: what it seals with, and what it opens the frames of others with."""

    def __init__(self, room: str, participant: str) -> None:
        self._room, self._participant = room, participant
        self._sealer = FrameSealer()
        self._openers: dict[str, FrameOpener] = {}
        self.epoch = -1
        self.opened = self.shut = 0  # frames

    def seal_with(self, epoch: int, key: bytes | None) -> None:
        self._sealer.set_key(epoch, key)
        self.epoch = epoch if key is not None else -1

    def open_with(self, sender: str, epoch: int, key: bytes) -> None:
        self._openers.setdefault(sender, FrameOpener()).add_key(epoch, key)

    def forget(self, sender: str) -> None:
        self._openers.pop(sender, None)

    def guard_sender(self, sender: RTCRtpSender, source: str, kind: Kind) -> None:
        """Before the sender is started: no frame leaves it but sealed."""
        stream = self._sealer.new_stream()
        context = context_of(self._room, self._participant, source)

        def seal(frame: bytes) -> bytes:
            return self._sealer.seal(context, kind, stream, frame)

        encode_here(sender, _SealedSound(seal) if kind == "audio" else _SealedPicture(seal))

    def guard_receiver(self, receiver: RTCRtpReceiver, origin: Origin) -> None:
        """Before the receiver is started: nothing reaches its decoder but what has opened."""
        context = context_of(self._room, origin.participant, origin.source)

        def unseal(data: bytes) -> bytes:
            # Whoever has told no key yet has an opener without one.
            opener = self._openers.setdefault(origin.participant, FrameOpener())
            try:
                frame = opener.open(context, origin.kind, origin.source, data, now_ms())
            except FrameError:
                self.shut += 1
                raise
            self.opened += 1
            return frame

        decode_here(_Opening(receiver, unseal, key_frames=origin.kind == "video"))


class _SealedSound(Sound):
    def __init__(self, seal: Callable[[bytes], bytes]) -> None:
        self._seal = seal

    def pack(self, packet: Packet[Any]) -> tuple[list[bytes], Any]:
        payloads, timestamp = super().pack(packet)
        try:
            return [self._seal(payload) for payload in payloads], timestamp
        except FrameError:
            return [], None


class _SealedPicture(Vp8Encoder):
    """A picture that could not be sealed is not sent, and the next one is a key frame."""

    def __init__(self, seal: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._seal, self._anew = seal, False

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], Any]:
        anew, self._anew = self._anew, False
        try:
            return super().encode(frame, force_keyframe or anew)
        except FrameError:
            self._anew = True
            return [], None

    def _packetize(self, buffer: bytes, picture_id: int) -> list[bytes]:  # type: ignore[override]
        return super()._packetize(self._seal(buffer) if buffer else buffer, picture_id)


class _Opening(Decoding):
    """`key_frames`: whether to ask for one when a frame does not open."""

    def __init__(
        self, receiver: RTCRtpReceiver, unseal: Callable[[bytes], bytes], *, key_frames: bool
    ) -> None:
        super().__init__(receiver)
        self._unseal, self._key_frames = unseal, key_frames
        self._asked_ms = -KEY_FRAME_PAUSE_MS

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None:  # None ends the decoder
            try:
                item[1].data = self._unseal(item[1].data)
            except FrameError as refusal:
                self._ask_key_frame(refusal.fault)
                return
        super().put(item, block, timeout)

    def _ask_key_frame(self, fault: Fault) -> None:
        now = now_ms()
        if (
            not self._key_frames
            or fault is Fault.REPLAYED
            or now - self._asked_ms < KEY_FRAME_PAUSE_MS
        ):
            return
        self._asked_ms = now
        self.error.set()
