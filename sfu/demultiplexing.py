"""Which protocol a datagram is of, by its first two bytes (RFC 7983 §7, RFC 5761 §4)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Protocol(IntEnum):
    """What shares one socket."""

    OTHER = 0
    STUN = 1
    DTLS = 2
    RTP = 3
    RTCP = 4


def _first(byte: int) -> Protocol:
    if byte < 4:
        return Protocol.STUN
    if 20 <= byte < 64:
        return Protocol.DTLS
    if 128 <= byte < 192:
        return Protocol.RTP
    return Protocol.OTHER


BY_FIRST_BYTE: Final = tuple(_first(byte) for byte in range(256))
"""RTP stands for RTCP, too: `is_rtcp` tells them apart."""


def is_rtcp(second: int) -> bool:
    """RTCP's packet types take the place of RTP's 64 to 95 with a marker (RFC 5761 §4)."""
    return 192 <= second <= 223


def protocol_of(datagram: bytes | bytearray | memoryview) -> Protocol:
    if len(datagram) < 2:
        return Protocol.OTHER
    found = BY_FIRST_BYTE[datagram[0]]
    return Protocol.RTCP if found is Protocol.RTP and is_rtcp(datagram[1]) else found
