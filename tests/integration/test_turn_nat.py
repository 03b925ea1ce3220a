"""Clients behind symmetric NATs, in network namespaces that the test makes and removes.

    client A -- router A --+                +-- router B -- client B
       192.168.1.2         +-- the world ---+         192.168.1.2
                                  |
                                relay

Each router masquerades with random ports, so that a mapping is good for one destination only,
and lets in nothing that was not asked for. Needs root, `ip` and `nft`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_turn_running import REALM, SECRET, credentials, write_certificate

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"),
        reason="network namespaces need root, ip and nft",
    ),
    pytest.mark.timeout(120),
]

RELAY = "203.0.113.10"
ROUTERS = {"a": "203.0.113.21", "b": "203.0.113.22"}

SERVE = """
import asyncio, sys
from turn.config import Listener, RelayConfig
from turn.five_tuple import Transport
from turn.relay import Relay

async def main():
    config = RelayConfig(
        secrets=(sys.argv[2],), realm=sys.argv[3], relay_ipv6="",
        listen=(
            Listener(Transport.UDP, sys.argv[1], 3478), Listener(Transport.TCP, sys.argv[1], 3478),
            Listener(Transport.TLS, sys.argv[1], 443),
        ),
        tls_certificate=sys.argv[4], tls_key=sys.argv[5],
    )
    async with Relay(config) as relay:
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        print(relay.stats(), flush=True)

asyncio.run(main())
"""

CALL = """
import asyncio, json, ssl, sys
import aioice

async def main():
    settings = json.loads(sys.stdin.readline())
    secure = False
    if settings["certificate"]:
        secure = ssl.create_default_context(cafile=settings["certificate"])
        secure.check_hostname = False
    connection = aioice.Connection(
        ice_controlling=settings["controlling"], use_ipv6=False,
        stun_server=(settings["relay"], 3478) if settings["stun"] else None,
        turn_server=(settings["relay"], settings["port"]), turn_transport=settings["transport"],
        turn_ssl=secure, turn_username=settings["username"], turn_password=settings["password"],
    )
    await connection.gather_candidates()
    print(json.dumps({
        "candidates": [candidate.to_sdp() for candidate in connection.local_candidates],
        "username": connection.local_username, "password": connection.local_password,
    }), flush=True)
    remote = json.loads(await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))
    connection.remote_username = remote["username"]
    connection.remote_password = remote["password"]
    for sdp in remote["candidates"]:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(sdp))
    await connection.add_remote_candidate(None)
    await asyncio.wait_for(connection.connect(), 40)
    for number in range(100):
        await connection.send(b"packet %d" % number)
        assert await asyncio.wait_for(connection.recv(), 5) == b"packet %d" % number
    pair = connection._nominated[1]
    print(json.dumps({
        "local": pair.local_candidate.type, "remote": pair.remote_candidate.type,
    }), flush=True)
    await asyncio.sleep(0.5)
    await connection.close()

