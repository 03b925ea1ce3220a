"""Entry of a relay process that `turn.supervisor` starts; see there for how they talk."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import asdict
from typing import Any

from turn import faults
from turn.address import Address, Family
from turn.clock import SystemClock
from turn.config import ConfigError, Limits, Listener, RelayConfig
from turn.five_tuple import Transport
from turn.listening import BoundListener
from turn.node import Node, Place
from turn.supervisor import REPORT_SECONDS
from turn.tls import Chain

_log = logging.getLogger("turn.worker")  # not by __name__: this module is __main__


def config_from(document: dict[str, Any]) -> tuple[RelayConfig, Place]:
    """Settings and place as the supervisor wrote them."""
    fields = dict(document)
    place = fields.pop("place")
    fields["limits"] = Limits(**fields["limits"])
    fields["listen"] = tuple(
        Listener(Transport(item["transport"]), item["host"], item["port"])
        for item in fields["listen"]
    )
    for name in ("secrets", "allowed_peers", "denied_peers"):
        fields[name] = tuple(fields[name])
    fields["allowed_services"] = tuple((host, port) for host, port in fields["allowed_services"])
    listeners = [
        BoundListener(
            Transport(item["transport"]),
            Address(item["host"], item["port"]),
            socket.socket(fileno=item["fd"]),
        )
        for item in place["listeners"]
    ]
    hosts = {Family(int(family)): host for family, host in place["hosts"].items()}
    ports, check_ports = range(*place["ports"]), range(*place["check_ports"])
    nonce_key = bytes.fromhex(place["nonce_key"])
    return RelayConfig(**fields), Place(listeners, hosts, ports, check_ports, nonce_key)


def obey(node: Node, command: dict[str, Any]) -> None:
    """Carry out what the supervisor says."""
    if command.get("drain"):
        node.drain()
    if secrets := command.get("secrets"):
        node.rotate_secrets(tuple(secrets))
    if chain := command.get("chain"):
        try:
            node.use_certificate(Chain(**chain).context())
        except ConfigError:  # the supervisor has tried it; if not here, calls go on with the old
            _log.exception("relay_certificate_not_renewed")


async def run() -> None:
    """Serve until standard input ends, which it does at the latest when the supervisor does."""
    loop = asyncio.get_running_loop()
    faults.configure()
    loop.set_exception_handler(faults.loop_failed)
    # A terminal's Ctrl-C and a service manager's SIGTERM reach every process of the group; the
    # supervisor decides what they mean, and calls go on while it drains.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    first = json.loads(await reader.readline())
    config, place = config_from(first["config"])
    chain = first.pop("chain", None)
    context = Chain(**chain).context() if chain is not None else None
    node = Node(config, place, SystemClock(), os.urandom, context)
    node.start()
    obey(node, first)
    # What was made at the start stays: no collection of garbage, which holds up packets, need
    # look at it.
    gc.collect()
    gc.freeze()
    reporting = asyncio.create_task(_report(node))
    try:
        while line := await reader.readline():
            obey(node, json.loads(line))
    finally:
        reporting.cancel()
        await node.stop()


async def _report(node: Node) -> None:
    while True:
        sys.stdout.write(json.dumps({"stats": asdict(node.stats())}) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(REPORT_SECONDS)


def main() -> None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())


if __name__ == "__main__":
    main()
