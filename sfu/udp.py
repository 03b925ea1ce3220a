"""The UDP socket that all pages of a node share."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Final

from sfu.counters import TransportCounters
from sfu.gate import Gate
from sfu.path import Path, Remote
from sfu.srtp import PacketBuffer

_BATCH: Final = 64  # datagrams per wake-up; then timers and requests get their turn
_KERNEL_BUFFER: Final = 4 << 20  # asked for, bytes; a key frame of everybody at once fits


class UdpSocket:
    """A bound socket and what is known of the addresses that write to it; `sfu.path.Way` for them.

    Paths are as many as the connections allow (`sfu.connection.MAX_PATHS` each); what is not on a
    path costs nothing that stays.
    """

    is_stream: Final = False

    def __init__(
        self,
        sock: socket.socket,
        gate: Gate,
        inbox: PacketBuffer,
        counters: TransportCounters,
        monotonic: Callable[[], float],
    ) -> None:
        self.sock = sock
        self._gate = gate
        self._data = inbox.data
        self._counters = counters
        self._monotonic = monotonic
        self._paths: dict[Remote, Path] = {}
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, _KERNEL_BUFFER)

    def drain(self) -> None:
        """Take what has come, a batch at most; for the event loop's reader."""
        receive, data, paths = self.sock.recvfrom_into, self._data, self._paths
        gate, counters, monotonic = self._gate, self._counters, self._monotonic
        for _ in range(_BATCH):
            try:
                length, remote = receive(data)
            except BlockingIOError:
                return
            except OSError:
                # What the network says of a datagram sent earlier comes here, too.
                counters.drop("receive_error")
                continue
            counters.datagrams_in += 1
            counters.bytes_in += length
            path = paths.get(remote)
            if path is not None:
                gate.receive(path, length, monotonic())
            else:
                gate.receive_stranger(self, remote, length, monotonic())

    def send(self, data: bytes | bytearray | memoryview, remote: Remote) -> None:
        try:
            size = self.sock.sendto(data, remote)
        except BlockingIOError:
            self._counters.drop("socket_full")
        except OSError:
            self._counters.drop("send_error")
        else:
            self._counters.datagrams_out += 1
            self._counters.bytes_out += size

    def register(self, path: Path) -> None:
        self._paths[path.remote] = path

    def forget(self, path: Path) -> None:
        if self._paths.get(path.remote) is path:
            del self._paths[path.remote]
