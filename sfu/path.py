"""A way by which a page reaches us: a remote address on our UDP socket, or a TCP connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sfu.allowance import Allowance

if TYPE_CHECKING:
    from sfu.connection import Connection

Remote = tuple[str, int] | tuple[str, int, int, int]
"""What the kernel gives for a source: (host, port), and two numbers more for IPv6."""

_CHECKS = (20.0, 60.0)  # per second and at once: ICE sends some 20 a second while it begins


class Way(Protocol):
    """What a socket lends to a path."""

    def send(self, data: bytes | bytearray | memoryview, remote: Remote) -> None:
        """Send one datagram, or drop and count it; never raises."""

    def register(self, path: Path) -> None:
        """What comes from `path.remote` is `path.connection`'s from now on."""

    def forget(self, path: Path) -> None:
        """The path carries nothing any more; a TCP connection is closed."""


class Path:
    """One way of one page. It belongs to a connection once a check on it was valid.

    `heard` is when the last valid check came, in monotonic seconds; `nominated` whether one of them
    said that the page wants to use it.
    """

    __slots__ = ("checks", "connection", "heard", "nominated", "remote", "way")

    def __init__(self, way: Way, remote: Remote, now: float) -> None:
        self.way = way
        self.remote = remote
        self.connection: Connection | None = None
        self.heard = 0.0
        self.nominated = False
        self.checks = Allowance(*_CHECKS, now)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self.way.send(data, self.remote)