asyncio.run(main())
"""


def sh(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class World:
    """Names of the namespaces, which carry the process id so that runs do not meet."""

    prefix: str

    def name(self, of: str) -> str:
        return f"{self.prefix}-{of}"

    def inside(self, of: str, *command: str) -> None:
        sh("ip", "netns", "exec", self.name(of), *command)

    def forbid(self, rule: str) -> None:
        """Let both routers drop what the rule matches on its way out."""
        for side in ROUTERS:
            self.inside(f"r{side}", "nft", f"add rule inet nat onward {rule} drop")


@pytest.fixture
def world() -> Iterator[World]:
    made = World(f"kt{os.getpid()}")
    spaces = ["relay", *(f"{kind}{side}" for side in ROUTERS for kind in "rc")]
    try:
        for space in spaces:
            sh("ip", "netns", "add", made.name(space))
            made.inside(space, "ip", "link", "set", "lo", "up")
        made.inside("relay", "ip", "link", "add", "br0", "type", "bridge")
        made.inside("relay", "ip", "addr", "add", f"{RELAY}/24", "dev", "br0")
        made.inside("relay", "ip", "link", "set", "br0", "up")
        for side, address in ROUTERS.items():
            _wire(made, side, address)
        yield made
    finally:
        for space in spaces:
            with contextlib.suppress(subprocess.CalledProcessError):
                sh("ip", "netns", "del", made.name(space))


def _wire(world: World, side: str, address: str) -> None:
    """A client behind a router, and the router's port on the bridge."""
    router, client = f"r{side}", f"c{side}"
    for near, near_end, far, far_end in (
        ("relay", f"p{side}", router, "wan"),
        (router, "lan", client, "eth0"),
    ):
        sh(
            *("ip", "-n", world.name(near), "link", "add", near_end, "type", "veth"),
            *("peer", "name", far_end, "netns", world.name(far)),
        )
        world.inside(near, "ip", "link", "set", near_end, "up")
        world.inside(far, "ip", "link", "set", far_end, "up")
    world.inside("relay", "ip", "link", "set", f"p{side}", "master", "br0")
    world.inside(router, "ip", "addr", "add", f"{address}/24", "dev", "wan")
    world.inside(router, "ip", "addr", "add", "192.168.1.1/24", "dev", "lan")
    world.inside(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    world.inside(client, "ip", "addr", "add", "192.168.1.2/24", "dev", "eth0")
    world.inside(client, "ip", "route", "add", "default", "via", "192.168.1.1")
    world.inside(
        router,
        "nft",
        """
        add table inet nat
        add chain inet nat out { type nat hook postrouting priority srcnat; }
        add rule inet nat out oifname "wan" masquerade random,fully-random
        add chain inet nat onward { type filter hook forward priority filter; }
        add rule inet nat onward iifname "wan" ct state new drop
        """,
    )


@contextlib.asynccontextmanager
async def program(
    world: World, space: str, source: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program inside a namespace."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", world.name(space), sys.executable, "-c", source, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def read_json(process: asyncio.subprocess.Process) -> dict[str, object]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line, "the program has ended"
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer


def write_json(process: asyncio.subprocess.Process, message: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")


@dataclass(frozen=True)
class Way:
    """What the routers drop on its way out, and how the clients reach the relay all the same."""

    forbidden: tuple[str, ...]
    transport: str
    port: int
    secure: bool = False


NO_UDP = "meta l4proto udp"


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(Way((), "udp", 3478), id="udp"),
        pytest.param(Way((NO_UDP,), "tcp", 3478), id="udp-blocked-tcp"),
        pytest.param(Way((NO_UDP, "tcp dport != 443"), "tcp", 443, secure=True), id="only-443-tls"),
    ],
)
async def test_a_call_between_symmetric_nats(world: World, tmp_path: Path, way: Way) -> None:
    for rule in way.forbidden:
        # Answers come in by the same chain; only what leaves is judged.
        world.forbid(f'oifname "wan" {rule}')
    certificate, key = write_certificate(tmp_path)
    async with program(world, "relay", SERVE, RELAY, SECRET, REALM, certificate, key) as relay:
        assert relay.stdout is not None
        assert await asyncio.wait_for(relay.stdout.readline(), 20) == b"ready\n"
        async with program(world, "ca", CALL) as near, program(world, "cb", CALL) as far:
            for end, controlling in ((near, True), (far, False)):
                username, password = credentials(opaque="ab"[controlling])
                write_json(
                    end,
                    {
                        "controlling": controlling,
                        "relay": RELAY,
                        "port": way.port,
                        "transport": way.transport,
                        "certificate": certificate if way.secure else "",
                        "stun": not way.forbidden,
                        "username": username,
                        "password": password,
                    },
                )
            offers = [await read_json(end) for end in (near, far)]
            # With nothing forbidden both know their outside address, and it is of no use.
            for offer in offers:
                kinds = {sdp.split(" typ ")[1].split()[0] for sdp in offer["candidates"]}  # type: ignore[attr-defined]
                assert kinds == ({"host", "relay"} if way.forbidden else {"host", "srflx", "relay"})
            write_json(near, offers[1])
            write_json(far, offers[0])
            for end in (near, far):
                path = await read_json(end)
                assert path == {"local": "relay", "remote": "relay"}
        assert relay.stdin is not None
        relay.stdin.close()
        stats = (await asyncio.wait_for(relay.stdout.read(), 10)).decode()
        relayed = re.search(r"packets=\{'up': (\d+)", stats)
        assert relayed is not None
        assert int(relayed[1]) >= 200
