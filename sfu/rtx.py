"""Retransmission payloads (RFC 4588 §4): the original sequence number in front of the payload."""

from __future__ import annotations

import struct

from sfu.rtp import RtpPacket

_HEADER = struct.Struct("!BBHII")


def unwrap(packet: RtpPacket, payload_type: int, ssrc: int) -> bytes | None:
    """The packet that a retransmission of it carries, with the media's own type and SSRC, without
    header extensions; None for one that carries nothing (padding, used for probing)."""
    if packet.end - packet.start < 3:
        return None
    data = packet.data
    number = data[packet.start] << 8 | data[packet.start + 1]
    second = packet.marker << 7 | payload_type
    header = _HEADER.pack(0x80, second, number, packet.timestamp, ssrc)
    return header + data[packet.start + 2 : packet.end]
