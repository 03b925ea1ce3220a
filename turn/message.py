"""The STUN message codec (RFC 8489 §5 and §14); why not `aioice.stun`: docs/adr/0010-turn-codec.md.

Parsing never raises: it gives a `Message`, or a `Malformed` that says what was wrong. A parsed
message shows only attributes that its integrity attribute covers; what an attacker on the path
appends behind it does not exist for the rest of the server (RFC 8489 §14.5).
"""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from turn.address import Address, Family, pack_host, unpack_host
from turn.attributes import HEADER_LENGTH, MAGIC_COOKIE, Attribute, MessageClass

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_FINGERPRINT_XOR = 0x5354554E
_MAX_ATTRIBUTES = 64  # no request of TURN has a quarter of it; beyond it a message is malformed

_INTEGRITY = int(Attribute.MESSAGE_INTEGRITY)
_INTEGRITY_SHA256 = int(Attribute.MESSAGE_INTEGRITY_SHA256)
_FINGERPRINT = int(Attribute.FINGERPRINT)


class Malformed(Enum):
    """Why bytes are not a STUN message; the value labels a counter."""

    TRUNCATED = "truncated"
    NOT_STUN = "not_stun"
    LENGTH = "bad_length"
    ATTRIBUTE = "bad_attribute"
    FINGERPRINT = "bad_fingerprint"


