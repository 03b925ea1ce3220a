"""RTCP packets (RFC 3550 §6, RFC 4585 §6, RFC 5104 §4.3, draft-alvestrand-rmcat-remb-03).

`parse_compound` reads what a page sends and leaves out what we have no use for; the functions at
the end write what we send. Feedback for transport-wide congestion control is in `sfu.twcc`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

OUR_SSRC = 1
"""Sender SSRC of the feedback we write: we send nothing ourselves (RFC 4585 §6.1)."""

SENDER_REPORT = 200
RECEIVER_REPORT = 201
BYE = 203
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206

NACK = 1
TRANSPORT_CC = 15
PLI = 1
FIR = 4
APPLICATION = 15

_MAX_PACKETS = 32  # of one compound; the rest is left out
_MAX_NACK_BLOCKS = 64  # 17 numbers each; the rest is left out
_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IQIII")
_REPORT = struct.Struct("!IIIIII")
_REMB = b"REMB"


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What somebody says of a stream it receives. `lost` is the fraction since the last report,
    0 to 1; `last_report` and `delay` are LSR and DLSR as on the wire (in 1/65536 s)."""

    ssrc: int
    lost: float
    total_lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """What a sender says of its stream: 64-bit NTP time, and the RTP timestamp at that time."""

    ssrc: int
    ntp: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Nack:
    """Packets somebody misses, by their 16-bit numbers."""

    ssrc: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyFrameRequest:
    """PLI or FIR for a stream."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """The bit rate a receiver thinks it can take, of everything together."""

    bitrate: int


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """A transport-wide feedback packet, not yet read: see `sfu.twcc`."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A stream has ended."""

    ssrc: int


Message = ReportBlock | SenderInfo | Nack | KeyFrameRequest | Remb | TransportFeedback | Goodbye


def parse_compound(data: bytes) -> list[Message] | None:
    """What is in a compound or reduced-size packet, in order; None when it is not well-formed.

    Well-formed packets of types or formats unknown are left out; so is whatever is beyond a bound.
    """
    messages: list[Message] = []
    at = 0
    for _ in range(_MAX_PACKETS):
        if at == len(data):
            break
        if at + 4 > len(data):
            return None
        first, packet_type, words = _HEADER.unpack_from(data, at)
        end = at + 4 + words * 4
        if first & 0xC0 != 0x80 or end > len(data):
            return None
        padding = data[end - 1] if first & 0x20 else 0
        body = data[at + 4 : end - padding] if padding <= words * 4 else b""
        if (first & 0x20 and not padding) or padding > words * 4:
            return None
        if not _parse(packet_type, first & 0x1F, body, messages):
            return None
        at = end
    return messages if at else None


def _parse(packet_type: int, count: int, body: bytes, messages: list[Message]) -> bool:
    match packet_type:
        case 200:  # SR
            if len(body) < _SENDER_INFO.size:
                return False
            ssrc, ntp, timestamp, _, _ = _SENDER_INFO.unpack_from(body)
            messages.append(SenderInfo(ssrc, ntp, timestamp))
            return _parse_reports(count, body[_SENDER_INFO.size :], messages)
        case 201:  # RR
            return len(body) >= 4 and _parse_reports(count, body[4:], messages)
        case 203:  # BYE
            if len(body) < count * 4:
                return False
            messages.extend(Goodbye(ssrc) for ssrc in _words(body[: count * 4]))
        case 205:  # RTPFB
            return _parse_transport_feedback(count, body, messages)
        case 206:  # PSFB
            return _parse_payload_feedback(count, body, messages)
    return True


def _parse_reports(count: int, body: bytes, messages: list[Message]) -> bool:
    if len(body) < count * _REPORT.size:
        return False
    for at in range(0, count * _REPORT.size, _REPORT.size):
        ssrc, loss, highest, jitter, last, delay = _REPORT.unpack_from(body, at)
        total = loss & 0xFFFFFF
        total -= (total & 0x800000) << 1
        messages.append(ReportBlock(ssrc, (loss >> 24) / 256, total, highest, jitter, last, delay))
    return True


