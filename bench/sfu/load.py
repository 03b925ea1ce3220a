"""The load: video at a steady rate from some participants, and everything that reaches the others.

One process that sends and takes what arrives in between. Packets are made as VP8, ten to a frame,
for servers look at that; behind it is the time at which they were sent, so that a sample of those
that arrive, decrypted, tells the delay.
"""

from __future__ import annotations

import contextlib
import select
import struct
import time
from dataclasses import dataclass

from bench.sfu.page import MID, RTX, TRANSPORT_CC, VP8, Page
from bench.sfu.servers import Server

_TICK = 0.001
_SAMPLE = 32  # every which packet is decrypted
_FEEDBACK = 0.1
_REPORT = 1.0
_CHECK = 2.0
_STAMP = struct.Struct("!Q")
_HEADER = struct.Struct("!BBHIIHHBBxx")
_HEADER_LENGTH = 20
_DESCRIPTOR = struct.Struct("!BBHBB")
_FRAME = 10  # packets
_STAMP_AT = 6 + 10  # in the payload: behind the descriptor and a key frame's clear beginning


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `sent` and `received` are packets of media, `delays` seconds of a sample."""

    sent: int
    received: int
    expected: int
    seconds: float
    cpu_seconds: float
    delays: tuple[float, ...]

    @property
    def loss(self) -> float:
        return 1 - self.received / self.expected if self.expected else 0.0

    @property
    def cpu_per_packet(self) -> float:
        """Microseconds of the server's CPU for each packet that it forwarded."""
        return self.cpu_seconds / max(1, self.received) * 1e6

    def delay(self, share: float) -> float:
        """Microseconds at that share of the sample, 0 when there is none."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6 if ordered else 0.0


class _Source:
    """What one participant sends."""

    def __init__(self, page: Page, ssrc: int, mid: str, size: int) -> None:
        self.page = page
        self._ssrc = ssrc
        self._mid = ord(mid)
        self._sequence = 1000
        self._filling = bytes(size - _HEADER_LENGTH - _STAMP_AT - _STAMP.size)

    def send(self) -> None:
        sequence = self._sequence
        self._sequence = sequence + 1
        frame, place = divmod(sequence - 1000, _FRAME)
        marker = 0x80 if place == _FRAME - 1 else 0
        # One element of a one-byte MID.
        header = _HEADER.pack(
            0x90, marker | VP8, sequence & 0xFFFF, frame * 3000 & 0xFFFFFFFF, self._ssrc,
            0xBEDE, 1, MID << 4, self._mid,
        )  # fmt: skip
        begins = 0x10 if not place else 0
        descriptor = _DESCRIPTOR.pack(0x80 | begins, 0xE0, 0x8000 | frame & 0x7FFF, frame & 0xFF, 0)
        # A key frame now and then, for whoever waits for one.
        key = begins and not frame % 30
        clear = b"\x10\x02\x00\x9d\x01\x2a\x00\x05\xd0\x02" if key else b"\x11" + bytes(9)
        packet = b"".join(
            (header, descriptor, clear, _STAMP.pack(time.monotonic_ns()), self._filling)
        )
        with contextlib.suppress(BlockingIOError):
            self.page.sock.send(self.page.outbound.protect(packet))


class Load:
    """Participants in a room of a server, of which those in `publishes` send."""

    def __init__(
        self,
        server: Server,
        count: int,
        publishes: set[int],
        *,
        profile: str,
        size: int,
        feedback: bool = False,
    ) -> None:
        """`feedback`: whether pages write transport-wide feedback, where it is negotiated."""
        self.server = server
        self._feedback = feedback
        ssrcs = [0x1000 + index for index in range(count)]
        joined = server.join(ssrcs, publishes, profile)
        self.pages = [page for pages in joined for page in pages]
        self.sources = [
            _Source(joined[index][0], ssrcs[index], server.mid, size) for index in publishes
        ]
        self._each = count - 1
        self._epoll = select.epoll()
        self._by_descriptor = {}
        for page in self.pages:
            self._by_descriptor[page.sock.fileno()] = page
            self._epoll.register(page.sock.fileno(), select.EPOLLIN)
        self._delays: list[float] = []
        self._buffer = bytearray(2048)
        self._next_feedback = self._next_report = self._next_check = 0.0

    def close(self) -> None:
        self._epoll.close()
        for page in self.pages:
            page.close()

    def run(self, rate: int, seconds: float) -> Measured:
        """Send `rate` packets per second and source; the first second is for getting into step."""
        self._pump(rate, 1.0)
        self._drain()
        self._delays.clear()
        before = self._received()
        cpu = self.server.process.cpu_seconds()
        started = time.monotonic()
        sent = self._pump(rate, seconds)
        taken = time.monotonic() - started
        self._drain()
        cpu = self.server.process.cpu_seconds() - cpu
        return Measured(
            sent,
            self._received() - before,
            sent * self._each,
            taken,
            cpu,
            tuple(self._delays),
        )

    def _received(self) -> int:
        return sum(page.received for page in self.pages)

    def _pump(self, rate: int, seconds: float) -> int:
        sent = 0
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            due = int(elapsed * rate) - sent // len(self.sources)
            # Never more than a few milliseconds' worth at once, however late we are.
            for _ in range(min(due, max(1, rate // 200))):
                for source in self.sources:
                    source.send()
                    sent += 1
            self._serve()
            self._take(max(0.0, _TICK - (time.monotonic() - started - elapsed)))
        return sent

    def _drain(self) -> None:
        last = time.monotonic()
        while time.monotonic() - last < 0.3:
            if self._take(0.05):
                last = time.monotonic()
            self._serve()

    def _serve(self) -> None:
        """What pages owe a server: checks, reports, feedback."""
        now = time.monotonic()
        if now >= self._next_feedback:
            self._next_feedback = now + _FEEDBACK
            for page in self.pages:
                page.feed_back()
        if now >= self._next_report:
            self._next_report = now + _REPORT
            for page in self.pages:
                page.report()
        if now >= self._next_check:
            self._next_check = now + _CHECK
            for page in self.pages:
                page.check()

    def _take(self, wait: float) -> int:
        """Everything that has arrived; gives how many packets of media."""
        count = 0
        data = self._buffer
        for descriptor, _ in self._epoll.poll(wait):
            page = self._by_descriptor[descriptor]
            receive = page.sock.recv_into
            now = time.monotonic()
            for _ in range(256):
                try:
                    length = receive(data)
                except (BlockingIOError, ConnectionRefusedError):
                    break
                if data[0] < 64:
                    if data[0] < 4:
                        page.answer(bytes(data[:length]))
                    continue
                kind = data[1] & 0x7F
                if kind == RTX or 64 <= kind <= 95:
                    continue  # a retransmission or padding; control
                count += 1
                page.received += 1
                if page.received % _SAMPLE == 0:
                    self._sample(page, length)
                if self._feedback and page.transport_cc and data[16] == TRANSPORT_CC << 4 | 1:
                    page.arrivals.note(data[17] << 8 | data[18], now)
        return count

    def _sample(self, page: Page, length: int) -> None:
        now = time.monotonic_ns()
        packet = page.inbound.unprotect(bytes(self._buffer[:length]))
        start = 12
        if packet[0] & 0x10:
            start += 4 + 4 * int.from_bytes(packet[14:16])
        page.ssrcs[packet[8:12]] = int.from_bytes(packet[2:4])
        stamp = _STAMP.unpack_from(packet, start + _STAMP_AT)[0]
        self._delays.append((now - stamp) / 1e9)
