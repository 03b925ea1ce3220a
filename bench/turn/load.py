"""The load: allocations with a channel each, and ChannelData through them, up and down.

One process that sends at a steady rate and takes what arrives in between; it times packets by a
stamp in their first eight bytes. Everything is loopback UDP.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.turn.servers import SECRET, Server
from turn.address import Address
from turn.attributes import Attribute
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.credentials import issue
from turn.relay_socket import UDP_SEGMENT, set_receive_buffer

CHANNEL = 0x4000
_TICK = 0.001
_STAMP = struct.Struct("!Q")
_HEADER = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: packets sent and received, CPU of the server, latency of a sample in seconds."""

    sent: int
    received: int
    seconds: float
    cpu_seconds: float
    latencies: tuple[float, ...]

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    @property
    def loss(self) -> float:
        return 1 - self.received / self.sent if self.sent else 0.0

    @property
    def cpu_per_packet(self) -> float:
        """Microseconds of server CPU for each packet it relayed."""
        return self.cpu_seconds / max(1, self.received) * 1e6

    def latency(self, share: float) -> float:
        """Microseconds at that share of the sample, 0 when there is none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6 if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Packets per second, for how long, and how many in one call."""

    rate: int
    seconds: float
    train: int


class Load:
    """`count` allocations on sockets of their own, all with a channel to one peer socket."""

    def __init__(self, server: Server, count: int, *, channels: bool = True) -> None:
        self.server = server
        self.clients: list[socket.socket] = []
        self.relayed: list[Address] = []
        self.peer = _udp()
        self.peer.bind(("127.0.0.1", 0))
        set_receive_buffer(self.peer, 16 << 20)
        self.peer_address = Address(*self.peer.getsockname())
        username, password = issue(SECRET, "bench", int(time.time()) + 3600)
        self._signers = [TurnClient(username, password, os.urandom) for _ in range(count)]
        for _ in range(count):
            sock = _udp()
            sock.bind(("127.0.0.1", 0))
            sock.connect(("127.0.0.1", server.port))
            set_receive_buffer(sock, 1 << 20)
            self.clients.append(sock)
        started = time.monotonic()
        cpu = server.cpu_seconds()
        self._all_ask("challenge")
        self._all_ask("allocate")
        self.allocating_seconds = time.monotonic() - started
        self.allocating_cpu = server.cpu_seconds() - cpu
        if channels:
            self._all_ask("channel")

    def _all_ask(self, step: str) -> None:
        """One request of every client, 32 under way at a time, sent again when unanswered."""
        everyone = list(range(len(self.clients)))
        for start in range(0, len(everyone), 32):
            requests = {i: self._request(i, step) for i in everyone[start : start + 32]}
            deadline = time.monotonic() + 10
            while requests:
                for index, request in requests.items():
                    self.clients[index].send(request)
                poll = select.poll()
                asking = {self.clients[index].fileno(): index for index in requests}
                for descriptor in asking:
                    poll.register(descriptor, select.POLLIN)
                while requests and (ready := poll.poll(500)):
                    for index in [asking[descriptor] for descriptor, _ in ready]:
                        data = self.clients[index].recv(2000)
                        if index in requests and data[8:20] == requests[index][8:20]:
                            self._take(index, data, step)
                            del requests[index]
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.server.name} does not answer ({step})")

    def _request(self, index: int, step: str) -> bytes:
        signer = self._signers[index]
        if step == "channel":
            return signer.channel_bind(CHANNEL, self.peer_address)
        return signer.allocate()

    def _take(self, index: int, data: bytes, step: str) -> None:
        answer = parse_answer(data)
        assert answer is not None
        if step == "challenge":
            self._signers[index].learn(answer)
            return
        if (code := error_code(answer)) is not None:
            raise RuntimeError(f"{self.server.name} refuses {step} with {code}")
        if step == "allocate":
            relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
            assert relayed is not None
            self.relayed.append(relayed)

    def close(self) -> None:
        for signer, sock in zip(self._signers, self.clients, strict=True):
            with contextlib.suppress(OSError):
                sock.send(signer.refresh(0))
                sock.close()
        self.peer.close()

    def up(self, rate: int, seconds: float, size: int, train: int = 1) -> Measured:
        """Clients to the peer, round robin over the allocations, `train` packets at a time."""
        body = bytearray(size)
        frame = bytearray(_HEADER.pack(CHANNEL, size)) + body
        segments = _segments(size + 4)

        def send(index: int, stamp: int) -> None:
            sock = self.clients[index % len(self.clients)]
            _STAMP.pack_into(frame, 4, stamp)
            if train == 1:
                sock.send(frame)
            else:
                sock.sendmsg([frame] * train, segments)

        pace = Pace(rate, seconds, train)
        return self._run(pace, send, [self.peer], stamp_at=0)

    def down(self, rate: int, seconds: float, size: int, train: int = 1) -> Measured:
        """The peer to the clients' relayed addresses."""
        body = bytearray(size)
        segments = _segments(size)

        def send(index: int, stamp: int) -> None:
            relayed = self.relayed[index % len(self.relayed)]
            _STAMP.pack_into(body, 0, stamp)
            if train == 1:
                self.peer.sendto(body, relayed)
            else:
                self.peer.sendmsg([body] * train, segments, 0, relayed)

        pace = Pace(rate, seconds, train)
        return self._run(pace, send, self.clients, stamp_at=4)

    def _run(
        self,
        pace: Pace,
        send: Callable[[int, int], None],
        receivers: list[socket.socket],
        *,
        stamp_at: int,
    ) -> Measured:
        rate, seconds, train = pace.rate, pace.seconds, pace.train
        buffer = bytearray(65536)
        epoll = select.epoll()
        by_descriptor = {sock.fileno(): sock for sock in receivers}
        for descriptor in by_descriptor:
            epoll.register(descriptor, select.EPOLLIN)
        latencies: list[float] = []
        sent = received = turn = 0

        def take(wait: float) -> int:
            count = 0
            for descriptor, _ in epoll.poll(wait, 64):
                receive = by_descriptor[descriptor].recv_into
                for _ in range(64):
                    try:
                        receive(buffer)
                    except BlockingIOError:
                        break
                    count += 1
                    if (received + count) % 64 == 0:
                        stamp = _STAMP.unpack_from(buffer, stamp_at)[0]
                        latencies.append((time.monotonic_ns() - stamp) / 1e9)
            return count

        take(0)
        cpu = self.server.cpu_seconds()
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            due = int(elapsed * rate) - sent
            # Never more than a few milliseconds' worth at once, however late we are.
            for _ in range(min(due, rate // 200) // train):
                with contextlib.suppress(BlockingIOError):
                    send(turn, time.monotonic_ns())
                    sent += train
                turn += 1
            received += take(max(0.0, _TICK - (time.monotonic() - started - elapsed)))
        taken = time.monotonic() - started
        last = time.monotonic()
        while received < sent and time.monotonic() - last < 0.3:
            if count := take(0.05):
                received += count
                last = time.monotonic()
        cpu = self.server.cpu_seconds() - cpu
        epoll.close()
        return Measured(sent, received, taken, cpu, tuple(latencies))

    def one_by_one(self, count: int, size: int, *, direct: bool = False) -> tuple[float, ...]:
        """Seconds each of `count` single packets takes from client to peer, or without a server
        between when `direct`; the wait for it is busy, so that only the way counts."""
        frame = bytearray(_HEADER.pack(CHANNEL, size)) + bytearray(size)
        buffer = bytearray(2048)
        sock = self.clients[0]
        source = _udp()
        latencies = []
        for _ in range(count):
            started = time.monotonic_ns()
            if direct:
                source.sendto(frame, self.peer_address)
            else:
                sock.send(frame)
            while True:
                try:
                    self.peer.recv_into(buffer)
                except BlockingIOError:
                    if time.monotonic_ns() - started > 100_000_000:
                        break
                else:
                    latencies.append((time.monotonic_ns() - started) / 1e9)
                    break
            time.sleep(0.0005)
        source.close()
        return tuple(latencies)


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def _segments(size: int) -> list[tuple[int, int, bytes]]:
    return [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
