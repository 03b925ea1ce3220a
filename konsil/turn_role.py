"""The role turn: the relay, its secret, and access to it for the other roles."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Final

from konsil import tls, turn_plan
from konsil.clock import SystemClock
from konsil.errors import StartError
from konsil.house import House, Running
from konsil.ice import RelayAccess
from konsil.turn_plan import Plan, Ports
from konsil.turn_secret import LOOK_SECONDS, KeptSecrets, RelaySecrets, SetSecrets
from turn.config import ConfigError
from turn.relay import Relay

logger: Final = logging.getLogger(__name__)

_TRIES: Final = 8  # somebody else may take a port between our finding it free and binding it


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[Running]:
    """Starts the relay; see house.Starter."""
    settings = house.settings
    planned = turn_plan.plan(settings, house.certificate, house.lan_host)
    secrets = _secrets(house)
    relay, ports = await _started(house, planned, secrets)
    watching = asyncio.create_task(_watch(relay, secrets))
    try:
        house.relay = RelayAccess(planned.urls(ports), secrets.current, ours=True)
        house.ready["relay"] = lambda: relay.ready
        if planned.chain is not None and ports.tls:
            house.certificate_in_use("relay", planned.chain[0])
            house.renewals.append(lambda: _renew(house, relay, planned))
        yield Running(
            lines=_lines(planned, ports, house),
            # Whoever tries a demo out wants it to end at once.
            drain=relay.drain if not settings.demo else _at_once,
        )
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await relay.stop()


def _secrets(house: House) -> RelaySecrets:
    settings = house.settings
    if settings.turn_secret is not None:
        return SetSecrets(settings.turn_secret, settings.turn_former_secret)
    return KeptSecrets.open(house.state_dir, SystemClock().wall)


async def _started(house: House, planned: Plan, secrets: RelaySecrets) -> tuple[Relay, Ports]:
    """A relay that serves, and on which ports. A demo gives way to whoever has its ports."""
    settings = house.settings
    for left in reversed(range(_TRIES)):
        ports = _chosen(planned, give_way=settings.demo)
        accepted = [secret.reveal() for secret in secrets.accepted()]
        relay = Relay(
            # Whoever is in a group and gets nothing through but TURN: the relay stands beside
            # the forwarder, inside our network, and may send to it, at that port alone.
            turn_plan.relay_config(settings, planned, ports, accepted, house.forwarder),
            house.registry,
            SystemClock(),
        )
        try:
            await relay.start()
        except ConfigError as error:
            if _in_use(error) and left and (settings.demo or ports != planned.ports):
                continue
            raise StartError(_explained(error)) from None
        return relay, ports
    raise AssertionError("the last try returns or raises")


def _chosen(planned: Plan, *, give_way: bool) -> Ports:
    """The ports as set; a free one where 0 is set, or where it must give way to another program."""
    taken: set[int] = set()

    def choose(port: int, *, udp: bool) -> int:
        if port and not (give_way and not _is_free(planned.hosts, port, udp=udp)):
            taken.add(port)
            return port
        found = port
        for _ in range(_TRIES):
            try:
                with socket.socket(_family(planned.hosts[0]), socket.SOCK_STREAM) as probe:
                    probe.bind((planned.hosts[0], 0))
                    found = int(probe.getsockname()[1])
            except OSError:
                break  # for the start itself to say
            if found not in taken and _is_free(planned.hosts, found, udp=udp):
                break
        taken.add(found)
        return found

    return Ports(
        choose(planned.ports.plain, udp=True),
        tuple(choose(port, udp=False) for port in planned.ports.tls),
    )


def _is_free(hosts: Sequence[str], port: int, *, udp: bool) -> bool:
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM) if udp else (socket.SOCK_STREAM,)
    try:
        for host in hosts:
            for kind in kinds:
                with socket.socket(_family(host), kind) as probe:
                    if kind is socket.SOCK_STREAM:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if ":" in host:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind((host, port))
    except OSError as error:
        # What else is wrong with a port is for the start itself to say.
        return error.errno != errno.EADDRINUSE
    return True


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _in_use(error: ConfigError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE


def _explained(error: ConfigError) -> str:
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    ports = "KONSIL_TURN_PORT, KONSIL_TURN_TLS_PORT or KONSIL_TURN_FALLBACK_PORT"
    match number:
        case errno.EADDRINUSE:
            return f"{error}: stop the program that uses it, or set {ports}"
        case errno.EACCES:
            return f"{error}: allow it (CAP_NET_BIND_SERVICE), or set {ports} to 1024 or above"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return f"{error}: set KONSIL_TURN_HOST to an address of this machine"
    return str(error)


def _lines(planned: Plan, ports: Ports, house: House) -> tuple[tuple[str, str], ...]:
    listening = f"{planned.name} port {ports.plain} (UDP, TCP)"
    if ports.tls:
        listening += f", {' and '.join(str(port) for port in ports.tls)} (TLS)"
    if house.settings.turn_port and ports.plain != planned.ports.plain:
        listening += f"; {planned.ports.plain} is in use by another program"
    lines = [("relay", listening)]
    if planned.local:
        lines.append(("peers", "loopback too: the relay is for trials on this machine only"))
    elif house.settings.turn_allow_loopback_peers:
        lines.append(
            ("peers", "loopback too (KONSIL_TURN_ALLOW_LOOPBACK_PEERS): not for the internet")
        )
    return tuple(lines)


async def _watch(relay: Relay, secrets: RelaySecrets) -> None:
    """Tells the relay when its secrets change; see turn_secret.SETTLE_SECONDS."""
    known = secrets.accepted()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        found = secrets.accepted()
        if found != known:
            known = found
            relay.rotate_secrets(tuple(secret.reveal() for secret in found))
            logger.info("relay_secrets_changed", extra={"count": len(found)})


def _renew(house: House, relay: Relay, planned: Plan) -> None:
    assert planned.chain is not None
    try:
        # The relay tries it as well; this knows what to call the reason.
        tls.check(*planned.chain)
        relay.reload_certificate()
    except tls.CertificateError as error:
        logger.exception("relay_certificate_not_renewed", extra={"reason": error.reason})
    except ConfigError:
        logger.exception("relay_certificate_not_renewed")
    else:
        house.certificate_in_use("relay", planned.chain[0])
        logger.info("relay_certificate_renewed")


async def _at_once(seconds: float) -> None:
    """A drain that waits for nobody."""
