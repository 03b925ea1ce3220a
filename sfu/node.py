"""A node in the caller's event loop: sockets, timers, and the forwarder between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from sfu.certificate import make_certificate
from sfu.clock import Clock
from sfu.config import NodeConfig
from sfu.connection import Workshop
from sfu.control import Event, NodeLoad, Request, Result
from sfu.counters import TransportCounters
from sfu.dtls import server_context
from sfu.forwarder import Forwarder
from sfu.interfaces import BUFFER_SIZE, ForwardingRoom
from sfu.listening import BoundSockets, bind_sockets
from sfu.metrics import Stats
from sfu.room import Room
from sfu.sdp.answer import Endpoint
from sfu.srtp import PacketBuffer
from sfu.tcp import TcpListener
from sfu.udp import UdpSocket

_SWEEP_SECONDS: Final = 1.0
_INBOX: Final = 65_536 + 256  # bytes: the longest datagram there is, and room to work in


class SfuNode:
    """`start`, `handle` requests, then `stop`. `on_event` is called from the event loop.

    `random` gives n unpredictable bytes. Without `sockets` the node binds its own and closes them.
    Starting raises `sfu.config.ConfigError`.
    """

    def __init__(
        self,
        config: NodeConfig,
        clock: Clock,
        random: Callable[[int], bytes],
        on_event: Callable[[Event], None],
        *,
        sockets: BoundSockets | None = None,
    ) -> None:
        config.validate()
        self._config = config
        self._clock = clock
        self._random = random
        self._on_event = on_event
        self._own_sockets = sockets is None
        self._sockets = sockets
        self._counters = TransportCounters()
        self._outbox = PacketBuffer(bytearray(BUFFER_SIZE))
        self._forwarder: Forwarder | None = None
        self._udp: list[UdpSocket] = []
        self._tcp: list[TcpListener] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._sweeping: asyncio.TimerHandle | None = None
        self._load = _LoadMeter(clock)

    @property
    def port(self) -> int:
        """The port that is listened on, also where the kernel chose it."""
        assert self._sockets is not None, "the node has not been started"
        return self._sockets.port

    async def start(self) -> None:
        loop, config = asyncio.get_running_loop(), self._config
        if self._sockets is None:
            self._sockets = bind_sockets(config)
        certificate = make_certificate(self._clock.wall(), self._random)
        shop = Workshop(
            server_context(certificate),
            self._counters,
            inbox=PacketBuffer(bytearray(_INBOX)),
            rtp_outbox=self._outbox,
            rtcp_outbox=PacketBuffer(bytearray(BUFFER_SIZE)),
            random=self._random,
        )
        endpoints = tuple(Endpoint(host, self.port, config.tcp) for host in config.shown)
        self._forwarder = Forwarder(
            config.bounds, shop, self._make_room, endpoints, certificate.fingerprint
        )
        monotonic, gate = self._clock.monotonic, self._forwarder.gate
        for sock in self._sockets.udp:
            udp = UdpSocket(sock, gate, shop.inbox, self._counters, monotonic)
            loop.add_reader(sock, self._drain, udp)
            self._udp.append(udp)
        for sock in self._sockets.tcp:
            tcp = TcpListener(
                sock,
                gate,
                shop.inbox,
                self._counters,
                monotonic,
                settle=self._settle,
                streams=config.bounds.streams,
                streams_per_address=config.bounds.streams_per_address,
            )
            await tcp.start()
            self._tcp.append(tcp)
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def handle(self, request: Request) -> Result:
        """Carry out one request; what it leads to is told to `on_event` after this returns."""
        assert self._forwarder is not None, "the node has not been started"
        result = self._forwarder.handle(request, self._clock.monotonic())
        asyncio.get_running_loop().call_soon(self._settle)
        return result

    async def stop(self) -> None:
        """End every connection and close what was opened; does nothing the second time."""
        for handle in (self._timer, self._sweeping):
            if handle is not None:
                handle.cancel()
        if self._forwarder is not None:
            self._forwarder.close(self._clock.monotonic())
        loop = asyncio.get_running_loop()
        for udp in self._udp:
            loop.remove_reader(udp.sock)
        for tcp in self._tcp:
            await tcp.stop()
        self._udp, self._tcp = [], []
        if self._own_sockets and self._sockets is not None:
            self._sockets.close()

    def stats(self) -> Stats:
        counters, forwarder = self._counters, self._forwarder
        stats = Stats(
            streams=sum(len(tcp) for tcp in self._tcp),
            requests=dict(counters.requests),
            connections=dict(counters.connections),
            dropped=dict(counters.dropped),
            datagrams={"in": counters.datagrams_in, "out": counters.datagrams_out},
            bytes={"in": counters.bytes_in, "out": counters.bytes_out},
        )
        if forwarder is not None:
            stats.rooms, stats.participants = forwarder.rooms, forwarder.participants
            stats.draining = forwarder.draining
            stats.media = forwarder.media()
            for why, count in forwarder.dropped().items():
                stats.dropped[why] = stats.dropped.get(why, 0) + count
        return stats

    def _make_room(self) -> ForwardingRoom:
        return Room(self._outbox.data, self._random, self._config.bounds.room)

    # The event loop's turns

    def _drain(self, udp: UdpSocket) -> None:
        udp.drain()
        self._settle()

    def _settle(self) -> None:
        """After anything that happened: tell what is to be told, and set the timer."""
        forwarder = self._forwarder
        assert forwarder is not None
        for event in forwarder.events():
            self._on_event(event)
        upcoming = forwarder.next_timeout()
        if upcoming is None or (self._timer is not None and self._timer_at <= upcoming):
            # A timer that comes early finds nothing due and is set anew.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = upcoming
        wait = max(0.0, upcoming - self._clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        assert self._forwarder is not None
        self._timer = None
        try:
            self._forwarder.handle_timer(self._clock.monotonic())
        finally:
            self._settle()

    def _sweep(self) -> None:
        assert self._forwarder is not None
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
        now = self._clock.monotonic()
        self._forwarder.sweep(now)
        for tcp in self._tcp:
            tcp.sweep(now)
        self._settle()
        self._on_event(self._load.measure(self._forwarder, self._counters))


class _LoadMeter:
    """Rates between two looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()
        self._cpu = clock.cpu()
        self._in = self._out = 0

    def measure(self, forwarder: Forwarder, counters: TransportCounters) -> NodeLoad:
        now, cpu = self._clock.monotonic(), self._clock.cpu()
        passed = max(now - self._at, 1e-3)
        load = NodeLoad(
            rooms=forwarder.rooms,
            participants=forwarder.participants,
            packets_in=round((counters.datagrams_in - self._in) / passed, 1),
            packets_out=round((counters.datagrams_out - self._out) / passed, 1),
            cpu=round((cpu - self._cpu) / passed, 3),
            draining=forwarder.draining,
        )
        self._at, self._cpu = now, cpu
        self._in, self._out = counters.datagrams_in, counters.datagrams_out
        return load
