"""ICE over TCP, where networks let no UDP through: we are the passive side (RFC 6544 §4.1)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

from sfu.counters import TransportCounters
from sfu.framing import BrokenStreamError, Framer, frame
from sfu.gate import Gate
from sfu.path import Path, Remote
from sfu.srtp import PacketBuffer

# Bytes unsent here and in the kernel, beyond which media is dropped, as on a slow link: at
# 500 kbit/s they are two seconds, and what waits longer is of no use to a conversation.
_SLOW: Final = 64 * 1024
_KERNEL_BUFFER: Final = 32 * 1024  # the kernel makes it twice that
_UNPROVEN_SECONDS: Final = 10.0  # to the first valid check
_FRAME_SECONDS: Final = 10.0  # for a frame once its first byte has come
_BACKLOG: Final = 128


class TcpListener:
    """Accepts streams on a listening socket; a stream more than the bounds is closed at once.

    `settle` is called after whatever a stream's data may have led to.
    """

    def __init__(
        self,
        sock: socket.socket,
        gate: Gate,
        inbox: PacketBuffer,
        counters: TransportCounters,
        monotonic: Callable[[], float],
        *,
        settle: Callable[[], None],
        streams: int,
        streams_per_address: int,
    ) -> None:
        self.sock = sock
        self.gate = gate
        self.inbox = inbox
        self.counters = counters
        self.monotonic = monotonic
        self.settle = settle
        self._bound = streams
        self._bound_per_address = streams_per_address
        self._server: asyncio.Server | None = None
        self._streams: set[TcpStream] = set()
        self._hosts: Counter[str] = Counter()

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: TcpStream(self), sock=self.sock, backlog=_BACKLOG
        )

    def __len__(self) -> int:
        return len(self._streams)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for stream in list(self._streams):
            stream.abort()
        await asyncio.sleep(0)  # connection_lost is called by the loop's next turn

    def sweep(self, now: float) -> None:
        """End streams that prove nothing, or whose frame never ends; about once a second."""
        for stream in list(self._streams):
            if stream.overdue(now):
                self.counters.drop("tcp_overdue")
                stream.abort()

    def opened(self, stream: TcpStream, host: str) -> bool:
        """Whether there is room for one more."""
        if (
            len(self._streams) >= self._bound
            or self._hosts[_network(host)] >= self._bound_per_address
        ):
            self.counters.drop("tcp_too_many")
            return False
        self._streams.add(stream)
        self._hosts[_network(host)] += 1
        return True

    def closed(self, stream: TcpStream, host: str) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            network = _network(host)
            self._hosts[network] -= 1
            if not self._hosts[network]:
                del self._hosts[network]


class TcpStream(asyncio.Protocol):
    """One stream of one page: a path of its own, and the way it goes by."""

    is_stream: Final = True

    def __init__(self, listener: TcpListener) -> None:
        self._listener = listener
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._path: Path | None = None
        self._proven = False
        self._since = listener.monotonic()
        self._frame_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        remote = cast(Remote, transport.get_extra_info("peername") or ("", 0))
        self._path = Path(self, remote, self._since)
        if not self._listener.opened(self, remote[0]):
            self.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._path is None:
            return
        self._listener.closed(self, self._path.remote[0])
        if self._path.connection is not None:
            self._path.connection.lose_path(self._path, self._listener.monotonic())

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        try:
            self._receive(data)
        finally:
            self._listener.settle()

    def _receive(self, data: bytes) -> None:
        listener, path = self._listener, self._path
        assert path is not None
        counters, inbox = listener.counters, listener.inbox
        completed = False
        try:
            for datagram in self._framer.feed(data):
                if self._transport is None:
                    return
                completed = True
                counters.datagrams_in += 1
                counters.bytes_in += len(datagram)
                inbox.view[: len(datagram)] = datagram
                listener.gate.receive(path, len(datagram), listener.monotonic())
                if not self._proven:
                    # Nobody begins with anything but a valid check.
                    self.abort()
                    return
        except BrokenStreamError:
            counters.drop("tcp_broken")
            self.abort()
            return
        if not self._framer.pending:
            self._frame_since = 0.0
        elif completed or not self._frame_since:  # of the frame that has begun now
            self._frame_since = listener.monotonic()

    def overdue(self, now: float) -> bool:
        if self._frame_since and now - self._frame_since > _FRAME_SECONDS:
            return True
        return not self._proven and now - self._since > _UNPROVEN_SECONDS

    def send(self, data: bytes | bytearray | memoryview, remote: Remote) -> None:
        transport, counters = self._transport, self._listener.counters
        if transport is None or transport.is_closing():
            counters.drop("send_error")
        elif transport.get_write_buffer_size() > _SLOW:
            counters.drop("tcp_slow")
        else:
            transport.write(frame(data))
            counters.datagrams_out += 1
            counters.bytes_out += len(data)

    def register(self, path: Path) -> None:
        self._proven = True

    def forget(self, path: Path) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


def _network(host: str) -> str:
    """Whom a bound is for: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return packed[:8].hex()
