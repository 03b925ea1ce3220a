"""A simulated way between the room and a page: rate, queue, delay and loss; and the page's end of
it, which writes feedback and asks again for what is missing."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random

from sfu import rtcp
from sfu.interfaces import Extension
from sfu.rtp import RtpPacket, encode
from sfu.sequence import nearest16
from sfu.twcc import Arrivals
from tests.unit.sfu_world import (
    IDS,
    OPUS,
    VP8_RTX,
    Encoder,
    Page,
    World,
    simulcast,
)


class Link:
    """One direction. `rate` in bits per second (None: unlimited), `queue` in seconds at that rate,
    `delay` in seconds, `loss` a share. `deliver` is called with what arrives, at `world.now`."""

    def __init__(self, world: Simulation, deliver: Callable[[bytes], None]) -> None:
        self.world = world
        self.deliver = deliver
        self.rate: float | None = None
        self.queue = 0.3
        self.delay = 0.02
        self.loss = 0.0
        self.random = Random(7)
        self.busy_until = 0.0
        self.lost = 0

    def send(self, data: bytes) -> None:
        now = self.world.now
        if self.random.random() < self.loss:
            self.lost += 1
            return
        start = now
        if self.rate is not None:
            start = max(now, self.busy_until)
            if start - now > self.queue:
                self.lost += 1
                return
            start += (len(data) + 44) * 8 / self.rate
            self.busy_until = start
        self.world.at(start + self.delay, lambda: self.deliver(data))


class Simulation(World):
    """A world in which things happen at their times."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = itertools.count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (when, next(self.serial), what))

    def every(self, interval: float, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self.at(self.now + interval, again)

        self.at(self.now + interval, again)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            timer = self.room.next_timeout()
            event = self.events[0][0] if self.events else end
            if timer is not None and timer <= min(event, end):
                self.now = max(self.now, timer)
                self.room.handle_timer(self.now)
            elif self.events and event <= end:
                self.now, _, what = heapq.heappop(self.events)
                what()
            else:
                self.now = end
                return


class Camera:
    """A publisher: three layers at 30 frames a second and sound, key frames when asked."""

    RATES = (150_000, 500_000, 1_500_000)

    def __init__(self, world: Simulation, pid: str) -> None:
        self.world = world
        self.pid = pid
        self.page = world.pages[pid]
        self.encoders: list[Encoder] = simulcast()
        self.sound = 0
        self.deliver = lambda packet: world.room.receive_rtp(pid, packet, world.now)
        world.every(1 / 30, self.frame)
        world.every(0.02, self.speak)

    def frame(self) -> None:
        asked = {one.ssrc for one in self.page.rtcp if isinstance(one, rtcp.KeyFrameRequest)}
        for message in self.page.rtcp:
            if isinstance(message, rtcp.Nack):
                self.repeat(message)
        self.page.rtcp.clear()
        for encoder, rate in zip(self.encoders, self.RATES, strict=True):
            key = encoder.ssrc in asked or not encoder.frames
            octets = rate // 240 * (4 if key else 1)
            count = -(-octets // 1100)
            for packet in encoder.frame(count, key=key, size=octets // count):
                self.deliver(packet)

    def repeat(self, message: rtcp.Nack) -> None:
        for encoder in self.encoders:
            if encoder.ssrc != message.ssrc:
                continue
            for number in message.numbers:
                original = RtpPacket()
                if number in encoder.sent and original.parse(encoder.sent[number]):
                    payload = number.to_bytes(2, "big") + original.data[original.start :]
                    self.deliver(
                        encode(
                            VP8_RTX,
                            self.sound & 0xFFFF,
                            original.timestamp,
                            encoder.ssrc + 50,
                            payload,
                            marker=original.marker,
                            extensions=[(1, b"1"), (3, encoder.rid.encode())],
                        )
                    )

    def speak(self) -> None:
        self.sound += 1
        self.deliver(
            encode(
                OPUS,
                self.sound & 0xFFFF,
                960 * self.sound & 0xFFFFFFFF,
                0x77,
                bytes(80),
                extensions=[(1, b"0"), (6, bytes((30,)))],
            )
        )


class Viewer:
    """The page's end: notes what arrives on a link, writes feedback, asks for what is missing."""

    def __init__(self, world: Simulation, page: Page, *, rtx: dict[int, int]) -> None:
        """`rtx` maps the SSRC of a retransmission stream to that of its media."""
        self.world = world
        self.pid = page.pid
        self.link = Link(world, self.receive)
        page.on_packet = self.link.send
        self.rtx = rtx
        self.arrivals = Arrivals()
        self.got: dict[int, dict[int, tuple[float, bytes]]] = {}  # SSRC -> number -> payload
        self.highest: dict[int, int] = {}
        self.missing: dict[tuple[int, int], float] = {}
        self.octets = 0
        self.nacks = True
        world.every(0.05, self.feed_back)

    def receive(self, data: bytes) -> None:
        self.octets += len(data)
        packet = RtpPacket()
        assert packet.parse(data)
        number = packet.extension(IDS[Extension.TRANSPORT_CC])
        if number is not None:
            self.arrivals.note(int.from_bytes(number, "big"), self.world.now)
        ssrc, sequence, payload = packet.ssrc, packet.sequence, data[packet.start : packet.end]
        if ssrc in self.rtx:
            if len(payload) < 3:
                return
            ssrc, sequence = self.rtx[ssrc], int.from_bytes(payload[:2], "big")
            payload = payload[2:]
        got = self.got.setdefault(ssrc, {})
        highest = self.highest.setdefault(ssrc, sequence + 0xFFFF)
        extended = nearest16(sequence, highest)
        for jumped in range(highest + 1, min(extended, highest + 200)):
            self.missing[ssrc, jumped] = 0.0
        self.highest[ssrc] = max(highest, extended)
        self.missing.pop((ssrc, extended), None)
        got.setdefault(extended, (self.world.now, payload))

    def feed_back(self) -> None:
        now = self.world.now
        out = self.arrivals.feedback(1) or b""
        if self.nacks:
            due: dict[int, list[int]] = {}
            for (ssrc, number), at in list(self.missing.items()):
                if at - now < -0.15:
                    self.missing[ssrc, number] = now
                    due.setdefault(ssrc, []).append(number)
            for ssrc, numbers in due.items():
                if ssrc in self.rtx.values():
                    out += rtcp.nack(ssrc, sorted(numbers)[:200])
        if out:
            back = self.world.now + self.link.delay
            self.world.at(back, lambda: self.world.room.receive_rtcp(self.pid, out, self.world.now))
