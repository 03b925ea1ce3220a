"""Accepts connections by hand, so that each is counted before it has cost anything.

An event loop's own server hands a connection over when its TLS handshake is complete. Until then
nobody would count it, and thousands of half handshakes would take every file the process may have
open, those for Redis and the relay included.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from signaling.door import Door
from signaling.seats import Full, Seat, Seats
from signaling.tasks import Tasks

BACKLOG: Final = 4096
"""Connections not yet accepted; the kernel makes further ones wait."""

HANDSHAKE_S: Final = 10.0
HURRIED_HANDSHAKE_S: Final = 3.0
"""What a TLS handshake may take, and what it may where few seats are left."""

# Accepted per wake-up, so that those who are connected get their turn; and with those who have gone
# again, who cost little.
_BATCH: Final = 16
_MOST: Final = 128
_PAUSE_S: Final = 0.5
_ESTABLISHED: Final = 1

# accept(2): errors of the connection that was to be accepted, which is gone.
_GONE: Final = frozenset(
    {
        errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.ENETDOWN,
        errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EOPNOTSUPP,
    }
)  # fmt: skip

_log = logging.getLogger(__name__)


class Acceptor:
    """All listening sockets of a node."""

    def __init__(
        self,
        seats: Seats,
        door: Callable[[Seat], Door],
        *,
        tls: ssl.SSLContext | None,
        refused: Callable[[str], None],
    ) -> None:
        """`door` makes the protocol of a connection, which leaves the seat at its end; `refused` is
        told, in one of the words of `metrics.REFUSALS`, of each connection that came to nothing."""
        self._seats = seats
        self._door = door
        self._tls = tls
        self._refused = refused
        self._listeners: list[socket.socket] = []
        self._paused: asyncio.TimerHandle | None = None
        self._failing = False  # told, and nothing accepted since
        self._starting = Tasks()  # one for each seat at most

    def listen(self, listener: socket.socket) -> None:
        """Accept on a bound TCP socket until `stop_listening`, which closes it."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._listeners.append(listener)
        self._resume()

    def stop_listening(self) -> None:
        """Take no more: further ones are refused by the kernel, and go elsewhere at once."""
        self._pause()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self) -> None:
        """End handshakes under way, too."""
        self.stop_listening()
        await self._starting.stop()

    def _accept(self, listener: socket.socket) -> None:
        begun = 0
        for _ in range(_MOST):
            if begun == _BATCH:
                return
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._refused("accept_failed")
                if error.errno in _GONE:
                    continue
                # Out of files or memory: the connection stays in the kernel's queue, and the loop
                # would call us for it without end.
                if not self._failing:
                    self._failing = True
                    reason = errno.errorcode.get(error.errno or 0, "")
                    _log.warning("accept_failed", extra={"reason": reason})
                self._pause()
                self._paused = asyncio.get_running_loop().call_later(_PAUSE_S, self._resume)
                return
            self._failing = False
            # Not the first: where nobody has to wait, a client may close its side and still read.
            if begun and _has_left(sock):
                self._refused("left")
                sock.close()
                continue
            begun += 1
            seat = self._seats.take(str(peer[0]))
            if isinstance(seat, Full):
                self._refused(seat.value)
                sock.close()
            else:
                limit = HURRIED_HANDSHAKE_S if seat.crowded else HANDSHAKE_S
                self._starting.spawn(self._start(sock, seat, limit))

    async def _start(self, sock: socket.socket, seat: Seat, limit: float) -> None:
        """Hand the socket to the event loop; a handshake may take `limit` seconds."""
        door = self._door(seat)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: door,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else limit,
            )
        except OSError:  # no handshake, or the client has gone already
            self._refused("handshake")
        finally:
            if not door.opened:
                sock.close()
                seat.leave()

    def _pause(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)

    def _resume(self) -> None:
        self._paused = None
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)


def _has_left(sock: socket.socket) -> bool:
    """Whether the other end has closed before it was accepted.

    Those who give up quickly and come again would else fill the queue with connections that are
    dead by the time they are accepted, and everybody would wait behind the work for these.
    """
    # The first octet of Linux' struct tcp_info is the state.
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
