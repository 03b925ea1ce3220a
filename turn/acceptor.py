"""Accepts TCP and TLS connections within bounds, and ends those that lead nowhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from turn.address import Address
from turn.config import Limits
from turn.connection import Connection, ConnectionOwner
from turn.five_tuple import FiveTuple, Transport
from turn.listening import BoundListener
from turn.quotas import SourceBuckets, source_of
from turn.tls import TlsLayer

# Accepted per wake-up; the rest waits in the kernel's queue. A TLS handshake takes the processor
# for up to a millisecond, in which no packet moves.
_ACCEPT_BATCH = {Transport.TCP: 64, Transport.TLS: 4}


class Acceptor:
    """All stream connections of a process, counted from the moment they are accepted.

    A connection in its TLS handshake counts like any other: were it free until it is proven
    useful, ten thousand half-open ones would cost as much as they like.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        limits: Limits,
        context: ssl.SSLContext | None,
        monotonic: Callable[[], float],
        refuse: Callable[[str], None],
        *,
        salt: bytes,
    ) -> None:
        self.connections: dict[FiveTuple, Connection] = {}
        self.context = context
        self._owner = owner
        self._limits = limits
        self._monotonic = monotonic
        self._refuse = refuse
        self._listeners: list[socket.socket] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._open = 0
        self._sources: Counter[bytes] = Counter()
        self._handshakes = SourceBuckets(
            limits.handshakes_per_address, limits.handshake_burst, salt
        )

    @property
    def open(self) -> int:
        """Connections accepted and not yet gone."""
        return self._open

    def listen(self, bound: BoundListener) -> None:
        """Accept on a listening socket until `stop_listening`."""
        loop = asyncio.get_running_loop()
        loop.add_reader(bound.sock, self._accept, bound)
        self._listeners.append(bound.sock)

    def stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._listeners:
            loop.remove_reader(sock)
        self._listeners.clear()

    async def close(self) -> None:
        """End every connection."""
        self.stop_listening()
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for connection in list(self.connections.values()):
            connection.abort()
        await asyncio.sleep(0)  # connection_lost is called by the loop's next turn

    def sweep(self, now: float) -> None:
        """End connections whose handshake or frame never ends, those without an allocation for
        too long, and those that end and whose client does not read what is left for it.

        Called about once a second; a timer of its own for each would cost more than this.
        """
        frame_limit = now - self._limits.handshake_seconds
        idle_limit = now - self._limits.idle_seconds
        for connection in list(self.connections.values()):
            if connection.ended:
                if connection.ended < frame_limit:
                    connection.abort()
            elif connection.frame_began and connection.frame_began < frame_limit:
                self._refuse("slow_frame" if connection.established else "handshake_failed")
                connection.abort()
            elif connection.without_allocation and connection.without_allocation < idle_limit:
                self._refuse("idle_connection")
                connection.close()

    def opened(self, connection: Connection) -> None:
        self.connections[connection.flow] = connection

    def closed(self, connection: Connection) -> None:
        if self.connections.get(connection.flow) is connection:
            del self.connections[connection.flow]
        self._release(connection.flow.client.host)

    def _accept(self, bound: BoundListener) -> None:
        for _ in range(_ACCEPT_BATCH[bound.transport]):
            try:
                sock, peer = bound.sock.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors, or gone before we came
                self._refuse("accept_failed")
                return
            client = Address(peer[0], peer[1])
            source = source_of(client.host)
            if (
                self._open >= self._limits.connections
                or self._sources[source] >= self._limits.connections_per_address
            ):
                self._refuse("connection_quota")
                sock.close()
                continue
            if bound.transport is Transport.TLS and not self._handshakes.take(
                client.host, 1, self._monotonic()
            ):
                self._refuse("handshake_rate")
                sock.close()
                continue
            self._open += 1
            self._sources[source] += 1
            task = asyncio.create_task(self._start(sock, bound, client))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self, sock: socket.socket, bound: BoundListener, client: Address) -> None:
        """Hand the socket to the event loop as a connection."""
        connection: Connection | None = None
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = Address(sock.getsockname()[0], bound.address.port)
            flow = FiveTuple(bound.transport, client, server)
            secure = self.context if bound.transport is Transport.TLS else None
            tls = TlsLayer(secure) if secure is not None else None
            made = Connection(self._owner, flow, self._monotonic, tls)
            connection = made
            await asyncio.get_running_loop().connect_accepted_socket(lambda: made, sock)
        except OSError:  # the client has gone already
            self._refuse("accept_failed")
        finally:
            if connection is None or not connection.opened:
                sock.close()
                self._release(client.host)

    def _release(self, host: str) -> None:
        source = source_of(host)
        self._open -= 1
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
