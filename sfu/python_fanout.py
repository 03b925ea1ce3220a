"""The fan-out in plain Python.

Every packet is packed into the shared buffer by one call: header, one word of extensions and the
payload. That is written out in the loop over the receivers, and again in `_write` for packets with
more extensions: three calls more for each receiver would cost more than they save in lines.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from sfu.downlink import SENT_RING
from sfu.interfaces import BUFFER_SIZE, MAX_PACKET, Counters
from sfu.leg import EMPTY, RING, Leg
from sfu.media import MediaPacket
from sfu.rtp import RtpPacket
from sfu.vp8 import Vp8Descriptor

_HEADER = "!HHIQI"  # first word, sequence number, timestamp, SSRC and profile, extension word
_HEADER_LENGTH = 20
_LONGEST = MAX_PACKET - _HEADER_LENGTH - 24  # room for a MID and an original sequence number
_PADDING = bytes(254) + b"\xff"  # as much as one packet can pad (RFC 3550 §5.1)
_M16 = 0xFFFF
_M32 = 0xFFFFFFFF
_SENT = SENT_RING - 1
_RING = RING - 1
_NOT_DESCRIBED = -1

PackInto = Callable[..., None]

_pack_header = struct.Struct(_HEADER).pack_into
# How to pack a packet with a payload of that size, made when first needed.
_packers: list[PackInto | None] = [None] * (_LONGEST + 1)


def _packer(size: int) -> PackInto:
    packer = _packers[size]
    if packer is None:
        packer = _packers[size] = struct.Struct(f"{_HEADER}{size}s").pack_into
    return packer


class PythonFanOut:
    """`sfu.fanout.FanOut` in Python; see there for what the methods promise.

    A payload that would make a packet longer than `MAX_PACKET` is dropped and counted.
    """

    def __init__(self, buffer: bytearray, counters: Counters) -> None:
        assert len(buffer) >= BUFFER_SIZE
        self._buffer = buffer
        self._counters = counters
        self._packet = RtpPacket()
        self._vp8 = Vp8Descriptor()

    def newest(self, legs: Sequence[Leg], packet: MediaPacket, now: float) -> None:
        payload = packet.data[packet.start : packet.end]
        size = len(payload)
        if not 0 < size <= _LONGEST:
            self._leave_out(legs, packet)
            return
        pack = _packer(size)
        buffer = self._buffer
        total = _HEADER_LENGTH + size
        marker = 0x80 if packet.marker else 0
        timestamp = packet.timestamp
        number = packet.number
        origin = number << 2 | packet.layer
        vp8 = packet.vp8
        tid = picture_id = picture_id_at = tl0 = tl0_at = key_index_at = 0
        begins = wide = False
        if vp8 is not None:
            tid, begins = vp8.tid, vp8.begins
            picture_id, picture_id_at = vp8.picture_id, vp8.picture_id_at
            wide = vp8.picture_id_mask == 0x7FFF
            tl0, tl0_at = vp8.tl0, vp8.tl0_at
            key_index_at = vp8.key_index_at
        sent = 0
        for leg in legs:
            if tid > leg.limit or (begins and leg.limit != leg.target_limit):
                if begins and vp8 is not None:
                    leg.retune(number, vp8)
                if tid > leg.limit:
                    if picture_id != leg.skipped:
                        leg.skipped = picture_id
                        leg.picture_id_offset -= 1
                    leg.leave_out(number)
                    continue
            ours = number + leg.offset
            if leg.plain:
                downlink = leg.downlink
                count = downlink.next_number
                downlink.next_number = count + 1
                slot = count & _SENT
                downlink.times[slot] = now
                downlink.sizes[slot] = total
                pack(
                    buffer, 0, leg.first_word | marker, ours & _M16,
                    (timestamp + leg.timestamp_offset) & _M32, leg.constant,
                    leg.word | (count & _M16) << 8, payload,
                )  # fmt: skip
                start = _HEADER_LENGTH
                length = total
            else:
                length = self._write(leg, packet, ours, payload, now)
                start = length - size
            slot = ours & _RING
            if vp8 is not None:
                described = (picture_id + leg.picture_id_offset & 0x7FFF) << 8
                described |= tl0 + leg.tl0_offset & 0xFF
                if picture_id_at:
                    if wide:
                        buffer[start + picture_id_at] = 0x80 | described >> 16
                        buffer[start + picture_id_at + 1] = described >> 8 & 0xFF
                    else:
                        buffer[start + picture_id_at] = described >> 8 & 0x7F
                if tl0_at:
                    buffer[start + tl0_at] = described & 0xFF
                if key_index_at:
                    value = vp8.key_index + leg.key_index_offset & 0x1F
                    buffer[start + key_index_at] = buffer[start + key_index_at] & 0xE0 | value
                leg.described[slot] = described
            leg.sent[slot] = origin
            leg.highest = ours
            leg.octets += size
            leg.send(length)
            sent += 1
        self._counters.packets_out += sent
        self._counters.bytes_out += sent * total

    def late(self, legs: Sequence[Leg], packet: MediaPacket, now: float) -> None:
        payload = packet.data[packet.start : packet.end]
        number, vp8 = packet.number, packet.vp8
        for leg in legs:
            mark = leg.place(number)
            if mark is None:
                self._counters.drop("late")
                continue
            ours = number + mark[1]
            limit = leg.limit if number >= leg.limit_changed else leg.limit_before
            if not 0 < len(payload) <= _LONGEST or (vp8 is not None and vp8.tid > limit):
                self.fill(leg, ours, now)
                continue
            described = _NOT_DESCRIBED
            if vp8 is not None:
                described = (vp8.picture_id + mark[2] & 0x7FFF) << 8
                described |= vp8.tl0 + leg.tl0_offset & 0xFF
            leg.sent[ours & _RING] = number << 2 | packet.layer
            leg.described[ours & _RING] = described
            leg.octets += len(payload)
            length = self._write(leg, packet, ours, payload, now)
            if vp8 is not None:
                self._describe(leg, length - len(payload), vp8, described)
            self._send(leg, length)

    def repeat(self, leg: Leg, ours: int, data: bytes, now: float) -> int:
        packet, vp8 = self._packet, self._vp8
        origin = leg.sent[ours & _RING]
        if origin < 0 or not leg.can_repeat or not packet.parse(data):
            return 0
        described = leg.described[ours & _RING]
        payload = (ours & _M16).to_bytes(2, "big") + data[packet.start : packet.end]
        second = 0x80 if packet.marker else 0
        length = self._write_rtx(leg, second, packet.timestamp, payload, now)
        if described != _NOT_DESCRIBED and vp8.parse(data, packet.start, packet.end):
            self._describe(leg, length - len(payload) + 2, vp8, described)
        self._send(leg, length)
        self._counters.retransmitted += 1
        return length

    def fill(self, leg: Leg, ours: int, now: float) -> None:
        leg.sent[ours & _RING] = EMPTY
        start = self._header_length(leg)
        timestamp = leg.timestamp if leg.timestamp >= 0 else 0
        word = self._word(leg, start, now)
        _pack_header(
            self._buffer, 0, leg.first_word, ours & _M16, timestamp, leg.constant + start // 4 - 5,
            word,
        )  # fmt: skip
        self._buffer[_HEADER_LENGTH:start] = leg.mid
        self._send(leg, start)

    def pad(self, leg: Leg, now: float) -> int:
        if not leg.can_repeat:
            return 0
        length = self._write_rtx(leg, 0x2000, 0, _PADDING, now)
        self._send(leg, length)
        return length

    def _leave_out(self, legs: Sequence[Leg], packet: MediaPacket) -> None:
        """Close the gap of a packet that nobody gets: only padding, or longer than we send."""
        if packet.end - packet.start > _LONGEST:
            self._counters.drop("too_long")
        for leg in legs:
            leg.leave_out(packet.number)

    # One packet, whatever its extensions

    def _send(self, leg: Leg, length: int) -> None:
        leg.send(length)
        self._counters.packets_out += 1
        self._counters.bytes_out += length

    def _header_length(self, leg: Leg) -> int:
        return _HEADER_LENGTH + len(leg.mid)

    def _word(self, leg: Leg, length: int, now: float) -> int:
        """The word of extensions for a packet of that length, which it takes note of."""
        word = leg.word
        if leg.transport_cc:
            downlink = leg.downlink
            count = downlink.next_number
            downlink.next_number = count + 1
            downlink.times[count & _SENT] = now
            downlink.sizes[count & _SENT] = length
            word |= (count & _M16) << 8
        elif leg.abs_send_time:
            word |= int(now * (1 << 18)) & 0xFFFFFF
        return word

    def _write(self, leg: Leg, packet: MediaPacket, ours: int, payload: bytes, now: float) -> int:
        """Write a media packet into the buffer; gives its length."""
        start = self._header_length(leg)
        length = start + len(payload)
        word = self._word(leg, length, now)
        _pack_header(
            self._buffer, 0, leg.first_word | (0x80 if packet.marker else 0), ours & _M16,
            (packet.timestamp + leg.timestamp_offset) & _M32,
            leg.constant + start // 4 - 5, word,
        )  # fmt: skip
        self._buffer[_HEADER_LENGTH:start] = leg.mid
        self._buffer[start:length] = payload
        return length

    def _write_rtx(self, leg: Leg, bits: int, timestamp: int, payload: bytes, now: float) -> int:
        """Write a packet of the retransmission stream into the buffer; gives its length."""
        start = self._header_length(leg)
        length = start + len(payload)
        word = self._word(leg, length, now)
        sequence = leg.rtx_sequence
        leg.rtx_sequence = sequence + 1
        _pack_header(
            self._buffer, 0, leg.rtx_first_word | bits, sequence & _M16,
            (timestamp + leg.timestamp_offset) & _M32,
            leg.rtx_constant + start // 4 - 5, word,
        )  # fmt: skip
        self._buffer[_HEADER_LENGTH:start] = leg.mid
        self._buffer[start:length] = payload
        return length

    def _describe(self, leg: Leg, start: int, vp8: Vp8Descriptor, described: int) -> None:
        """Write PictureID, TL0PICIDX and KEYIDX of a packet that lies in the buffer."""
        buffer = self._buffer
        if vp8.picture_id_at:
            if vp8.picture_id_mask == 0x7FFF:
                buffer[start + vp8.picture_id_at] = 0x80 | described >> 16
                buffer[start + vp8.picture_id_at + 1] = described >> 8 & 0xFF
            else:
                buffer[start + vp8.picture_id_at] = described >> 8 & 0x7F
        if vp8.tl0_at:
            buffer[start + vp8.tl0_at] = described & 0xFF
        if vp8.key_index_at:
            at = start + vp8.key_index_at
            buffer[at] = buffer[at] & 0xE0 | vp8.key_index + leg.key_index_offset & 0x1F
