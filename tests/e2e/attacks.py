"""What a lying server might do to the signals of section 7, each as an attack on its own."""

from __future__ import annotations

import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

X25519 = 1  # the suite's number, section 7.1


@dataclass(frozen=True, slots=True)
class Signal:
    kind: str
    exchange: str
    seq: int
    payload: bytes

    @classmethod
    def read(cls, data: str) -> Signal:
        kind, exchange, seq, payload = data.split(".")
        return cls(kind, exchange, int(seq), urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    def write(self) -> str:
        payload = urlsafe_b64encode(self.payload).decode().rstrip("=")
        return f"{self.kind}.{self.exchange}.{self.seq}.{payload}"

    def with_payload(self, payload: bytes) -> str:
        return Signal(self.kind, self.exchange, self.seq, payload).write()


def with_own_key(share: bytes) -> bytes:
    """The share with every X25519 key replaced by one of the attacker's; all else as it was."""
    own = X25519PrivateKey.generate().public_key().public_bytes_raw()
    made, at = bytearray(share), 2
    replaced = 0
    for _ in range(share[1]):
        suite, length = share[at], share[at + 1]
        if suite == X25519:
            made[at + 2 : at + 2 + length] = own
            replaced += 1
        at += 2 + length
    assert replaced, "the share has no X25519 key to replace"
    return bytes(made)


def with_own_fingerprint(share: bytes) -> bytes:
    return share[:-32] + os.urandom(32)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


class SwapFingerprint:
    """In the responder's share: the host is to accept the attacker's certificate."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "key":
            return (signal.with_payload(with_own_fingerprint(signal.payload)),)
        return (data,)


class SwapKey:
    """In the responder's share: the host is to agree on a key with the attacker."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "key":
            return (signal.with_payload(with_own_key(signal.payload)),)
        return (data,)


class SwapRevealedFingerprint:
    """In the initiator's share, after it has been committed to."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "reveal":
            return (signal.with_payload(with_own_fingerprint(signal.payload)),)
        return (data,)


class SwapCommitment:
    """Another commitment than the one that will be revealed."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "commit":
            return (signal.with_payload(os.urandom(32)),)
        return (data,)


@dataclass
class ManInTheMiddle:
    """Shares of its own towards both sides, with a commitment that fits; it lacks the link's secret
    alone. Nobody but the initiator's page has revealed its share when the commitment is due, so the
    attacker commits to one of its own making."""

    shares: dict[str, bytes] = field(default_factory=dict)

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        match signal.kind:
            case "commit":
                share = self.shares[signal.exchange] = _share_of_its_own()
                digest = hashlib.sha256(b"konsil/1 commit\0" + share).digest()
                return (signal.with_payload(digest),)
            case "key":
                return (signal.with_payload(with_own_fingerprint(with_own_key(signal.payload))),)
            case "reveal":
                return (signal.with_payload(self.shares[signal.exchange]),)
        return (data,)


def _share_of_its_own() -> bytes:
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    return bytes((1, 1, X25519, len(key))) + key + os.urandom(16) + os.urandom(32)


@dataclass
class Pretend:
    """Tells the client that the host's link has no secret, so that none would be used."""

    shares: dict[str, bytes] = field(default_factory=dict)

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "commit":
            share = self.shares[signal.exchange] = b"\0" + _share_of_its_own()[1:]
            digest = hashlib.sha256(b"konsil/1 commit\0" + share).digest()
            return (signal.with_payload(digest),)
        if signal.kind == "reveal":
            return (signal.with_payload(self.shares[signal.exchange]),)
        return (data,)


class AlterSealed:
    """One bit of the first sealed message to the client."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        signal = Signal.read(data)
        if signal.kind == "sealed" and role == "client":
            return (signal.with_payload(flipped(signal.payload)),)
        return (data,)


class Replay:
    """Every sealed message to the client twice."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        if Signal.read(data).kind == "sealed" and role == "client":
            return (data, data)
        return (data,)


@dataclass
class Reorder:
    """The first two sealed messages to the client the other way round."""

    held: str | None = None
    done: bool = False

    def passes(self, data: str, role: str) -> Sequence[str]:
        if self.done or role != "client" or Signal.read(data).kind != "sealed":
            return (data,)
        if self.held is None:
            self.held = data
            return ()
        self.done = True
        return (data, self.held)


class Withhold:
    """The commitment never comes: the client's page is to start without one."""

    def passes(self, data: str, role: str) -> Sequence[str]:
        return () if Signal.read(data).kind == "commit" else (data,)
