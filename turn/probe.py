"""Checks a TURN server the way a client uses it: two allocations and a datagram between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from turn.address import Address
from turn.attributes import Attribute
from turn.client import TurnClient, address_in, error_code, parse_answer
from turn.five_tuple import Transport
from turn.framing import ChannelFrame, Framer, StunFrame
from turn.message import Message

_CHANNEL = 0x4001
_PAYLOAD = b"konsil relay probe"
_RETRY_SECONDS = 0.5


class ProbeError(Exception):
    """The server did not do what a client needs; the text says what went wrong."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the server said and how long the datagram took through both relays, in seconds."""

    mapped: Address
    relayed: Address
    seconds: float


async def probe(
    transport: Transport,
    host: str,
    port: int,
    username: str,
    password: str,
    *,
    context: ssl.SSLContext | None = None,
    timeout: float = 5.0,  # noqa: ASYNC109 - the bound is part of the answer
) -> ProbeResult:
    """Allocate twice over `transport` and relay a datagram; raises ProbeError.

    `context` is the TLS client context; its absence means one that checks the certificate.
    """
    try:
        async with (
            asyncio.timeout(timeout),
            _connect(transport, host, port, context) as near,
            _connect(transport, host, port, context) as far,
        ):
            mapped, relayed = await _allocate(near, TurnClient(username, password, os.urandom))
            client = TurnClient(username, password, os.urandom)
            _, other = await _allocate(far, client)
            await _expect(far, client.channel_bind(_CHANNEL, relayed), "ChannelBind")
            back = TurnClient(username, password, os.urandom)
            back.realm, back.nonce = near.realm, near.nonce
            await _expect(near, back.create_permission(other), "CreatePermission")
            started = time.monotonic()
            await _relay(far, near, other)
            seconds = time.monotonic() - started
            for link, signer in ((near, back), (far, client)):
                await _expect(link, signer.refresh(0), "Refresh")
            return ProbeResult(mapped, relayed, seconds)
    except TimeoutError:
        raise ProbeError(f"no answer from {host} port {port} within {timeout:g} s") from None
    except (OSError, ssl.SSLError) as error:
        raise ProbeError(f"cannot connect to {host} port {port}: {error}") from error


class _Link:
    """Messages to and from the server; UDP requests are sent again until answered."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue(64)
        self.realm = b""
        self.nonce = b""
        self.reliable = True
        self.send: Callable[[bytes], None] = lambda data: None

    def write(self, data: bytes) -> None:
        self.send(data + bytes(-len(data) & 3))  # padding, which only a stream needs

    def deliver(self, data: bytes) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.inbox.put_nowait(data)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, link: _Link) -> None:
        self._link = link

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._link.deliver(data)


class _Stream(asyncio.Protocol):
    def __init__(self, link: _Link) -> None:
        self._link = link
        self._framer = Framer()

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            match frame:
                case StunFrame(message):
                    self._link.deliver(message)
                case ChannelFrame(number, payload):
                    header = number.to_bytes(2, "big") + len(payload).to_bytes(2, "big")
                    self._link.deliver(header + payload)


@contextlib.asynccontextmanager
async def _connect(
    transport: Transport, host: str, port: int, context: ssl.SSLContext | None
) -> AsyncIterator[_Link]:
    loop = asyncio.get_running_loop()
    link = _Link()
    if transport is Transport.UDP:
        link.reliable = False
        datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(link), remote_addr=(host, port)
        )
        link.send, close = datagrams.sendto, datagrams.abort
    else:
        secure: ssl.SSLContext | None = None
        if transport is Transport.TLS:
            secure = context or ssl.create_default_context()
            secure.set_alpn_protocols(["stun.turn"])
        stream, _ = await loop.create_connection(lambda: _Stream(link), host, port, ssl=secure)
        link.send, close = stream.write, stream.abort
    try:
        yield link
    finally:
        close()


async def _allocate(link: _Link, client: TurnClient) -> tuple[Address, Address]:
    answer = await _ask(link, client.allocate())
    if client.learn(answer):
        answer = await _ask(link, client.allocate())
    if (code := error_code(answer)) is not None:
        raise ProbeError(f"Allocate was refused with {code}")
    mapped = address_in(answer, Attribute.XOR_MAPPED_ADDRESS)
    relayed = address_in(answer, Attribute.XOR_RELAYED_ADDRESS)
    if mapped is None or relayed is None:
        raise ProbeError("the Allocate response lacks an address")
    link.realm, link.nonce = client.realm, client.nonce
    return mapped, relayed


async def _expect(link: _Link, request: bytes, what: str) -> None:
    code = error_code(await _ask(link, request))
    if code is not None:
        raise ProbeError(f"{what} was refused with {code}")


async def _ask(link: _Link, request: bytes) -> Message:
    while True:
        link.write(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if link.reliable else _RETRY_SECONDS):
                while True:
                    answer = parse_answer(await link.inbox.get())
                    if answer is not None and answer.transaction_id == request[8:20]:
                        return answer


async def _relay(far: _Link, near: _Link, sender: Address) -> None:
    """ChannelData from one client must come out at the other as a Data indication."""
    frame = _CHANNEL.to_bytes(2, "big") + len(_PAYLOAD).to_bytes(2, "big") + _PAYLOAD
    while True:
        far.write(frame)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                while True:
                    message = parse_answer(await near.inbox.get())
                    if (
                        message is not None
                        and message.get(Attribute.DATA) == _PAYLOAD
                        and address_in(message, Attribute.XOR_PEER_ADDRESS) == sender
                    ):
                        return
