"""A real `konsil serve`, started as an operator starts it, and links made by `konsil invite`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from tests.e2e.patience import until
from tests.ports import free_port
from waiting_room.invitations import issue, plan
from waiting_room.keys import KeyRing
from waiting_room.links import ID_BYTES, new_id
from waiting_room.providers import Providers

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "Dr. Ada Example"


@dataclass(frozen=True, slots=True)
class Consultation:
    """What `konsil invite` prints."""

    room: str
    host_url: str
    client_url: str


class KonsilServer:
    """One server with a state directory, a temporary directory and a log file of its own.

    `public_port`: where browsers come in, when that is a proxy in front of the server.
    `prefix`: what it is started through, as `ip netns exec NAME`; it is then reached there alone.
    """

    def __init__(
        self,
        directory: Path,
        *,
        redis_url: str | None = None,
        public_port: int | None = None,
        settings: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.directory = directory
        self._prefix = prefix
        self.port = free_port()
        self.metrics_port = free_port()
        self.state_dir = directory / "state"
        self.temp_dir = directory / "tmp"
        self.temp_dir.mkdir(parents=True)
        self.log_file = directory / "konsil.log"
        self.url = f"http://localhost:{public_port or self.port}"
        self.direct_url = f"http://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KONSIL_")},
            "TMPDIR": str(self.temp_dir),
            "PYTHONWARNINGS": "default",
            "KONSIL_HOST": "127.0.0.1",
            "KONSIL_PORT": str(self.port),
            "KONSIL_PUBLIC_URL": self.url,
            "KONSIL_STATE_DIR": str(self.state_dir),
            "KONSIL_METRICS_PORT": str(self.metrics_port),
            "KONSIL_ROLES": "signaling",
            # Whatever must not be logged must not be logged at any level.
            "KONSIL_LOG_LEVEL": "debug",
            "KONSIL_LOG_FORMAT": "json",
            **({"KONSIL_REDIS_URL": redis_url} if redis_url else {}),
            **(settings or {}),
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Starts it, again on the same port after `kill`, and waits until it is ready."""
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._prefix, sys.executable),
                *("-m", "konsil", "serve"),
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        await until(self.ready, "konsil serve is ready", seconds=20)

    async def ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, f"konsil serve ended:\n{self.log()[-3000:]}"
        if self._prefix:
            # Printed when all is listened on.
            return "\n  state " in self.log()
        return await self.status("/readyz") == 200

    async def status(self, path: str) -> int:
        """HTTP status of a GET; 0 when nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session,
                session.get(self.direct_url + path, ssl=False) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0

    async def metrics(self) -> str:
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def redis_pid(self) -> int:
        """Of the private Redis, a child of the server."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in children:
            name = Path(f"/proc/{child}/comm").read_text()
            if "redis" in name or "valkey" in name:
                return int(child)
        raise AssertionError(f"no Redis among the children {children} of the server")

    async def kill(self) -> None:
        """SIGKILL: no farewell, nothing saved."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                await self.kill()
                raise
            self._process = None

    async def command(self, *arguments: str) -> str:
        """Runs a `konsil` command with this server's settings. Returns what it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "konsil",
            *arguments,
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return out.decode()

    async def add_provider(self) -> str:
        return await self.command("provider", "add", PROVIDER)

    async def invite(self, *, opens_in: timedelta = timedelta(), minutes: int = 60) -> Consultation:
        """A consultation whose client link opens `opens_in` from now."""
        starts_at = datetime.now(UTC) + opens_in
        printed = await self.command(
            "invite",
            *("--provider", PROVIDER, "--minutes", str(minutes), "--opens-before", "0"),
            *("--starts-at", starts_at.isoformat(timespec="seconds")),
        )
        made = json.loads(printed)
        return Consultation(made["room"], made["host_url"], made["client_url"])

    def expired_client_url(self) -> str:
        """A client link whose time is over: signed with the server's own key, an hour ago."""
        provider = Providers(self.state_dir).named(PROVIDER)
        assert provider is not None
        then = time.time() - 3600
        invitation = plan(
            provider=provider.id,
            epoch=provider.epoch,
            room=new_id(os.urandom(ID_BYTES)),
            starts_at=int(then),
            minutes=30,
            now=then,
        )
        links = issue(
            invitation,
            KeyRing.open(self.state_dir).current,
            audience=self.url,
            new_id=lambda: new_id(os.urandom(ID_BYTES)),
            now=then,
        )
        return f"{self.url}/join#{links.client_token}"
