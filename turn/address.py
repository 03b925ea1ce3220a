"""Transport addresses and address families as TURN counts them (RFC 8489 §14.1)."""

from __future__ import annotations

import socket
from enum import IntEnum
from typing import NamedTuple


class Family(IntEnum):
    """Address family numbers on the wire, the same in every STUN address attribute."""

    IPV4 = 1
    IPV6 = 2

    @property
    def socket_family(self) -> socket.AddressFamily:
        return socket.AF_INET if self is Family.IPV4 else socket.AF_INET6


class Address(NamedTuple):
    """A transport address: numeric host text and port.

    A tuple, so that what `recvfrom` gives for IPv4 equals and hashes like it without conversion.
    """

    host: str
    port: int


def family_of(host: str) -> Family:
    """The family of numeric host text."""
    return Family.IPV6 if ":" in host else Family.IPV4


def pack_host(host: str) -> bytes:
    """4 or 16 bytes of numeric host text; a zone (`%eth0`) is local and left out."""
    if ":" in host:
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return socket.inet_pton(socket.AF_INET, host)


def unpack_host(packed: bytes) -> str:
    """Numeric host text of 4 or 16 bytes, in the form the kernel itself prints."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
