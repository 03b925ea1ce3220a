"""The client's half of the protocol, without a socket: enough to check a server with.

`konsil doctor`, the tests and the benchmarks speak to servers, ours and others, through this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from turn.address import Address, Family
from turn.attributes import Attribute, ErrorCode, MessageClass, Method
from turn.credentials import PasswordAlgorithm, long_term_key
from turn.message import (
    Digest,
    Message,
    encode_message,
    pack_xor_address,
    parse_message,
    unpack_error,
    unpack_xor_address,
)

_UDP = bytes((17, 0, 0, 0))


@dataclass(slots=True)
class TurnClient:
    """Builds requests, signed once a challenge has been seen, and reads answers.

    With `digest` SHA256 it signs by MESSAGE-INTEGRITY-SHA256, with a SHA-256 key where the
    server offered one.
    """

    username: str
    password: str
    random: Callable[[int], bytes]
    digest: Digest = Digest.SHA1
    realm: bytes = b""
    nonce: bytes = b""
    offered: bytes = b""

    @property
    def algorithm(self) -> PasswordAlgorithm:
        wants = self.digest is Digest.SHA256 and self.offered
        return PasswordAlgorithm.SHA256 if wants else PasswordAlgorithm.MD5

    @property
    def key(self) -> bytes:
        """The long-term key; needs the realm of a challenge."""
        username, password = self.username.encode(), self.password.encode()
        return long_term_key(username, self.realm, password, self.algorithm)

    def request(
        self,
        method: Method,
        attributes: Sequence[tuple[int, bytes]] = (),
        transaction_id: bytes | None = None,
    ) -> bytes:
        """Bytes of a request; signed when a nonce is known."""
        transaction_id = transaction_id or self.random(12)
        if not self.nonce:
            return encode_message(method, MessageClass.REQUEST, transaction_id, attributes)
        signed: list[tuple[int, bytes]] = [
            *attributes,
            (Attribute.USERNAME, self.username.encode()),
            (Attribute.REALM, self.realm),
            (Attribute.NONCE, self.nonce),
        ]
        if self.algorithm is PasswordAlgorithm.SHA256:
            chosen = self.algorithm.to_bytes(2, "big") + b"\0\0"
            signed.append((Attribute.PASSWORD_ALGORITHM, chosen))
            signed.append((Attribute.PASSWORD_ALGORITHMS, self.offered))
        return encode_message(
            method,
            MessageClass.REQUEST,
            transaction_id,
            signed,
            key=self.key,
            digest=self.digest,
        )

    def allocate(self, *extra: tuple[int, bytes], family: Family | None = None) -> bytes:
        """Bytes of an Allocate request for a UDP relay."""
        attributes: list[tuple[int, bytes]] = [(Attribute.REQUESTED_TRANSPORT, _UDP), *extra]
        if family is not None:
            attributes.append((Attribute.REQUESTED_ADDRESS_FAMILY, bytes((family, 0, 0, 0))))
        return self.request(Method.ALLOCATE, attributes)

    def refresh(self, lifetime: int) -> bytes:
        return self.request(Method.REFRESH, [(Attribute.LIFETIME, lifetime.to_bytes(4, "big"))])

    def create_permission(self, *peers: Address) -> bytes:
        transaction_id = self.random(12)
        return self.request(
            Method.CREATE_PERMISSION,
            [(Attribute.XOR_PEER_ADDRESS, pack_xor_address(p, transaction_id)) for p in peers],
            transaction_id,
        )

    def channel_bind(self, number: int, peer: Address) -> bytes:
        transaction_id = self.random(12)
        return self.request(
            Method.CHANNEL_BIND,
            [
                (Attribute.CHANNEL_NUMBER, number.to_bytes(2, "big") + b"\0\0"),
                (Attribute.XOR_PEER_ADDRESS, pack_xor_address(peer, transaction_id)),
            ],
            transaction_id,
        )

    def send(self, peer: Address, payload: bytes, *extra: tuple[int, bytes]) -> bytes:
        """Bytes of a Send indication."""
        transaction_id = self.random(12)
        return encode_message(
            Method.SEND,
            MessageClass.INDICATION,
            transaction_id,
            [
                (Attribute.XOR_PEER_ADDRESS, pack_xor_address(peer, transaction_id)),
                (Attribute.DATA, payload),
                *extra,
            ],
        )

    def learn(self, answer: Message) -> bool:
        """Take realm and nonce from a challenge; whether the request is worth another try."""
        if error_code(answer) not in (ErrorCode.UNAUTHORIZED, ErrorCode.STALE_NONCE):
            return False
        realm, nonce = answer.get(Attribute.REALM), answer.get(Attribute.NONCE)
        if realm is None or nonce is None or nonce == self.nonce:
            return False
        self.realm, self.nonce = realm, nonce
        self.offered = answer.get(Attribute.PASSWORD_ALGORITHMS) or b""
        return True


def parse_answer(data: bytes) -> Message | None:
    """An answer or indication, or None for anything else."""
    message = parse_message(data)
    return message if isinstance(message, Message) else None


def error_code(answer: Message) -> int | None:
    """The code of an error response, None for a success."""
    value = answer.get(Attribute.ERROR_CODE)
    return unpack_error(value) if value is not None and len(value) >= 4 else None


def address_in(answer: Message, attribute: Attribute) -> Address | None:
    """The first address of that attribute."""
    value = answer.get(attribute)
    return unpack_xor_address(value, answer.transaction_id) if value is not None else None
