"""Relay sockets: how they are bound, and the ICMP errors the kernel keeps for them (Linux)."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

from turn.address import Address, Family

# Not in Python's socket module; the numbers are Linux ABI.
UDP_SEGMENT = 103
UDP_GRO = 104
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_PMTUDISC_DONT, _PMTUDISC_DO = 0, 2
_MSG_ERRQUEUE = 0x2000
_SO_RCVBUFFORCE = 33
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
# The errors RFC 8656 §11.5 wants told: unreachable, time exceeded and, for IPv6, too big.
_REPORTED = {_ORIGIN_ICMP: (3, 11), _ORIGIN_ICMP6: (1, 2, 3)}
# Those whose data is a next-hop MTU: fragmentation needed, packet too big.
_WITH_MTU = {(_ORIGIN_ICMP, 3, 4), (_ORIGIN_ICMP6, 2, 0)}

# A tenth of a second of 60,000 packets per second; the kernel counts about 2.3 kB for each.
RECEIVE_BUFFER = 14 * 1024 * 1024


def set_receive_buffer(sock: socket.socket, size: int = RECEIVE_BUFFER) -> None:
    """As large as asked where we may (CAP_NET_ADMIN), else up to `net.core.rmem_max`."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def enable_gro(sock: socket.socket) -> None:
    """Take trains of equal datagrams of one flow in one call, where the kernel can (5.0)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)


def open_relay_socket(family: Family, host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket that fragments (RFC 8656 §15) and keeps ICMP errors."""
    sock = socket.socket(family.socket_family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if sys.platform == "linux":
            _fragment(sock, family, _PMTUDISC_DONT)
            if family is Family.IPV4:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        if family is Family.IPV6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        enable_gro(sock)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def send_unfragmented(
    sock: socket.socket, family: Family, payload: bytes, peer: tuple[str, int]
) -> None:
    """Send with DF set, as DONT-FRAGMENT asks (RFC 8656 §11.2); raises OSError."""
    if sys.platform != "linux":
        sock.sendto(payload, peer)
        return
    _fragment(sock, family, _PMTUDISC_DO)
    try:
        sock.sendto(payload, peer)
    finally:
        _fragment(sock, family, _PMTUDISC_DONT)


def _fragment(sock: socket.socket, family: Family, mode: int) -> None:
    if family is Family.IPV4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, mode)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, mode)


def read_icmp_errors(sock: socket.socket) -> list[tuple[Address, bytes]]:
    """Peers that could not be reached, each with the value of an ICMP attribute (§18.13).

    At most 32 at a time; the kernel keeps the rest, within the socket's buffer.
    """
    errors: list[tuple[Address, bytes]] = []
    for _ in range(32):
        try:
            _, ancillary, _, peer = sock.recvmsg(1, 256, _MSG_ERRQUEUE)
        except OSError:
            break
        for level, kind, data in ancillary:
            wanted = (level, kind) in (
                (socket.IPPROTO_IP, _IP_RECVERR),
                (socket.IPPROTO_IPV6, _IPV6_RECVERR),
            )
            if not wanted or len(data) < _EXTENDED_ERROR.size:
                continue
            _, origin, icmp_type, code, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
            if icmp_type not in _REPORTED.get(origin, ()):
                continue
            mtu = info if (origin, icmp_type, code) in _WITH_MTU else 0
            # Sixteen reserved bits, seven of type, nine of code, and the data.
            value = struct.pack("!HHI", 0, icmp_type << 9 | code, mtu)
            errors.append((Address(peer[0], peer[1]), value))
    return errors
