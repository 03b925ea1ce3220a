"""`konsil serve` with its relay: who is given access to it, and what the access is good for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psutil
import pytest
from aioice import turn as aioice_turn

from tests.integration.conftest import until
from tests.integration.served import Served, konsil
from tests.integration.test_turn_coturn import echo_peer, run
from tests.integration.test_turn_running import write_certificate
from tests.integration.visitor import Given, Visitor, turn_server_of
from tests.ports import free_port
from turn import credentials
from turn.five_tuple import Transport
from turn.probe import ProbeError, probe
from waiting_room import links
from waiting_room.keys import KeyRing
from waiting_room.providers import Providers
from waiting_room.tokens import Claims, TokenType, mint

NAME = "Canary Constance"
# Whatever port is free, and no wait at the end for pages that are gone.
RELAY = {"ROLES": "signaling,turn", "TURN_PORT": 0, "TURN_TLS_PORT": 0, "DRAIN_SECONDS": 1}


def plain_port(server: Served) -> int:
    found = re.search(r" port (\d+) \(UDP, TCP\)", server.printed["relay"])
    assert found is not None
    return int(found[1])


async def relays(given: Given, transport: Transport = Transport.UDP) -> None:
    """Raises ProbeError unless a datagram goes through."""
    port = given.port("turn", transport.value)
    await probe(transport, "127.0.0.1", port, given.username, given.password)


# Who is given access


async def test_access_comes_with_admission_and_goes_with_it(tmp_path: Path) -> None:
    async with Served("--demo", STATE_DIR=tmp_path, METRICS_PORT=0, **RELAY) as server:
        assert server.printed["roles"].startswith("signaling, turn")
        client_link = server.links["Client link"]
        async with (
            Visitor(server, server.links["Host link"]) as host,
            Visitor(server, client_link, NAME) as client,
            Visitor(server, client_link, "Another") as other,
        ):
            status, body = await client.ask()
            assert (status, body["code"]) == (403, "not_allowed")
            await host.do("admit", participant=await host.sees_waiting(NAME))
            await client.becomes("admitted")
            asked = time.time()
            given = await client.given()
            made = given.expires_at - given.ttl
            assert asked - 1 <= made <= time.time() + 1
            for refused in (
                await other.ask(),
                await client.ask(**{"Konsil-Participant": secrets.token_urlsafe(16)}),
                await client.ask(**{"Konsil-Participant": "short"}),
                await client.ask(**{"Konsil-Participant": ""}),
            ):
                assert (refused[0], refused[1]["code"]) == (403, "not_allowed")
            # In the order in which they connect fast, and one for all of the same call.
            port = plain_port(server)
            assert given.urls == (
                f"turn:127.0.0.1:{port}?transport=udp",
                f"turn:127.0.0.1:{port}?transport=tcp",
            )
            assert (await client.ask())[1]["ice_servers"][1] == {"urls": [f"stun:127.0.0.1:{port}"]}
            await relays(given)
            await relays(given, Transport.TCP)

            of_host = await host.given()
            opaque = {one.username.partition(":")[2] for one in (given, of_host)}
            assert len(opaque) == 2
            for word in (client.id, host.id, NAME, links_room(client_link)):
                assert not any(word in one for one in opaque)
            # An hour after the planned end at the latest, and ten hours from now.
            assert 0 < given.expires_at - time.time() <= 10 * 3600

            await host.do("back_to_waiting", participant=client.id)
            await client.becomes("waiting")
            assert (await client.ask())[0] == 403
        server.printed["open"], public = server.printed["metrics"], server.url
        _, metrics = await server.get("")
        assert re.search(r"konsil_turn_relayed_packets_total\{direction=\"up\"\} [1-9]", metrics)
        server.printed["open"] = public
        assert (await server.get("/readyz"))[0] == 200


async def test_who_waits_may_measure_the_way_to_the_relay(tmp_path: Path) -> None:
    settings = RELAY | {"TURN_PROCESSES": 2}
    async with (
        Served("--demo", STATE_DIR=tmp_path, **settings) as server,
        Visitor(server, server.links["Client link"], NAME) as client,
    ):
        assert (await client.ask())[0] == 403
        asked = time.time()
        relay, ways = await client.check()
        answered = time.time()
        assert relay == "own"
        assert [way.urls[0].rpartition("=")[2] for way in ways] == ["udp", "tcp"]
        for way, kind in zip(ways, (Transport.UDP, Transport.TCP), strict=True):
            await relays(way, kind)
            assert NAME not in way.username
            assert asked + 59 <= way.expires_at <= answered + 61


def links_room(link: str) -> str:
    parts = links.parse(link)
    assert parts is not None
    return json.loads(b64(parts.token.split(".")[1]))["room"]  # type: ignore[no-any-return]


def b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def test_access_ends_an_hour_after_the_consultation(tmp_path: Path) -> None:
    """A token whose window, with the hour, is over in some seconds gives as much and no more."""
    async with Served("--demo", STATE_DIR=tmp_path, **RELAY) as server:
        provider = next(iter(Providers(tmp_path).list()))
        now = int(time.time())
        claims = Claims(
            aud=server.url,
            sub=provider.id,
            typ=TokenType.HOST,
            role=TokenType.HOST,
            room=links.new_id(os.urandom(16)),
            nbf=now - 7200,
            exp=now - 3600 + 5,
            jti=links.new_id(os.urandom(16)),
            epoch=provider.epoch,
        )
        token = mint(claims, KeyRing.open(tmp_path).current)
        status, body = await server.get("/api/v1/ice-servers", token=token)
        given = turn_server_of(json.loads(body))
        assert status == 200
        assert given.expires_at == now + 5
        assert given.ttl <= 5
        await relays(given)

        async def is_refused() -> bool:
            try:
                await relays(given)
            except ProbeError as error:
                return "refused with 401" in str(error)
            return False

        await until(is_refused)
        assert time.time() >= given.expires_at


# Other people's clients with the credentials that a page gets


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    return write_certificate(tmp_path)


@pytest.mark.parametrize("transport", list(Transport))
async def test_what_a_page_is_given_works_with_other_clients(
    tmp_path: Path, certificate: tuple[str, str], transport: Transport
) -> None:
    chain, key = certificate
    async with (
        Served("--demo", TURN_TLS_CERT=chain, TURN_TLS_KEY=key, **RELAY) as server,
        Visitor(server, server.links["Host link"]) as host,
        echo_peer() as peer,
    ):
        given = await host.given()
        secure = transport is Transport.TLS
        port = given.port("turns" if secure else "turn", "udp" if transport == "udp" else "tcp")
        over = {Transport.UDP: (), Transport.TCP: ("-t",), Transport.TLS: ("-S", "-t")}[transport]
        code, output = await run(
            *("turnutils_uclient", "-u", given.username, "-w", given.password),
            *("-e", "127.0.0.1", "-r", str(peer), "-p", str(port), *over),
            *("-m", "2", "-n", "20", "-l", "1200", "-z", "5", "-c", "127.0.0.1"),
        )
        assert code == 0, output[-2000:]
        assert "Total lost packets 0 " in output
        await _echoes_through_aioice(
            given, port, peer, ssl.create_default_context(cafile=chain) if secure else None
        )


async def _echoes_through_aioice(
    given: Given, port: int, peer: int, context: ssl.SSLContext | None
) -> None:
    class Receiver(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.received = asyncio.get_running_loop().create_future()
            self.closed = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: object) -> None:
            self.received.set_result(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self.closed.set_result(None)

    udp = any(f":{port}?transport=udp" in url for url in given.urls) and context is None
    endpoint, receiver = await aioice_turn.create_turn_endpoint(
        Receiver,
        server_addr=("localhost" if context else "127.0.0.1", port),
        username=given.username,
        password=given.password,
        transport="udp" if udp else "tcp",
        ssl=context,
    )
    endpoint.sendto(b"to and fro", ("127.0.0.1", peer))
    assert await asyncio.wait_for(receiver.received, 5) == b"to and fro"
    endpoint.close()
    await asyncio.wait_for(receiver.closed, 5)


async def test_a_fallback_port_is_offered_before_the_usual_one(
    certificate: tuple[str, str],
) -> None:
    chain, key = certificate
    fallback = free_port()
    settings = {"TURN_TLS_CERT": chain, "TURN_TLS_KEY": key, "TURN_FALLBACK_PORT": fallback}
    async with (
        Served("--demo", **settings, **RELAY) as server,
        Visitor(server, server.links["Host link"]) as host,
    ):
        schemes = [url.partition(":")[0] for url in (await host.given()).urls]
        assert schemes == ["turn", "turn", "turns", "turns"]
        given = await host.given()
        assert given.urls[2] == f"turns:127.0.0.1:{fallback}?transport=tcp"
        context = ssl.create_default_context(cafile=chain)
        await probe(
            Transport.TLS, "127.0.0.1", fallback, given.username, given.password, context=context
        )


# A relay by itself, or another in its place


async def test_a_relay_of_its_own_needs_no_redis_and_drains(tmp_path: Path) -> None:
    settings = RELAY | {"ROLES": "turn", "TURN_SECRET": "shared", "DRAIN_SECONDS": 30}
    async with Served(STATE_DIR=tmp_path, METRICS_PORT=0, **settings) as server:
        assert server.printed["roles"] == "turn"
        assert "open" not in server.printed
        assert psutil.Process(server.pid).children() == []
        metrics = server.printed["metrics"].removesuffix("/metrics")
        server.printed["open"] = metrics
        assert await server.get("/readyz") == (200, "ok\n")

        made = credentials.issue("shared", "test", int(time.time()) + 600)
        endpoint, _ = await aioice_turn.create_turn_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", plain_port(server)), *made
        )
        server.process.send_signal(signal.SIGTERM)

        async def drains() -> bool:
            return await server.get("/readyz") == (503, "missing: relay\n")

        await until(drains)
        with pytest.raises(ProbeError, match="refused with 508"):
            await probe(Transport.UDP, "127.0.0.1", plain_port(server), *made)
        assert server.process.returncode is None, "an allocation is in use"
        endpoint.close()
        async with asyncio.timeout(10):
            assert await server.process.wait() == 0


async def test_several_processes_and_one_that_dies(tmp_path: Path) -> None:
    async with Served("--demo", STATE_DIR=tmp_path, TURN_PROCESSES=2, **RELAY) as server:
        workers = [
            child
            for child in psutil.Process(server.pid).children()
            if "turn.worker" in " ".join(child.cmdline())
        ]
        assert len(workers) == 2
        workers[0].kill()

        async def says(status: int) -> bool:
            return (await server.get("/readyz"))[0] == status

        await until(lambda: says(503))
        await until(lambda: says(200))
        async with Visitor(server, server.links["Host link"]) as host:
            await relays(await host.given())


async def test_coturn_takes_its_place_by_setting_alone(tmp_path: Path) -> None:
    port = free_port()
    coturn = await asyncio.create_subprocess_exec(
        *("turnserver", "-n", "--use-auth-secret", "--static-auth-secret", "shared-4711"),
        *("--realm", "elsewhere", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"),
        *("--listening-port", str(port), "--allow-loopback-peers", "--cli-password", "x"),
        *("--no-tls", "--no-dtls", "--no-cli", "--log-file", str(tmp_path / "log"), "--simple-log"),
        *("--pidfile", str(tmp_path / "pid"), "--userdb", str(tmp_path / "db")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    urls = [f"turn:127.0.0.1:{port}?transport={kind}" for kind in ("udp", "tcp")]
    settings = RELAY | {"TURN_EXTERNAL": ",".join(urls), "TURN_SECRET": "shared-4711"}
    try:
        async with (
            Served("--demo", **settings) as server,
            Visitor(server, server.links["Host link"]) as host,
        ):
            assert server.printed["roles"].partition(" ")[0] == "signaling"
            assert server.printed["relay"] == f"{', '.join(urls)} (KONSIL_TURN_EXTERNAL)"
            given = await host.given()
            assert list(given.urls) == urls

            async def works() -> bool:
                assert coturn.returncode is None, (tmp_path / "log").read_text()
                with contextlib.suppress(ProbeError):
                    await relays(given)
                    return True
                return False

            await until(works, 30)
            await relays(given, Transport.TCP)
            # Checks are what coturn does not know of: it gives them nothing.
            relay, ways = await host.check()
            assert relay == "other"
            for way, kind in zip(ways, (Transport.UDP, Transport.TCP), strict=True):
                with pytest.raises(ProbeError, match="refused with 401"):
                    await relays(way, kind)
    finally:
        coturn.kill()
        await coturn.wait()


# Ports that are taken


@contextlib.contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        yield int(sock.getsockname()[1])


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_port_in_use_is_named_and_a_demo_gives_way(
    tmp_path: Path, kind: socket.SocketKind
) -> None:
    with taken(kind) as port:
        settings = RELAY | {"PORT": 0, "TURN_PORT": port}
        code, out, err = await konsil("serve", STATE_DIR=tmp_path, **settings)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
        assert f"127.0.0.1 port {port}" in err
        assert "KONSIL_TURN_PORT" in err
        async with (
            Served("--demo", **settings) as server,
            Visitor(server, server.links["Host link"]) as host,
        ):
            assert server.printed["relay"].endswith(f"{port} is in use by another program")
            assert plain_port(server) != port
            await relays(await host.given())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"TURN_FALLBACK_PORT": 443}, "KONSIL_TURN_FALLBACK_PORT needs a certificate"),
        ({"TURN_TLS_CERT": "/dev/null"}, "KONSIL_TURN_TLS_KEY belong together"),
        ({"TURN_MIN_PORT": 50000, "TURN_MAX_PORT": 50000}, "two ports or more"),
        ({"TURN_HOST": "192.0.2.99", "PUBLIC_URL": "https://a.example"}, "KONSIL_TURN_HOST"),
        ({"TURN_TLS_CERT": "/dev/null", "TURN_TLS_KEY": "/dev/null"}, "TLS certificate"),
    ],
)
async def test_what_cannot_be_met_is_named(settings: dict[str, object], words: str) -> None:
    code, out, err = await konsil("serve", "--demo", **{**RELAY, "PORT": 0, **settings})
    assert code in {1, 2}
    assert out == ""
    assert len([line for line in err.splitlines() if "note:" not in line]) == 1, err
    assert words in err


async def test_loopback_peers_are_open_on_this_machine_only(tmp_path: Path) -> None:
    async with Served("--demo", **RELAY) as server:
        assert "trials on this machine only" in server.printed["peers"]
    # Reached from elsewhere, the relay keeps this machine to itself.
    settings = {**RELAY, "ROLES": "turn", "TURN_HOST": "0.0.0.0", "TURN_SECRET": "s"}
    async with Served(STATE_DIR=tmp_path, **settings) as server:
        assert "peers" not in server.printed
        made = credentials.issue("s", "test", int(time.time()) + 60)
        code, output = await run(
            *("turnutils_uclient", "-u", made[0], "-w", made[1], "-e", "127.0.0.1"),
            *("-r", "9", "-p", str(plain_port(server)), "-m", "1", "-n", "1", "-c", "-s"),
            "127.0.0.1",
        )
        assert code != 0
        assert "403" in output


async def test_the_session_and_its_name_are_nowhere_in_the_log(tmp_path: Path) -> None:
    async with Served("--demo", STATE_DIR=tmp_path, LOG_LEVEL="debug", **RELAY) as server:
        async with (
            Visitor(server, server.links["Host link"]) as host,
            Visitor(server, server.links["Client link"], NAME) as client,
        ):
            await host.do("admit", participant=await host.sees_waiting(NAME))
            await client.becomes("admitted")
            given = await client.given()
            await relays(given)
        await server.stop()
        log = await server.log()
    for word in (NAME, client.secret, client.id, given.username, given.password, "127.0.0.1"):
        assert word not in log


async def test_an_answer_goes_to_pages_of_our_own_only() -> None:
    async with Served("--demo", **RELAY) as server:
        token = links.parse(server.links["Host link"])
        assert token is not None
        headers = {"Authorization": f"Bearer {token.token}", "Origin": "https://evil.example"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/api/v1/ice-servers", headers=headers) as answer,
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