class Digest(Enum):
    """The two integrity attributes."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def attribute(self) -> int:
        return _INTEGRITY if self is Digest.SHA1 else _INTEGRITY_SHA256

    @property
    def size(self) -> int:
        return 20 if self is Digest.SHA1 else 32


@dataclass(frozen=True, slots=True)
class Message:
    """A well-formed message. `attributes` holds each protected (type, value) in order.

    `integrity` and `integrity_sha256` are the offsets of those attributes in `raw`, or 0.
    """

    method: int
    message_class: MessageClass
    transaction_id: bytes
    attributes: tuple[tuple[int, bytes], ...]
    raw: bytes = b""
    integrity: int = 0
    integrity_sha256: int = 0
    fingerprint: bool = False

    def get(self, attribute: int) -> bytes | None:
        """First value of an attribute; later ones of one type are ignored (RFC 8489 §14)."""
        for number, value in self.attributes:
            if number == attribute:
                return value
        return None

    def get_all(self, attribute: int) -> list[bytes]:
        """Every value of an attribute that may be repeated, as XOR-PEER-ADDRESS may."""
        return [value for number, value in self.attributes if number == attribute]

    def has(self, attribute: int) -> bool:
        return self.get(attribute) is not None

    @property
    def digest(self) -> Digest | None:
        """The stronger integrity attribute present, which is the one that counts."""
        if self.integrity_sha256:
            return Digest.SHA256
        return Digest.SHA1 if self.integrity else None

    def signed_with(self, key: bytes, digest: Digest) -> bool:
        """Whether the integrity attribute of that digest is there and right for the key."""
        offset = self.integrity if digest is Digest.SHA1 else self.integrity_sha256
        if not offset:
            return False
        (length,) = struct.unpack_from("!H", self.raw, offset + 2)
        if length != digest.size:  # TURN defines no truncation (RFC 8489 §14.6)
            return False
        expected = _mac(self.raw[:offset], key, digest)
        return hmac.compare_digest(expected, self.raw[offset + 4 : offset + 4 + length])


def parse_message(data: bytes) -> Message | Malformed:
    """Parse one whole message; `data` must end where the message ends."""
    if len(data) < HEADER_LENGTH:
        return Malformed.TRUNCATED
    message_type, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if message_type & 0xC000 or cookie != MAGIC_COOKIE:
        return Malformed.NOT_STUN
    if length & 3 or length + HEADER_LENGTH != len(data):
        return Malformed.LENGTH
    attributes: list[tuple[int, bytes]] = []
    integrity = integrity_sha256 = 0
    fingerprint = False
    count = 0
    offset = HEADER_LENGTH
    while offset < len(data):
        number, size = _ATTRIBUTE.unpack_from(data, offset)
        end = offset + 4 + size
        count += 1
        # FINGERPRINT is the last attribute of a message (RFC 8489 §14.7).
        if end > len(data) or fingerprint or count > _MAX_ATTRIBUTES:
            return Malformed.ATTRIBUTE
        if number == _FINGERPRINT:
            if size != 4:
                return Malformed.ATTRIBUTE
            if int.from_bytes(data[end - 4 : end], "big") != fingerprint_of(data[:offset]):
                return Malformed.FINGERPRINT
            fingerprint = True
        elif number == _INTEGRITY_SHA256 and not integrity_sha256:
            if size & 3 or not 16 <= size <= 32:
                return Malformed.ATTRIBUTE
            integrity_sha256 = offset
        elif number == _INTEGRITY and not integrity and not integrity_sha256:
            if size != 20:
                return Malformed.ATTRIBUTE
            integrity = offset
        elif not integrity and not integrity_sha256:
            attributes.append((number, data[offset + 4 : end]))
        offset = (end + 3) & ~3
    return Message(
        # The two class bits sit between the method's bits (RFC 8489 §5).
        method=message_type & 0x000F | (message_type & 0x00E0) >> 1 | (message_type & 0x3E00) >> 2,
        message_class=MessageClass(message_type & 0x0110),
        transaction_id=transaction_id,
        attributes=tuple(attributes),
        raw=data,
        integrity=integrity,
        integrity_sha256=integrity_sha256,
        fingerprint=fingerprint,
    )


def encode_message(
    method: int,
    message_class: MessageClass,
    transaction_id: bytes,
    attributes: Iterable[tuple[int, bytes]],
    *,
    key: bytes | None = None,
    digest: Digest = Digest.SHA1,
    fingerprint: bool = False,
) -> bytes:
    """Bytes of a message, signed when a key is given."""
    body = b"".join(
        _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) & 3)
        for number, value in attributes
    )
    message_type = method & 0x000F | (method & 0x0070) << 1 | (method & 0x0F80) << 2 | message_class
    message = _HEADER.pack(message_type, len(body), MAGIC_COOKIE, transaction_id) + body
    if key is not None:
        mac = _mac(message, key, digest)
        message = _with_length(message, 4 + len(mac))
        message += _ATTRIBUTE.pack(digest.attribute, len(mac)) + mac
    if fingerprint:
        crc = fingerprint_of(message)
        message = _with_length(message, 8) + _ATTRIBUTE.pack(_FINGERPRINT, 4)
        message += crc.to_bytes(4, "big")
    return message


def fingerprint_of(message: bytes) -> int:
    """Value of a FINGERPRINT appended to these bytes (RFC 8489 §14.7)."""
    return zlib.crc32(_with_length(message, 8)) ^ _FINGERPRINT_XOR


def _with_length(message: bytes, extra: int) -> bytes:
    """The message with the length it has once `extra` bytes are appended."""
    length = len(message) - HEADER_LENGTH + extra
    return message[:2] + length.to_bytes(2, "big") + message[4:]


def _mac(message: bytes, key: bytes, digest: Digest) -> bytes:
    """HMAC over everything before the integrity attribute (RFC 8489 §14.5 and §14.6)."""
    return hmac.digest(key, _with_length(message, 4 + digest.size), digest.value)


def pack_xor_address(address: Address, transaction_id: bytes) -> bytes:
    """Value of XOR-MAPPED-, XOR-PEER- or XOR-RELAYED-ADDRESS (RFC 8489 §14.2)."""
    host = pack_host(address.host)
    pad = (_COOKIE + transaction_id)[: len(host)]
    xored = (int.from_bytes(host, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(host), "big")
    family = Family.IPV4 if len(host) == 4 else Family.IPV6
    return struct.pack("!xBH", family, address.port ^ (MAGIC_COOKIE >> 16)) + xored


def unpack_xor_address(value: bytes, transaction_id: bytes) -> Address | None:
    """The address in such a value, or None when it has no valid form."""
    if (len(value), value[1:2]) not in ((8, b"\x01"), (20, b"\x02")):
        return None
    host = value[4:]
    pad = (_COOKIE + transaction_id)[: len(host)]
    plain = (int.from_bytes(host, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(host), "big")
    port = int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16)
    return Address(unpack_host(plain), port)


def pack_error(code: int, reason: str = "") -> bytes:
    """Value of ERROR-CODE (RFC 8489 §14.8)."""
    return struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()


def pack_address_error(family: Family, code: int) -> bytes:
    """Value of ADDRESS-ERROR-CODE (RFC 8656 §18.12)."""
    return struct.pack("!BxBB", family, code // 100, code % 100)


def unpack_error(value: bytes) -> int:
    """Code of an ERROR-CODE or ADDRESS-ERROR-CODE value of at least four bytes."""
    return (value[2] & 7) * 100 + value[3]
