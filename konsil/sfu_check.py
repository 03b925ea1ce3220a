"""Looks at the forwarders as a call does: one is offered a connection, and its answer tried out."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import struct
import time
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from konsil.findings import Finding, fine, note, unknown, wrong
from konsil.settings import Settings
from konsil.sfu_access import SfuAccess
from konsil.sfu_wire import ANNOUNCE_S, Announcement
from signaling.forwarders import Answered, ForwarderGoneError, Way
from signaling.group_messages import Track
from turn.attributes import Attribute, MessageClass, Method
from turn.message import Digest, Message, encode_message, parse_message
from waiting_room.errors import StoreUnavailable
from waiting_room.keyspace import Keyspace
from waiting_room.links import ID_BYTES, new_id

PATIENCE_S: Final = 3.0
_RESEND_S: Final = 0.3
_NOBODY: Final = "p" * 22
_UDP: Final = "forwarder UDP"
_TCP: Final = "forwarder TCP"
_CANDIDATE: Final = re.compile(
    r"(?m)^a=candidate:\S+ 1 (UDP|TCP) \d+ (\S+) (\d+) typ host", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Target:
    """One candidate of an answer, and what a check of it needs."""

    tcp: bool
    host: str
    port: int
    ufrag: str
    password: str

    @property
    def place(self) -> str:
        return f"{self.host} port {self.port}"


def is_wanted(settings: Settings) -> bool:
    """Whether groups are possible with these settings."""
    if settings.media_topology == "p2p":
        return False
    return "sfu" in settings.roles or (
        "signaling" in settings.roles and settings.redis_url is not None
    )


async def check(settings: Settings, redis: Redis, prefix: str) -> list[Finding]:
    """A finding for the announcements, and one for each way to each forwarder."""
    access = SfuAccess(redis, Keyspace(prefix), f"doctor{secrets.token_hex(4)}")
    listening = asyncio.create_task(access.run(lambda event: None))
    try:
        # All of them say something in this time.
        await asyncio.sleep(1.5 * ANNOUNCE_S)
        nodes = access.directory.alive(time.monotonic())
        if not nodes:
            return [_none(settings)]
        findings = [fine("forwarder", _words(nodes))]
        for node in nodes:
            findings += await _look_at(access, node)
        return findings
    except StoreUnavailable as error:
        return [unknown("forwarder", f"cannot be asked: {error.detail}")]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _none(settings: Settings) -> Finding:
    if "sfu" in settings.roles or settings.media_topology == "sfu":
        return wrong(
            "forwarder",
            "none is announced in Redis: start one (role sfu) with the KONSIL_REDIS_URL and "
            "KONSIL_REDIS_PREFIX of the signaling nodes",
        )
    return note("forwarder", "none: calls of more than two cannot be made; see role sfu")


def _words(nodes: list[Announcement]) -> str:
    rooms = sum(node.rooms for node in nodes)
    people = sum(node.participants for node in nodes)
    draining = sum(node.draining for node in nodes)
    text = f"{len(nodes)} announced, {rooms} rooms, {people} participants"
    return text + (f", {draining} draining" if draining else "")


async def _look_at(access: SfuAccess, node: Announcement) -> list[Finding]:
    if node.draining:
        return [note("forwarder", f"{', '.join(node.places)}: draining, so not tried")]
    way = Way(new_id(secrets.token_bytes(ID_BYTES)), int(time.time() * 1000), 0)
    ufrag = secrets.token_hex(4)
    try:
        offer = _offer(ufrag)
        outcome = await access.offer(node.node, way, _NOBODY, offer, [Track("0", "microphone")])
    except ForwarderGoneError:
        return [wrong("forwarder", f"{', '.join(node.places)}: announced, but does not answer")]
    try:
        if not isinstance(outcome, Answered):
            return [wrong("forwarder", f"{', '.join(node.places)}: {outcome.code}")]
        targets = _targets(outcome.sdp, ufrag)
        return list(await asyncio.gather(*(_try(target) for target in targets)))
    finally:
        with contextlib.suppress(ForwarderGoneError, StoreUnavailable):
            await access.close(node.node, way)


def _offer(ufrag: str) -> str:
    """The least that is an offer (RFC 8829): one section of sound that will never come."""
    digest = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    lines = (
        "v=0",
        f"o=- {secrets.randbits(62)} 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{secrets.token_hex(12)}",
        f"a=fingerprint:sha-256 {digest}",
        "a=setup:actpass",
        "a=rtpmap:111 opus/48000/2",
    )
    return "".join(f"{line}\r\n" for line in lines)


def _targets(answer: str, ufrag: str) -> list[_Target]:
    theirs = re.search(r"(?m)^a=ice-ufrag:(\S+)", answer)
    password = re.search(r"(?m)^a=ice-pwd:(\S+)", answer)
    if theirs is None or password is None:
        return []
    # RFC 8445 §7.2.2: the other side's fragment first.
    return [
        _Target(kind.upper() == "TCP", host, int(port), f"{theirs[1]}:{ufrag}", password[1])
        for kind, host, port in dict.fromkeys(_CANDIDATE.findall(answer))
    ]


async def _try(target: _Target) -> Finding:
    subject, kind = (_TCP, "TCP") if target.tcp else (_UDP, "UDP")
    started = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_S):
            answered = await (_over_tcp(target) if target.tcp else _over_udp(target))
    except TimeoutError:
        answered = False
    except OSError as error:
        if ":" in target.host and not isinstance(error, ConnectionError):
            return note(subject, f"{target.place}: cannot be tried from here, without IPv6")
        answered = False
    if answered:
        milliseconds = (time.monotonic() - started) * 1000
        return fine(subject, f"{target.place} answers in {milliseconds:.1f} ms")
    return wrong(
        subject,
        f"{target.place} does not answer: let {kind} port {target.port} through the firewall; if "
        "the address is not the one outside, set KONSIL_SFU_PUBLIC_IPV4 (or _IPV6)",
    )


def _request(target: _Target) -> bytes:
    """A connectivity check (RFC 8445 §7.2.2)."""
    return encode_message(
        Method.BINDING,
        MessageClass.REQUEST,
        secrets.token_bytes(12),
        [
            (Attribute.USERNAME, target.ufrag.encode()),
            (_PRIORITY, struct.pack("!I", 1)),
            (_ICE_CONTROLLING, secrets.token_bytes(8)),
        ],
        key=target.password.encode(),
        digest=Digest.SHA1,
        fingerprint=True,
    )


_PRIORITY: Final = 0x0024
_ICE_CONTROLLING: Final = 0x802A


def _is_success(data: bytes, request: bytes, target: _Target) -> bool:
    message = parse_message(data)
    return (
        isinstance(message, Message)
        and message.message_class is MessageClass.SUCCESS
        and message.transaction_id == request[8:20]
        and message.signed_with(target.password.encode(), Digest.SHA1)
    )


class _Datagrams(asyncio.DatagramProtocol):
    """Puts what comes into a queue."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue(64)

    def datagram_received(self, data: bytes, addr: object) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self.came.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP); the next try may be heard."""


async def _over_udp(target: _Target) -> bool:
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(
        _Datagrams, remote_addr=(target.host, target.port)
    )
    request = _request(target)
    try:
        while True:
            transport.sendto(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESEND_S):
                    if _is_success(await datagrams.came.get(), request, target):
                        return True
    finally:
        transport.close()


async def _over_tcp(target: _Target) -> bool:
    """RFC 6544: the frames of RFC 4571, each behind its length."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    request = _request(target)
    try:
        writer.write(struct.pack("!H", len(request)) + request)
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        return _is_success(await reader.readexactly(length), request, target)
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()
