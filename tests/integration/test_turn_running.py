"""Running relays for the other test modules: real sockets, real certificates, real clients.

`running` starts a relay on loopback; `Talker` is a client on a socket of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from turn.address import Address
from turn.attributes import Attribute
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.config import Limits, Listener, RelayConfig
from turn.credentials import issue
from turn.five_tuple import Transport
from turn.message import Message
from turn.node import Node
from turn.probe import ProbeError, probe
from turn.relay import Relay

SECRET = "s3cret"
REALM = "test.local"
HOSTS = ("127.0.0.1", "::1")


def write_certificate(directory: Path, days: int = 1) -> tuple[str, str]:
    """A certificate for localhost that signs itself: paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(h)) for h in HOSTS)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(paths[0]), str(paths[1])


def config_for(directory: Path, **changes: object) -> RelayConfig:
    """A relay on loopback, every transport, kernel-chosen ports."""
    certificate, key = write_certificate(directory)
    base = RelayConfig(
        secrets=(SECRET,),
        realm=REALM,
        listen=tuple(Listener(t, host, 0) for host in HOSTS for t in Transport),
        tls_certificate=certificate,
        tls_key=key,
        allow_loopback_peers=True,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(
    directory: Path, registry: CollectorRegistry | None = None, **changes: object
) -> AsyncIterator[Relay]:
    async with Relay(config_for(directory, **changes), registry) as relay:
        yield relay


@dataclass
class Ahead:
    """The system's clock, and a number of seconds more."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds

    def wall(self) -> float:
        return time.time() + self.seconds


def pass_time(node: Node, clock: Ahead, seconds: float) -> None:
    """What has expired by then is over."""
    clock.seconds += seconds
    node.server.handle_timer(clock.monotonic())
    node._perform_outputs()


def port_of(relay: Relay, transport: Transport, host: str = "127.0.0.1") -> int:
    return next(
        listener.port
        for listener in relay.listeners
        if listener.transport is transport and listener.host == host
    )


def credentials(seconds: float = 3600, opaque: str = "p1") -> tuple[str, str]:
    return issue(SECRET, opaque, int(time.time() + seconds))


def trusting(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(directory / "certificate.pem"))


class Talker:
    """A TURN client over UDP whose every datagram is in the test's hand."""

    def __init__(self, relay: Relay, host: str = "127.0.0.1", opaque: str = "p1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((host, 0))
        self.sock.connect((host, port_of(relay, Transport.UDP, host)))
        self.client = TurnClient(*credentials(opaque=opaque), os.urandom)
        self.relayed = Address("", 0)

    def __enter__(self) -> Talker:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def receive(self, seconds: float = 2.0) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.sock, 65535), seconds)

    async def hears_nothing(self, seconds: float = 0.2) -> bool:
        try:
            await self.receive(seconds)
        except TimeoutError:
            return True
        return False

    async def ask(self, request: bytes) -> Message:
        self.sock.send(request)
        while True:
            answer = parse_answer(await self.receive())
            if answer is not None and answer.transaction_id == request[8:20]:
                return answer

    async def code(self, request: bytes) -> int | None:
        return error_code(await self.ask(request))

    async def allocate(self, *extra: tuple[int, bytes]) -> Message:
        self.client.learn(await self.ask(self.client.allocate(*extra)))
        answer = await self.ask(self.client.allocate(*extra))
        assert error_code(answer) is None
        relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
        assert relayed is not None
        self.relayed = relayed
        return answer


class Peer:
    """A UDP socket on loopback that clients reach through the relay."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.sock.bind((host, 0))
        self.address = Address(host, self.sock.getsockname()[1])

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def receive(self, seconds: float = 2.0) -> tuple[bytes, Address]:
        loop = asyncio.get_running_loop()
        data, source = await asyncio.wait_for(loop.sock_recvfrom(self.sock, 65535), seconds)
        return data, Address(source[0], source[1])


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("processes", [1, 2])
async def test_the_probe_finds_a_working_relay(
    tmp_path: Path, transport: Transport, processes: int
) -> None:
    async with running(tmp_path, processes=processes) as relay:
        assert relay.ready
        begun = time.monotonic()
        result = await probe(
            transport,
            "127.0.0.1",
            port_of(relay, transport),
            *credentials(),
            context=trusting(tmp_path) if transport is Transport.TLS else None,
        )
        assert result.mapped.host == "127.0.0.1"
        assert result.relayed.port in range(49152, 65536)
        assert 0 < result.seconds <= time.monotonic() - begun
    assert not relay.ready


async def test_the_probe_says_what_is_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.TCP)
        with pytest.raises(ProbeError, match="401"):
            await probe(Transport.TCP, "127.0.0.1", port, "1:x", "wrong")
        with pytest.raises(ProbeError, match="certificate"):
            await probe(Transport.TLS, "127.0.0.1", port_of(relay, Transport.TLS), *credentials())
    with pytest.raises(ProbeError, match="cannot connect"):
        await probe(Transport.TCP, "127.0.0.1", port, *credentials())
    with pytest.raises(ProbeError):
        await probe(Transport.UDP, "127.0.0.1", port, *credentials(), timeout=0.3)


def many(**changes: float) -> Limits:
    return replace(Limits(), **changes)