def _parse_transport_feedback(form: int, body: bytes, messages: list[Message]) -> bool:
    if len(body) < 8:
        return False
    if form == NACK:
        words = _words(body[4 : 8 + _MAX_NACK_BLOCKS * 4])
        numbers: list[int] = []
        for word in words[1:]:
            first = word >> 16
            numbers.append(first)
            numbers.extend(
                (first + bit + 1) & 0xFFFF for bit in range(16) if word >> bit & 1
            )  # RFC 4585 §6.2.1
        messages.append(Nack(words[0], tuple(numbers)))
    elif form == TRANSPORT_CC:
        messages.append(TransportFeedback(body[8:]))
    return True


def _parse_payload_feedback(form: int, body: bytes, messages: list[Message]) -> bool:
    if len(body) < 8:
        return False
    if form == PLI:
        messages.append(KeyFrameRequest(int.from_bytes(body[4:8], "big")))
    elif form == FIR:
        for at in range(8, len(body) - 7, 8):
            messages.append(KeyFrameRequest(int.from_bytes(body[at : at + 4], "big")))
            if len(messages) > _MAX_PACKETS * 8:
                break
    elif form == APPLICATION and body[8:12] == _REMB:
        if len(body) < 16:
            return False
        value = int.from_bytes(body[13:16], "big")
        messages.append(Remb(min((value & 0x3FFFF) << (value >> 18), 1 << 62)))
    return True


def _words(body: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(body) // 4}I", body[: len(body) & ~3])


def packet(packet_type: int, count: int, body: bytes) -> bytes:
    """Bytes of one RTCP packet; the body's length is a multiple of four."""
    assert len(body) % 4 == 0
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def sender_report(ssrc: int, ntp: int, timestamp: int, *, packets: int, octets: int) -> bytes:
    """SR without report blocks (RFC 3550 §6.4.1)."""
    body = _SENDER_INFO.pack(
        ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    )
    return packet(SENDER_REPORT, 0, body)


def receiver_report(blocks: Sequence[ReportBlock]) -> bytes:
    """RR with at most 31 blocks (RFC 3550 §6.4.2)."""
    body = struct.pack("!I", OUR_SSRC) + b"".join(
        _REPORT.pack(
            block.ssrc,
            min(255, int(block.lost * 256)) << 24 | max(min(block.total_lost, 0x7FFFFF), 0),
            block.highest & 0xFFFFFFFF,
            block.jitter & 0xFFFFFFFF,
            block.last_report,
            min(block.delay, 0xFFFFFFFF),
        )
        for block in blocks
    )
    return packet(RECEIVER_REPORT, len(blocks), body)


def nack(ssrc: int, numbers: Sequence[int]) -> bytes:
    """Generic NACK (RFC 4585 §6.2.1) for extended numbers in ascending order."""
    blocks: list[bytes] = []
    at = 0
    while at < len(numbers):
        first = numbers[at]
        mask = 0
        at += 1
        while at < len(numbers) and numbers[at] - first <= 16:
            mask |= 1 << (numbers[at] - first - 1)
            at += 1
        blocks.append(struct.pack("!HH", first & 0xFFFF, mask))
    body = struct.pack("!II", OUR_SSRC, ssrc) + b"".join(blocks)
    return packet(TRANSPORT_FEEDBACK, NACK, body)


def pli(ssrc: int) -> bytes:
    """Picture Loss Indication (RFC 4585 §6.3.1)."""
    return packet(PAYLOAD_FEEDBACK, PLI, struct.pack("!II", OUR_SSRC, ssrc))


def fir(ssrc: int, serial: int) -> bytes:
    """Full Intra Request (RFC 5104 §4.3.1); `serial` grows by one with each new request."""
    body = struct.pack("!IIIB3x", OUR_SSRC, 0, ssrc, serial & 0xFF)
    return packet(PAYLOAD_FEEDBACK, FIR, body)


def remb(bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """Receiver Estimated Maximum Bitrate for these streams together."""
    exponent = max(0, bitrate.bit_length() - 18)
    value = exponent << 18 | bitrate >> exponent
    body = struct.pack("!II", OUR_SSRC, 0) + _REMB + bytes((len(ssrcs),)) + value.to_bytes(3, "big")
    return packet(
        PAYLOAD_FEEDBACK, APPLICATION, body + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)
    )
