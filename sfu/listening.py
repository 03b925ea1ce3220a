"""The sockets of a node, bound by whoever starts it, so that they outlive a process that fails."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from sfu.config import ConfigError, NodeConfig


@dataclass(frozen=True, slots=True)
class BoundSockets:
    """For each listening address a UDP socket and, where TCP is offered, a listening TCP socket."""

    port: int
    udp: tuple[socket.socket, ...]
    tcp: tuple[socket.socket, ...]

    def close(self) -> None:
        for sock in (*self.udp, *self.tcp):
            sock.close()


_TRIES = 8  # with port 0: the port that is free for UDP may not be for TCP


def bind_sockets(config: NodeConfig) -> BoundSockets:
    """Bind everything on one port; raises ConfigError."""
    for left in reversed(range(_TRIES)):
        made: list[socket.socket] = []
        try:
            port = config.port
            udp: list[socket.socket] = []
            tcp: list[socket.socket] = []
            for host in config.listen:
                udp.append(_bind(host, port, socket.SOCK_DGRAM, made))
                port = udp[-1].getsockname()[1]
                if config.tcp:
                    tcp.append(_bind(host, port, socket.SOCK_STREAM, made))
            return BoundSockets(port, tuple(udp), tuple(tcp))
        except OSError as error:
            for sock in made:
                sock.close()
            if config.port == 0 and left:
                continue
            raise ConfigError(
                f"the forwarder cannot listen on {host} port {port}: {error.strerror or error}"
            ) from error
    raise AssertionError("the last try returns or raises")


def _bind(host: str, port: int, kind: int, made: list[socket.socket]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    made.append(sock)
    sock.setblocking(False)
    if family == socket.AF_INET6:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock
