"""Ports for programs that cannot choose one themselves and say which."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

# Below those that the kernel gives to whoever connects (ip_local_port_range begins at 32768): among
# these, a port that was free a moment ago may be the near end of any connection of another test.
_FROM: Final = 20_000
_TO: Final = 32_000


def free_port() -> int:
    """A port that nobody has, for UDP nor TCP, in no family."""
    while True:
        port = random.randrange(_FROM, _TO)
        with contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    with socket.socket(family, kind) as probe:
                        if family == socket.AF_INET6:
                            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        probe.bind((host, port))
            return port
