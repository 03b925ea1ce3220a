"""A media packet on its way through the room."""

from __future__ import annotations

from sfu.rtp import RtpPacket
from sfu.vp8 import Vp8Descriptor


class MediaPacket(RtpPacket):
    """An RTP packet, and what its stream adds to it before it is fanned out.

    `number` is its extended sequence number, `layer` the simulcast layer it belongs to. `vp8` is
    its descriptor; None where the payload goes through untouched.
    """

    __slots__ = ("layer", "number", "vp8")

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.layer = 0
        self.vp8: Vp8Descriptor | None = None
