"""Starts the measured servers: Konsil by `konsil serve`, PeerJS server as npm ships it."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import npm
from bench.process import Server, wait_until

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `state_dir` is None where there is none, `metrics_url` is "" then."""

    server: Server
    port: int
    state_dir: Path | None
    public_url: str
    metrics_url: str = ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """The caller's, without settings of Konsil's: a measurement is of the defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KONSIL_")}


@contextmanager
def konsil(work: Path, core: int | None = None, nice: int = 0) -> Iterator[Running]:
    """`konsil serve` with its embedded Redis, a state directory of its own and free ports."""
    port, metrics_port, state_dir = free_port(), free_port(), work / "state"
    url = f"http://localhost:{port}"
    settings = environment() | {
        "KONSIL_HOST": "127.0.0.1",
        "KONSIL_PORT": str(port),
        "KONSIL_CONNECTIONS_PER_ADDRESS": "20000",
        "KONSIL_PUBLIC_URL": url,
        "KONSIL_STATE_DIR": str(state_dir),
        "KONSIL_METRICS_PORT": str(metrics_port),
        "KONSIL_ROLES": "signaling",
    }
    server = Server(
        "konsil",
        [sys.executable, "-m", "konsil", "serve"],
        cwd=ROOT,
        environment=settings,
        log=work / "konsil.log",
        core=core,
    )
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), server)
        server.be_nice(nice)
        yield Running(server, port, state_dir, url, f"http://127.0.0.1:{metrics_port}/metrics")
    finally:
        server.stop()


@contextmanager
def peer(work: Path, core: int | None = None) -> Iterator[Running]:
    """npm's `peer`, installed first when it is missing."""
    npm.ensure()
    log = work / "peer.log"
    server = Server(
        "peer",
        [npm.node(), "peer_server.mjs"],
        cwd=npm.HERE,
        environment=environment() | {"NODE_ENV": "production"},
        log=log,
        core=core,
    )
    try:
        wait_until(lambda: b"\n" in log.read_bytes(), server)
        port = int(json.loads(log.read_text().partition("\n")[0])["port"])
        yield Running(server, port, None, f"http://localhost:{port}")
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
