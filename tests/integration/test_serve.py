"""`konsil serve` as a process: what it prints, how it starts, stops and refuses to start."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import resource
import shlex
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from konsil import serve
from konsil.house import Running
from konsil.process import FILES
from tests.integration.conftest import RedisServer, until
from tests.integration.served import DEFAULTS, Served, environment, konsil, private_files
from waiting_room import links

CANARY = "canary-90210"


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def reasons_logged(server: Served, event: str) -> list[object]:
    return [entry.get("reason") for entry in server.logged(event)]


def token_of(link: str) -> str:
    parts = links.parse(link)
    assert parts is not None
    return parts.token


async def refusal(*arguments: str, **settings: object) -> tuple[int, str]:
    """Exit code and the one line said by a server that does not start."""
    code, out, err = await konsil("serve", *arguments, **{**DEFAULTS, **settings})
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("konsil: ")
    return code, err


# Starting


async def test_the_demo_says_how_to_sign_in_a_second_time() -> None:
    async with Served("--demo") as server:
        assert server.process.stdout is not None
        hint = (await server.process.stdout.readline()).decode()
        _, _, command = hint.partition("Another one: ")
        made = await asyncio.create_subprocess_exec(
            *shlex.split(command), env=environment(), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await made.communicate()
        seen = set()
        async with aiohttp.ClientSession() as session:
            for url in (server.links["Provider link"], printed.decode().strip()):
                part = links.parse(url)
                assert part is not None
                for status in (200, 409):
                    async with session.post(
                        f"{server.url}/api/v1/sign-in",
                        headers={"Authorization": f"Bearer {part.token}"},
                    ) as answer:
                        assert answer.status == status
                        seen.add((await answer.json()).get("code", "in"))
        assert seen == {"in", "already_used"}


async def test_the_demo_prints_links_that_open_now() -> None:
    async with Served("--demo") as server:
        state_dir = Path(server.printed["state"])
        assert state_dir.name.startswith("konsil-demo-")
        assert server.url == f"http://localhost:{server.printed['listening'].rpartition(':')[2]}"
        assert server.printed["roles"] == "signaling"
        assert re.fullmatch(
            r"private, in memory only: (Redis|Valkey) \d+\.\d+\.\d+ \(/.+\)",
            server.printed["redis"],
        )
        parts = {label: links.parse(link) for label, link in server.links.items()}
        assert list(parts) == ["Provider link", "Host link", "Client link", "Reception link"]
        pages = {label: part.page for label, part in parts.items() if part}
        assert list(pages.values()) == ["provider", "host", "join", "reception"]
        host, client = parts["Host link"], parts["Client link"]
        assert host is not None
        assert client is not None
        assert host.secret == client.secret is not None
        for label, role in (("Host link", "host"), ("Client link", "client")):
            status, body = await server.get("/api/v1/link", token=token_of(server.links[label]))
            link = json.loads(body)
            assert (status, link["role"], link["provider"]) == (200, role, "Dr. Demo")
            assert link["opens_at"] <= link["server_time"] < link["closes_at"]
            assert link["closes_at"] - link["server_time"] > 7 * 3_600_000
        for path in ("/", "/join", "/host", "/provider", "/reception"):
            assert (await server.get(path))[0] == 200
        assert (await server.get("/readyz"))[0] == 200
        assert await server.stop() == 0
        assert private_files(state_dir) == []


async def test_a_state_directory_is_used_again(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    async with Served(STATE_DIR=state) as server:
        assert server.printed["state"] == str(state)
        assert server.links == {}
    files = private_files(state / "keys")
    assert len(files) == 1
    async with Served(STATE_DIR=state) as server:
        assert (await server.get("/healthz"))[0] == 200
    assert private_files(state / "keys") == files


async def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path, METRICS_PORT=0) as server:
        public, server.printed["open"] = server.url, server.printed["metrics"]
        status, body = await server.get("")
        assert status == 200
        assert "konsil_connections 0.0" in body
        server.printed["open"] = public
        assert (await server.get("/metrics"))[0] == 404


async def test_the_process_can_dump_no_core_and_its_files_are_private(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path / "state") as server:
        process = psutil.Process(server.pid)
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        # A process that is not dumpable belongs to root in /proc, whoever runs it (proc(5)).
        assert os.stat(f"/proc/{server.pid}/environ").st_uid == 0
        for path in (tmp_path / "state").rglob("*"):
            assert path.lstat().st_mode & 0o077 == 0, path


async def test_a_low_limit_of_open_files_is_raised_as_far_as_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    server = Served("--demo")
    try:
        await server.__aenter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert psutil.Process(server.pid).rlimit(psutil.RLIMIT_NOFILE)[0] == min(hard, FILES)
        host, port = server.printed["listening"].split(":")
        kept = [await asyncio.open_connection(host, port) for _ in range(250)]
        assert (await server.get("/readyz"))[0] == 200
        for _, writer in kept:
            writer.transport.abort()
    finally:
        await server.kill()


async def test_log_lines_hold_nothing_of_what_visitors_send(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path, LOG_LEVEL="debug") as server:
        await server.get(f"/{CANARY}?{CANARY}")
        await server.get("/api/v1/link", token=f"{CANARY}.{CANARY}.{CANARY}")
        host, port = server.printed["listening"].split(",")[0].rsplit(":", 1)
        for garbage in (CANARY, f"GET /{CANARY}\0 HTTP/1.1\r\nHost: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage.encode())
            writer.write_eof()
            await reader.read()
            writer.close()
        await server.stop()
        entries = await server.entries()
        assert [entry["event"] for entry in entries][-2:] == ["stopping", "stopped"]
        assert {entry["event"] for entry in entries} & {"unnamed_event", "task_failed"} == set()
        assert CANARY not in await server.log()


# TLS


async def test_a_self_signed_certificate_covers_this_machine(tmp_path: Path) -> None:
    settings = {"STATE_DIR": tmp_path, "TLS_SELF_SIGNED": "yes", "HOST": "localhost"}
    chain, key = tmp_path / "tls" / "self-signed.pem", tmp_path / "tls" / "self-signed.key"
    async with Served(**settings) as server:
        assert server.url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=str(chain))
        status, _ = await server.get("/readyz", tls=trusting)
        assert status == 200
        assert key.stat().st_mode & 0o777 == 0o600
        names = x509.load_pem_x509_certificate(chain.read_bytes()).extensions
        san = names.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "localhost" in san.get_values_for_type(x509.DNSName)
        assert "127.0.0.1" in map(str, san.get_values_for_type(x509.IPAddress))
        assert await server.stop() == 0
    made = chain.read_bytes()
    async with Served(**settings):
        assert chain.read_bytes() == made


async def test_a_renewed_certificate_is_read_at_sighup(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        async with Served(STATE_DIR=directory, TLS_SELF_SIGNED=1, HOST="127.0.0.1"):
            pass
    chain, key = first / "tls" / "self-signed.pem", first / "tls" / "self-signed.key"
    async with Served(STATE_DIR=tmp_path / "s", TLS_CERT=chain, TLS_KEY=key) as server:
        port = int(server.url.rpartition(":")[2])

        def served() -> str:
            return ssl.get_server_certificate(("127.0.0.1", port))

        before = await asyncio.to_thread(served)
        # A renewal that went wrong changes nothing, and says why.
        new_chain = (second / "tls" / "self-signed.pem").read_bytes()
        new_key = (second / "tls" / "self-signed.key").read_bytes()
        encrypted = serialization.load_pem_private_key(new_key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"4711"),
        )
        old = [path.read_bytes() for path in (chain, key)]
        reasons = []
        for wrong_chain, wrong_key, reason in (
            (old[0], b"no key", "not_pem"),
            (b"no chain", old[1], "not_pem"),
            (new_chain, old[1], "not_a_pair"),
            (new_chain, b"no key", "not_pem"),
            (new_chain, encrypted, "key_encrypted"),
            (new_chain, None, "unreadable"),
        ):
            chain.write_bytes(wrong_chain)
            key.unlink()
            if wrong_key is not None:
                key.write_bytes(wrong_key)
            reasons.append(reason)
            server.process.send_signal(signal.SIGHUP)
            await until(lambda: reasons == reasons_logged(server, "certificate_not_renewed"))
            assert await asyncio.to_thread(served) == before
            key.write_text("")
        chain.write_bytes(new_chain)
        key.write_bytes(new_key)
        server.process.send_signal(signal.SIGHUP)

        async def renewed() -> bool:
            return await asyncio.to_thread(served) != before

        await until(renewed)
        assert server.has_logged("certificate_renewed")


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    async with Served(STATE_DIR=tmp_path) as server:
        private = server.redis()
        assert await server.stop(number) == 0
        assert gone(private)
        assert private_files(tmp_path / "run") == ["lock"]
        assert [entry["level"] for entry in await server.entries()] == ["info", "info"]


async def test_a_killed_server_takes_its_redis_along_and_starts_again(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path) as server:
        private = server.redis()
        await server.kill()
        await until(lambda: gone(private))
    async with Served(STATE_DIR=tmp_path) as server:
        assert (await server.get("/readyz"))[0] == 200


async def test_a_redis_that_dies_is_back_soon(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path) as server:
        private = server.redis()
        private.kill()
        await until(lambda: server.has_logged("redis_restarted"), within=30)
        assert server.redis().pid != private.pid

        async def ready() -> bool:
            return (await server.get("/readyz"))[0] == 200

        await until(ready, within=30)
        assert server.has_logged("redis_died")


async def test_a_second_signal_ends_a_drain_that_takes_long() -> None:
    stop, began = asyncio.Event(), asyncio.Event()

    async def never(seconds: float) -> None:
        assert seconds == 600
        began.set()
        await asyncio.Event().wait()

    draining = asyncio.create_task(serve._drain([Running((), never)], 600, stop))
    await began.wait()
    assert not draining.done()
    stop.set()
    async with asyncio.timeout(5):
        await draining


async def test_a_drain_that_takes_too_long_is_cut_off() -> None:
    async def never(seconds: float) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(30):
        await serve._drain([Running((), never)], 0, asyncio.Event())


# Refusing to start


async def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, message = await refusal("--demo", PORT=port, HOST="127.0.0.1")
        assert code == 1
        assert f"127.0.0.1 port {port} is in use" in message
        code, message = await refusal("--demo", METRICS_PORT=port)
        assert "KONSIL_METRICS_PORT" in message


async def test_an_address_of_another_machine_is_named() -> None:
    code, message = await refusal("--demo", HOST="192.0.2.77")
    assert code == 1
    assert "set KONSIL_HOST" in message


async def test_an_unusable_state_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", Path("/proc/konsil")):
        code, message = await refusal(STATE_DIR=wrong)
        assert code == 1
        assert message.startswith("konsil: KONSIL_STATE_DIR: ")


async def test_a_state_directory_in_use_is_named(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path):
        code, message = await refusal(STATE_DIR=tmp_path)
        assert code == 1
        assert "another konsil serve" in message


async def test_a_lock_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    (tmp_path / "run" / "lock").mkdir(parents=True)  # what stops even root
    code, message = await refusal(STATE_DIR=tmp_path)
    assert code == 1
    assert f"cannot use {tmp_path}/run/lock: " in message


@pytest.mark.parametrize("first", ["a new directory", "one with keys"])
@pytest.mark.parametrize("settings", [{}, {"TLS_SELF_SIGNED": 1}, {"ROLES": "turn"}], ids=str)
async def test_a_disk_that_is_full_is_named(
    tmp_path: Path, first: str, settings: dict[str, object]
) -> None:
    if first == "one with keys":
        await konsil("provider", "add", "Ada", STATE_DIR=tmp_path)
    # No file may grow: what a full disk does, without one.
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'ulimit -f 0 && exec "$@"', "sh"),
        *(sys.executable, "-m", "konsil", "serve"),
        env=environment(**{**DEFAULTS, "TURN_PORT": 0, "STATE_DIR": tmp_path, **settings}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    message = err.decode()
    assert (process.returncode, out) == (1, b""), message
    assert len(message.splitlines()) == 1, message
    assert "File too large" in message
    assert str(tmp_path) in message
    assert not [name for name in private_files(tmp_path) if name.endswith((".new", ".tmp"))]


async def test_a_demo_without_a_place_for_it_is_told(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'ulimit -f 0 && exec "$@"', "sh"),
        *(sys.executable, "-m", "konsil", "serve", "--demo"),
        env=environment(**DEFAULTS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    message = err.decode()
    assert process.returncode == 1
    assert len(message.splitlines()) == 1, message
    assert message.startswith("konsil: "), message


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    _, message = await refusal("--demo", TLS_CERT=missing, TLS_KEY=missing)
    assert f"KONSIL_TLS_CERT: cannot read {missing}" in message
    missing.write_text("nothing")
    _, message = await refusal("--demo", TLS_CERT=missing, TLS_KEY=missing)
    assert "are not a PEM certificate" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ROLES": "sfu"}, "needs KONSIL_REDIS_URL"),
        ({"MEDIA_TOPOLOGY": "sfu", "ROLES": "signaling"}, "KONSIL_MEDIA_TOPOLOGY"),
        ({"SFU_HOST": "forwarder.test", "ROLES": "signaling,sfu"}, "KONSIL_SFU_HOST"),
        ({"PUBLIC_URL": "http://clinic.example"}, "must be https://"),
        ({"REDIS_SERVER": "/bin/true"}, "KONSIL_REDIS_SERVER"),
    ],
)
async def test_settings_that_cannot_be_met_are_named(settings: dict[str, str], words: str) -> None:
    code, message = await refusal("--demo", **settings)
    assert code in {1, 2}
    assert words in message


async def test_a_redis_that_is_of_no_use_is_named(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    locked = start_redis("--requirepass", "right-4711")
    full = start_redis("--maxmemory", "1")
    replica = start_redis("--replicaof", "192.0.2.1 6379")
    cases = (
        (f"unix://:wrong-4712@{locked.socket}", "refuses the user or password"),
        (locked.url, "refuses the user or password"),
        (full.url, "out of memory"),
        (replica.url, "read-only replica"),
        ("redis://127.0.0.1:1", "does not answer"),
        ("redis://user:wrong-4712@127.0.0.1:1/0", "does not answer"),
    )
    for url, words in cases:
        code, message = await refusal(STATE_DIR=tmp_path, REDIS_URL=url)
        assert code == 1
        assert words in message, url
        assert "KONSIL_REDIS_URL" in message
        assert "4712" not in message


# A Redis and a relay elsewhere


async def test_a_shared_redis_is_used_and_its_password_is_not_shown(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    shared = start_redis("--requirepass", "right-4711")
    url = f"unix://:right-4711@{shared.socket}"
    with redis.Redis.from_url(url) as client:
        client.set("another:application", "its own")
        async with Served("--demo", STATE_DIR=tmp_path, REDIS_URL=url) as server:
            assert psutil.Process(server.pid).children() == []
            assert server.printed["redis"] == f"unix://{shared.socket} (KONSIL_REDIS_URL)"
            assert (await server.get("/readyz"))[0] == 200
            await server.stop()
            assert "4711" not in await server.log()
        assert client.keys() == [b"another:application"]


async def test_an_external_relay_is_handed_on_with_credentials_it_can_check() -> None:
    relay = "turn:relay.example:3478?transport=udp,turns:relay.example:5349"
    secret = "shared-4711"
    async with Served("--demo", TURN_EXTERNAL=relay, TURN_SECRET=secret) as server:
        token = token_of(server.links["Host link"])
        asked = time.time()
        status, body = await server.get("/api/v1/ice-servers", token=token)
        answered = time.time()
        assert status == 200
        answer = json.loads(body)
        (entry,) = answer["ice_servers"]
        assert entry["urls"] == relay.split(",")
        expected = hmac.new(secret.encode(), entry["username"].encode(), hashlib.sha1).digest()
        assert base64.b64decode(entry["credential"]) == expected
        expires = int(entry["username"].partition(":")[0])
        assert asked - 1 <= expires - answer["ttl"] <= answered + 1
        assert secret not in body


def test_uvloop_is_used_where_it_is_installed() -> None:
    assert serve._loop_factory().__module__.startswith("uvloop")
