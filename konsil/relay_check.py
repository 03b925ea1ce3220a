"""Looks at a relay as a call does: an allocation over each transport, and a datagram through it."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from konsil import certificate_check
from konsil.findings import Finding, fine, note, unknown, wrong
from turn.five_tuple import Transport
from turn.probe import ProbeError, probe

_DEFAULT_PORTS: Final = {"turn": 3478, "turns": 5349}
_TRANSPORTS: Final = {
    ("turn", "udp"): Transport.UDP,
    ("turn", "tcp"): Transport.TCP,
    ("turns", "tcp"): Transport.TLS,
}
_WORDS: Final = {Transport.UDP: "UDP", Transport.TCP: "TCP", Transport.TLS: "TLS"}
_REFUSALS: Final = {
    401: "the relay has another secret: KONSIL_TURN_SECRET must be the same on both sides, and so "
    "must the clock",
    403: "the relay may not send to its own addresses, so two people who both need it cannot talk: "
    "allow it there",
    437: "the relay is restarting, or several stand behind one name: each flow must stay with one",
    486: "too many allocations: wait, or raise the relay's quota",
    508: "the relay is full or draining: see KONSIL_TURN_ALLOCATIONS",
}


@dataclass(frozen=True, slots=True)
class Relays:
    """What a browser would be given: URLs (RFC 7065), user name and password."""

    urls: tuple[str, ...]
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class _Target:
    transport: Transport
    host: str
    port: int


async def check(relays: Sequence[Relays], context: ssl.SSLContext) -> list[Finding]:
    """One finding for each URL, and one for the certificate of each TLS port."""
    urls = [(url, relay) for relay in relays for url in relay.urls if not url.startswith("stun")]
    # Side by side, since each that does not answer takes seconds.
    checked = await asyncio.gather(*(_check_one(url, relay, context) for url, relay in urls))
    findings = [finding for found in checked for finding in found]
    seen = {target.transport for url, _ in urls if (target := target_of(url)) is not None}
    missing = [transport for transport in Transport if seen and transport not in seen]
    return findings + [note(_subject(one), f"not offered: {_MISSING[one]}") for one in missing]


async def _check_one(url: str, relay: Relays, context: ssl.SSLContext) -> list[Finding]:
    target = target_of(url)
    if target is None:
        return [unknown("relay", f"{url}: not a transport that can be checked")]
    if target.transport is not Transport.TLS:
        return [await _probe(target, relay, context)]
    subject = "relay certificate"
    return [
        await certificate_check.check(subject, target.host, target.port, context),
        await _probe(target, relay, context),
    ]


_MISSING: Final = {
    Transport.UDP: "calls through the relay are slower without it",
    Transport.TCP: "networks without UDP cannot be served",
    Transport.TLS: "networks that let only TLS out cannot be served; it needs a certificate",
}


def target_of(url: str) -> _Target | None:
    """The server that a TURN URI names; None for one that is none, or is TURN over DTLS."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, port = place, ""
    host = host.strip("[]")
    kind = query.removeprefix("transport=") or ("tcp" if scheme == "turns" else "udp")
    transport = _TRANSPORTS.get((scheme, kind))
    if transport is None or not host or (port and not port.isdecimal()):
        return None
    return _Target(transport, host, int(port) if port else _DEFAULT_PORTS[scheme])


async def _probe(target: _Target, relay: Relays, context: ssl.SSLContext) -> Finding:
    subject, place = _subject(target.transport), f"{target.host} port {target.port}"
    try:
        result = await probe(
            target.transport,
            target.host,
            target.port,
            relay.username,
            relay.password,
            context=context,
        )
    except ProbeError as error:
        return wrong(subject, f"{place}: {error}; {_advice(target, error)}")
    milliseconds = result.seconds * 1000
    return fine(subject, f"{place} relays, through both ends of it in {milliseconds:.1f} ms")


def _advice(target: _Target, error: ProbeError) -> str:
    code = 0
    with contextlib.suppress(ValueError):
        code = int(str(error).rpartition(" ")[2])
    if code in _REFUSALS:
        return _REFUSALS[code]
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return "see its certificate above"
    kind = "UDP" if target.transport is Transport.UDP else "TCP"
    also = " and the relay's own UDP ports (KONSIL_TURN_MIN_PORT to KONSIL_TURN_MAX_PORT)"
    return f"start the relay, and let {kind} port {target.port}{also} through the firewall"


def _subject(transport: Transport) -> str:
    return f"relay over {_WORDS[transport]}"
