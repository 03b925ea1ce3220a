"""SRTP and SRTCP by libsrtp, in place (RFC 3711, RFC 7714).

pylibsrtp copies every packet twice; here its functions are called on the buffers that datagrams are
received into and sent from. This is the only module that knows libsrtp.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

MAX_TRAILER: Final = 148  # libsrtp's SRTP_MAX_SRTCP_TRAILER_LEN, the longest there is
_WINDOW: Final = 1024  # packets; retransmissions and reordering within a second of video fit

_REASONS: Final = {7: "srtp_bad_tag", 9: "srtp_replayed", 10: "srtp_replayed"}


@dataclass(frozen=True, slots=True)
class Profile:
    """An SRTP protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2); lengths in bytes."""

    name: bytes
    number: int
    key_length: int
    salt_length: int

    @property
    def material(self) -> int:
        """Bytes of keying material for both directions."""
        return 2 * (self.key_length + self.salt_length)


# GCM takes about half the time of the counter mode; the longer key comes first as it costs nothing.
PROFILES: Final = (
    Profile(b"SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    Profile(b"SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    Profile(b"SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
)
PROFILE_BY_NAME: Final = {profile.name: profile for profile in PROFILES}


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What a DTLS handshake agreed on: the client's and the server's key with salt."""

    profile: Profile
    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


def split_material(profile: Profile, material: bytes) -> SrtpKeys:
    """Cut exported keying material as RFC 5764 §4.2 orders it."""
    key, salt = profile.key_length, profile.salt_length
    salts = material[2 * key :]
    return SrtpKeys(
        profile,
        client=material[:key] + salts[:salt],
        server=material[key : 2 * key] + salts[salt : 2 * salt],
    )


class PacketBuffer:
    """A buffer that packets are protected in, in place, from its start on.

    `data` must never change its size; `limit` is the longest plain packet it has room for.
    """

    __slots__ = ("data", "limit", "pointer", "view")

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.view = memoryview(data)
        self.limit = len(data) - MAX_TRAILER
        self.pointer: Any = ffi.from_buffer(data)


class SrtpSession:
    """Both directions of one connection, as the DTLS server or, with `client`, as the client.

    The functions give the new length, or a negative number whose meaning `reason` tells.
    """

    __slots__ = ("_inbound", "_length", "_outbound")

    def __init__(self, keys: SrtpKeys, *, client: bool = False) -> None:
        mine, theirs = (keys.client, keys.server) if client else (keys.server, keys.client)
        # A packet sent twice under one number is refused: with GCM it would give the key away
        # as soon as one header byte differs.
        self._outbound = Session(_policy(keys.profile, mine, Policy.SSRC_ANY_OUTBOUND))
        self._inbound = Session(_policy(keys.profile, theirs, Policy.SSRC_ANY_INBOUND))
        self._length: Any = ffi.new("int *")

    def unprotect_rtp(self, buffer: PacketBuffer, length: int) -> int:
        return self._process(lib.srtp_unprotect, self._inbound, buffer, length)

    def unprotect_rtcp(self, buffer: PacketBuffer, length: int) -> int:
        return self._process(lib.srtp_unprotect_rtcp, self._inbound, buffer, length)

    def protect_rtcp(self, buffer: PacketBuffer, length: int) -> int:
        return self._process(lib.srtp_protect_rtcp, self._outbound, buffer, length)

    def rtp_protector(self, buffer: PacketBuffer) -> Callable[[int], int]:
        """`protect(length)` for this buffer, with everything looked up beforehand: it is called
        for every packet to every receiver."""
        protect, length_p = lib.srtp_protect, ffi.new("int *")
        context, pointer, limit = self._outbound._srtp[0], buffer.pointer, buffer.limit
        # The context is the session's, which must not go before the function does.
        session = self._outbound

        def protect_rtp(length: int, _session: Session = session) -> int:
            if length > limit:
                return -1
            length_p[0] = length
            status: int = protect(context, pointer, length_p)
            return int(length_p[0]) if status == 0 else -status

        return protect_rtp

    def end_outbound(self, ssrc: int) -> None:
        """Forget a stream that is not sent on any more; nothing happens if it never was."""
        lib.srtp_remove_stream(self._outbound._srtp[0], socket.htonl(ssrc))

    def _process(
        self, function: Callable[..., int], session: Session, buffer: PacketBuffer, length: int
    ) -> int:
        if length > buffer.limit:
            return -1
        self._length[0] = length
        status = function(session._srtp[0], buffer.pointer, self._length)
        return int(self._length[0]) if status == 0 else -status


def reason(result: int) -> str:
    """A word for a negative result, to count by."""
    return _REASONS.get(-result, "srtp_malformed")


def _policy(profile: Profile, key: bytes, direction: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.number)
    policy.window_size = _WINDOW
    return policy
