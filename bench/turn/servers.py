"""The servers under test, and what the kernel says they cost."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECRET = "s3cret"
REALM = "bench"


@dataclass(frozen=True, slots=True)
class Server:
    """A server process on loopback."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all threads so far, in seconds with nanosecond grain."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss(self) -> int:
        """Resident memory in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{self.name} has ended")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def konsil() -> Iterator[Server]:
    port = free_port()
    yield from _run("konsil", port, [sys.executable, "-m", "bench.turn.serve", str(port), SECRET])


@contextlib.contextmanager
def coturn() -> Iterator[Server]:
    port = free_port()
    command = [
        "turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp",
        "-L", "127.0.0.1", "-p", str(port), "-r", REALM, "--allow-loopback-peers",
        "--use-auth-secret", f"--static-auth-secret={SECRET}",
        "--log-file", "/dev/null", "--pidfile", "/dev/null", "--simple-log",
    ]  # fmt: skip
    yield from _run("coturn", port, command)


def _run(name: str, port: int, command: list[str]) -> Iterator[Server]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Server(name, port, process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    """Until a Binding request is answered."""
    binding = bytes.fromhex("000100002112a442") + b"t" * 12
    deadline = time.monotonic() + 15
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.2)
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                sock.send(binding)
                sock.recv(1000)
                return
            time.sleep(0.05)
    raise RuntimeError("the server does not answer")
