"""A way by which a page reaches us: a remote address on our UDP socket, or a TCP connection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol

from sfu.allowance import Allowance

if TYPE_CHECKING:
    from sfu.connection import Connection
    from sfu.sdp.offer import IceCredentials

Remote = tuple[str, int] | tuple[str, int, int, int]
"""What the kernel gives for a source: (host, port), and two numbers more for IPv6."""

_CHECKS = (20.0, 60.0)  # per second and at once: ICE sends some 20 a second while it begins
# Bytes that an address may be sent for each that came from it, until it is known to take them, as
# QUIC has it (RFC 9000 §8.1).
_AMPLIFICATION: Final = 3


class Way(Protocol):
    """What a socket lends to a path. `is_stream`: whoever is there has shown it by connecting."""

    @property
    def is_stream(self) -> bool: ...

    def send(self, data: bytes | bytearray | memoryview, remote: Remote) -> None:
        """Send one datagram, or drop and count it; never raises."""

    def register(self, path: Path) -> None:
        """What comes from `path.remote` is `path.connection`'s from now on."""

    def forget(self, path: Path) -> None:
        """The path carries nothing any more; a TCP connection is closed."""


class Path:
    """One way of one page. It belongs to a connection once a check on it was valid.

    `heard` is when the last valid check came, in monotonic seconds, `spoken` the credentials it
    came with, ours and the page's; `nominated` whether one of them said that the page wants to use
    it. `consent` is until when media may be sent to it, `asked` what we asked there for it
    (`sfu.route`), and `credit` the bytes it may be sent before.
    """

    __slots__ = (
        "asked", "checks", "connection", "consent", "credit", "heard", "nominated", "remote",
        "spoken", "way",
    )  # fmt: skip

    def __init__(self, way: Way, remote: Remote, now: float) -> None:
        self.way = way
        self.remote = remote
        self.connection: Connection | None = None
        self.heard = 0.0
        self.nominated = False
        self.spoken: tuple[IceCredentials, IceCredentials] | None = None
        self.consent = math.inf if way.is_stream else 0.0
        self.asked: list[bytes] = []
        self.credit = 0
        self.checks = Allowance(*_CHECKS, now)

    def release(self) -> None:
        """It is nobody's now. What its page has shown there is no word of whose it is next."""
        self.connection = None
        self.nominated = False
        self.consent = math.inf if self.way.is_stream else 0.0
        self.asked.clear()
        self.credit = 0

    def earn(self, length: int) -> None:
        """So many bytes have come that are worth an answer."""
        self.credit += _AMPLIFICATION * length

    def may_send(self, length: int, now: float) -> bool:
        """Whether so many bytes may be sent that are not media; they are taken from the credit."""
        if self.consent > now:
            return True
        if self.credit < length:
            return False
        self.credit -= length
        return True

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self.way.send(data, self.remote)
