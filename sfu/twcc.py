"""Transport-wide congestion control feedback, both ways
(draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

`Arrivals` notes what comes from a publisher and writes feedback to it; `parse_feedback` reads what
a subscriber writes of the packets we number.
"""

from __future__ import annotations

import struct

from sfu.rtcp import OUR_SSRC, TRANSPORT_CC, TRANSPORT_FEEDBACK, packet
from sfu.sequence import nearest16

_TICK = 0.00025  # of a delta
_REFERENCE = 0.064  # of the reference time, 24 bits of it
_REFERENCE_TICKS = 256
_KEPT = 512  # packets back that late arrivals are reported again
_MAX_STATUSES = 512  # in one feedback packet, so that it fits a datagram; what is older is left out
_MAX_READ = 1024  # statuses read of a feedback packet; beyond that it is not well-formed for us

Received = list[tuple[int, float | None]]


class Arrivals:
    """When the packets of one publisher came, until it is told.

    Bounded by the window of numbers kept: what is `_KEPT` older than the newest is forgotten, and
    after a jump of more than half the number space counting begins anew.
    """

    __slots__ = ("_count", "_next", "_times", "highest")

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        self._next = -1  # the first number of the next feedback
        self._count = 0
        self.highest = -1

    def note(self, number: int, now: float) -> None:
        """A packet with this 16-bit number has come."""
        if self.highest < 0:
            self.highest = number + 0x10000
            self._next = self.highest
            extended = self.highest
        else:
            extended = nearest16(number, self.highest)
            if extended > self.highest:
                self.highest = extended
            elif extended < self._next:
                if extended <= self.highest - _KEPT:
                    return
                self._next = extended
        self._times.setdefault(extended, now)

    def feedback(self, media_ssrc: int) -> bytes | None:
        """What there is to tell since the last time, as one packet; None when it is nothing."""
        times = self._times
        start, end = self._next, self.highest + 1
        if start < 0 or start >= end:
            return None
        start = max(start, end - _MAX_STATUSES)
        while start < end and start not in times:  # begin with one that came
            start += 1
        if start == end:
            return None
        reference = int(times[start] / _REFERENCE)
        clock = reference * _REFERENCE_TICKS
        symbols: list[int] = []
        deltas = bytearray()
        for number in range(start, end):
            time = times.get(number)
            if time is None:
                symbols.append(0)
                continue
            delta = int(time / _TICK) - clock
            if 0 <= delta <= 255:
                symbols.append(1)
                deltas.append(delta)
            elif -32768 <= delta <= 32767:
                symbols.append(2)
                deltas += struct.pack("!h", delta)
            else:
                end = number  # it begins the next feedback
                break
            clock += delta
        self._next = end
        if len(times) > _KEPT * 2:
            oldest = self.highest - _KEPT
            self._times = {number: time for number, time in times.items() if number > oldest}
        body = struct.pack("!IIHH", OUR_SSRC, media_ssrc, start & 0xFFFF, len(symbols))
        body += (reference & 0xFFFFFF).to_bytes(3, "big") + bytes((self._count & 0xFF,))
        self._count += 1
        body += _chunks(symbols) + deltas
        return packet(TRANSPORT_FEEDBACK, TRANSPORT_CC, body + bytes(-len(body) & 3))


def _chunks(symbols: list[int]) -> bytes:
    """Status chunks: run lengths where they pay, vectors of two bits otherwise (§3.1.1)."""
    out = bytearray()
    at, length = 0, len(symbols)
    while at < length:
        symbol = symbols[at]
        run = 1
        while at + run < length and run < 0x1FFF and symbols[at + run] == symbol:
            run += 1
        if run >= 7 or at + run == length:
            out += (symbol << 13 | run).to_bytes(2, "big")
            at += run
        else:
            word = 0xC000
            for place, value in enumerate(symbols[at : at + 7]):
                word |= value << (12 - 2 * place)
            out += word.to_bytes(2, "big")
            at += 7
    return bytes(out)


def parse_feedback(body: bytes) -> tuple[int, Received] | None:
    """Read a feedback packet behind its SSRCs: its count, and (16-bit number, time of arrival in
    seconds of the receiver's clock or None when it has not come) for each packet it tells of.

    The clock wraps after 2^24 reference ticks (12 days). None when it is not well-formed.
    """
    if len(body) < 8:
        return None
    first, left = struct.unpack_from("!HH", body)
    if left > _MAX_READ:
        return None
    clock = int.from_bytes(body[4:7], "big") * _REFERENCE_TICKS
    symbols: list[int] = []
    at = 8
    while left > 0:
        if at + 2 > len(body):
            return None
        chunk = body[at] << 8 | body[at + 1]
        at += 2
        if not chunk & 0x8000:
            found = [chunk >> 13 & 3] * min(chunk & 0x1FFF, left)
            if not found:
                return None
        elif chunk & 0x4000:
            found = [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            found = [chunk >> shift & 1 for shift in range(13, -1, -1)]
        symbols += found[:left]
        left -= len(found)
    received: Received = []
    for place, symbol in enumerate(symbols):
        number = (first + place) & 0xFFFF
        if symbol == 0:
            received.append((number, None))
            continue
        size = 1 if symbol == 1 else 2
        if symbol == 3 or at + size > len(body):
            return None
        clock += int.from_bytes(body[at : at + size], "big", signed=size == 2)
        at += size
        received.append((number, clock * _TICK))
    return body[7], received
