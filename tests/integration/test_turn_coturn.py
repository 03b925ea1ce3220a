"""coturn's own clients against this server, as they run against coturn's (Debian: `coturn`)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.test_turn_running import SECRET, credentials, port_of, running
from tests.ports import free_port
from turn.five_tuple import Transport
from turn.probe import probe
from turn.relay import Relay

pytestmark = pytest.mark.skipif(
    shutil.which("turnutils_uclient") is None, reason="coturn's clients are not installed"
)


@contextlib.asynccontextmanager
async def echo_peer() -> AsyncIterator[int]:
    """`turnutils_peer`, which sends every datagram back to where it came from."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *("turnutils_peer", "-L", "127.0.0.1", "-L", "::1", "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _answers(port)
        yield port
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(("127.0.0.1", port))
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                    await loop.sock_sendall(sock, b"?")
                    await asyncio.wait_for(loop.sock_recv(sock, 10), 0.2)
                    return
                await asyncio.sleep(0.05)


async def run(program: str, *arguments: str, seconds: float = 40) -> tuple[int | None, str]:
    """Exit code and output; None when it had to be stopped."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, ""
    return process.returncode, output.decode(errors="replace")


async def uclient(relay: Relay, transport: Transport, host: str, *arguments: str) -> str:
    """A run of `turnutils_uclient` that must lose nothing."""
    code, output = await run(
        "turnutils_uclient",
        *("-W", SECRET, "-u", "alice", "-z", "5", "-c"),
        *("-p", str(port_of(relay, transport, host)), *arguments, host),
    )
    assert code == 0, output[-2000:]
    totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output)
    sent, received = map(int, totals[-1])
    assert sent == received > 0, output[-2000:]
    assert "Total lost packets 0 " in output
    return output


FOUR = ("-e", "127.0.0.1")
SIX = ("-x", "-e", "::1")


@pytest.mark.parametrize(
    ("transport", "host", "arguments"),
    [
        pytest.param(Transport.UDP, "127.0.0.1", ("-m", "4", "-n", "40", *FOUR), id="udp"),
        pytest.param(Transport.UDP, "127.0.0.1", ("-s", "-m", "4", "-n", "40", *FOUR), id="send"),
        pytest.param(Transport.TCP, "127.0.0.1", ("-t", "-m", "4", "-n", "40", *FOUR), id="tcp"),
        pytest.param(
            Transport.TCP, "127.0.0.1", ("-t", "-s", "-m", "2", "-n", "20", *FOUR), id="tcp-send"
        ),
        pytest.param(
            Transport.TLS, "127.0.0.1", ("-S", "-t", "-m", "2", "-n", "40", *FOUR), id="tls"
        ),
        pytest.param(
            Transport.TLS, "127.0.0.1", ("-S", "-t", "-s", "-m", "2", "-n", "20", *FOUR),
            id="tls-send",
        ),
        pytest.param(Transport.UDP, "127.0.0.1", ("-y", "-m", "2", "-n", "40"), id="to-each-other"),
        pytest.param(Transport.UDP, "::1", ("-m", "2", "-n", "40", *SIX), id="ipv6"),
        pytest.param(Transport.TCP, "::1", ("-t", "-m", "2", "-n", "20", *SIX), id="ipv6-tcp"),
        pytest.param(Transport.UDP, "127.0.0.1", ("-m", "2", "-n", "20", *SIX), id="ipv4-to-ipv6"),
    ],
)  # fmt: skip
async def test_uclient(
    tmp_path: Path, transport: Transport, host: str, arguments: tuple[str, ...]
) -> None:
    async with echo_peer() as peer, running(tmp_path) as relay:
        await uclient(relay, transport, host, *arguments, "-l", "1200", "-r", str(peer))
        dropped = relay.stats().dropped
        assert not {"unbound_channel", "no_permission", "bad_indication"} & dropped.keys()


async def test_uclient_with_rtcp_pairs(tmp_path: Path) -> None:
    """Without `-c` it asks for EVEN-PORT with a reservation and comes back with the token."""
    async with echo_peer() as peer, running(tmp_path) as relay:
        code, output = await run(
            "turnutils_uclient",
            *("-W", SECRET, "-u", "alice", "-z", "5", "-m", "2", "-n", "20", "-l", "200"),
            *("-p", str(port_of(relay, Transport.UDP)), *FOUR, "-r", str(peer), "127.0.0.1"),
        )
        assert code == 0, output[-2000:]
        assert "Total lost packets 0 " in output


async def test_uclient_with_a_wrong_secret_gets_nowhere(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        code, output = await run(
            "turnutils_uclient",
            *("-W", "guess", "-u", "alice", "-c", "-n", "1", "-e", "127.0.0.1"),
            *("-p", str(port_of(relay, Transport.UDP)), "127.0.0.1"),
        )
        assert code != 0, output
        assert relay.allocations == 0


async def test_the_negative_protocol_test_harms_no_other(tmp_path: Path) -> None:
    """`-R` sends damaged messages and waits for answers that damaged messages do not get (from
    coturn neither), so it is stopped; meanwhile and afterwards everybody else is served."""
    async with echo_peer() as peer, running(tmp_path) as relay:
        port = port_of(relay, Transport.UDP)
        negative = asyncio.create_task(
            run(
                "turnutils_uclient",
                *("-W", SECRET, "-u", "alice", "-R", "-m", "2", "-n", "20", "-l", "200", "-c"),
                *("-p", str(port), *FOUR, "-r", str(peer), "127.0.0.1"),
                seconds=6,
            )
        )
        for number in range(4):
            await probe(Transport.UDP, "127.0.0.1", port, *credentials(opaque=f"p{number}"))
            await asyncio.sleep(1)
        await negative
        await uclient(
            relay, Transport.UDP, "127.0.0.1", "-m", "1", "-n", "5", *FOUR, "-r", str(peer)
        )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_stunclient(tmp_path: Path, host: str) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.UDP, host)
        _, output = await run("turnutils_stunclient", "-p", str(port), host)
        assert re.search(r"UDP reflexive addr: \[?" + re.escape(host), output), output


async def test_natdiscovery(tmp_path: Path) -> None:
    async with running(tmp_path) as relay:
        port = port_of(relay, Transport.UDP)
        _, output = await run("turnutils_natdiscovery", "-m", "-p", str(port), "127.0.0.1")
        assert "UDP reflexive addr: 127.0.0.1" in output
