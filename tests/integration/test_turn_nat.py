"""Clients behind symmetric NATs, in network namespaces that the test makes and removes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.test_turn_running import REALM, SECRET, credentials, write_certificate
from tests.natted import RELAY, Internet
from tests.spaces import unable

UNABLE = unable()
pytestmark = [
    pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "possible"),
    pytest.mark.timeout(120),
]

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


@pytest.fixture
def internet() -> Iterator[Internet]:
    made = Internet()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@contextlib.asynccontextmanager
async def program(
    space: str, source: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program inside a namespace."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", space, sys.executable, "-c", source, *arguments),
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
    """How clients reach the relay through firewalls that let out what is named."""

    let_out: str
    transport: str
    port: int
    secure: bool = False


@pytest.mark.parametrize(
    "way",
    [
        Way("everything", "udp", 3478),
        Way("no UDP", "tcp", 3478),
        Way("443 alone", "tcp", 443, secure=True),
    ],
    ids=lambda way: way.let_out,
)
async def test_a_call_between_symmetric_nats(internet: Internet, tmp_path: Path, way: Way) -> None:
    internet.allow(way.let_out)
    open_to_all = way.let_out == "everything"
    certificate, key = write_certificate(tmp_path)
    async with program(internet.server, SERVE, RELAY, SECRET, REALM, certificate, key) as relay:
        assert relay.stdout is not None
        assert await asyncio.wait_for(relay.stdout.readline(), 20) == b"ready\n"
        async with (
            program(internet.home("a"), CALL) as near,
            program(internet.home("b"), CALL) as far,
        ):
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
                        "stun": open_to_all,
                        "username": username,
                        "password": password,
                    },
                )
            offers = [await read_json(end) for end in (near, far)]
            # With nothing forbidden both know their outside address, and it is of no use.
            for offer in offers:
                kinds = {sdp.split(" typ ")[1].split()[0] for sdp in offer["candidates"]}  # type: ignore[attr-defined]
                assert kinds == ({"host", "srflx", "relay"} if open_to_all else {"host", "relay"})
            write_json(near, offers[1])
            write_json(far, offers[0])
            for end in (near, far):
                path = await read_json(end)
                # One relay is enough where UDP may go out; else both ends need one.
                kinds = {path["local"], path["remote"]}
                assert "relay" in kinds if open_to_all else kinds == {"relay"}
        assert relay.stdin is not None
        relay.stdin.close()
        stats = (await asyncio.wait_for(relay.stdout.read(), 10)).decode()
        relayed = re.search(r"packets=\{'up': (\d+), 'down': (\d+)\}", stats)
        assert relayed is not None
        # Where one relay is enough, what an end sends goes up its own or down the other's, as each
        # end has chosen; else all of it goes up one and down the other.
        assert int(relayed[1]) + int(relayed[2]) >= (200 if open_to_all else 400)
