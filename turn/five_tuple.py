"""The five-tuple that names a client's flow, and with it an allocation (RFC 8656 §3.2)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from turn.address import Address


class Transport(Enum):
    """How a client talks to the server; the relay talks UDP to peers whatever this is."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def proven(self) -> bool:
        """Whether a handshake has shown that the client's source address is its own."""
        return self is not Transport.UDP


class FiveTuple(NamedTuple):
    """Client address, server address and transport."""

    transport: Transport
    client: Address
    server: Address
