"""Relay processes: what reaches them, and what never does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
from pathlib import Path

import pytest

from tests.integration.planted import plant
from tests.integration.test_turn_running import (
    Peer,
    Talker,
    credentials,
    many,
    port_of,
    running,
    trusting,
    write_certificate,
)
from turn.config import ConfigError
from turn.five_tuple import Transport
from turn.probe import probe
from turn.relay import Relay


async def reaches(talker: Talker, peer: Peer) -> None:
    """A call goes on: a datagram comes through the relay."""
    talker.sock.send(b"\x40\0\0\x06still!")
    assert (await peer.receive())[0] == b"still!"


async def all_serve_tls(relay: Relay, directory: Path) -> None:
    """The kernel spreads connections over the processes: sixteen reach each of two."""
    port = port_of(relay, Transport.TLS)
    context = trusting(directory)
    for _ in range(16):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.transport.abort()


async def serves_tls(relay: Relay, directory: Path) -> bool:
    try:
        await all_serve_tls(relay, directory)
    except ssl.SSLError:
        return False
    return True


async def test_an_unusable_certificate_reaches_no_process(tmp_path: Path) -> None:
    serving, files = tmp_path / "serving", tmp_path / "files"
    serving.mkdir()
    async with running(serving, processes=2, limits=many(handshake_burst=1e9)) as relay:
        shutil.copytree(serving, files)  # what clients trust
        with Talker(relay) as talker, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            (serving / "key.pem").write_text("half of a")
            with pytest.raises(ConfigError, match="certificate"):
                relay.reload_certificate()
            await all_serve_tls(relay, files)
            await reaches(talker, peer)
            # One that is started anew takes the one that was good, not what the files hold now.
            killed = relay._running._workers[0]  # type: ignore[union-attr]
            former = killed.process.pid
            os.kill(former, signal.SIGKILL)
            async with asyncio.timeout(20):
                while not relay.ready or killed.process.pid == former:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await all_serve_tls(relay, files)
            assert relay.stats().restarts == 1
            write_certificate(serving)
            relay.reload_certificate()
            async with asyncio.timeout(20):
                while not await serves_tls(relay, serving):  # noqa: ASYNC110 - until both have heard
                    await asyncio.sleep(0.05)
            assert relay.stats().restarts == 1


async def test_a_process_that_cannot_use_a_certificate_goes_on_with_what_it_has(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, processes=2) as relay:
        with Talker(relay) as talker, Peer() as peer:
            await talker.allocate()
            await talker.ask(talker.client.channel_bind(0x4000, peer.address))
            for worker in relay._running._workers:  # type: ignore[union-attr]
                worker.send({"chain": {"certificate": "half", "key": "of a"}})
            said = ""
            async with asyncio.timeout(20):
                while said.count("relay_certificate_not_renewed") < 2:
                    await asyncio.sleep(0.05)
                    said += capfd.readouterr().err
            await all_serve_tls(relay, tmp_path)
            await reaches(talker, peer)
        assert relay.stats().restarts == 0
    assert str(tmp_path) not in said
    assert "half" not in said


async def test_several_processes_do_not_start_without_a_usable_certificate(tmp_path: Path) -> None:
    relay = running(tmp_path, processes=2, tls_key=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="certificate"):
        async with relay:
            pass


async def test_nothing_is_imported_from_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    ran = plant(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("turn.supervisor._START_SECONDS", 10.0)
    async with running(tmp_path, processes=2) as relay:
        await probe(Transport.UDP, "127.0.0.1", port_of(relay, Transport.UDP), *credentials())
    assert not ran.exists(), ran.read_text()
