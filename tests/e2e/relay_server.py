"""A relay in a process of its own, as an operator runs one beside the web server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.konsil_server import ROOT
from tests.e2e.patience import until
from tests.ports import free_port

SECRET = "shared-4711"


class RelayServer:
    """`konsil serve --roles turn` on loopback; on the same ports after `kill` and `start`."""

    def __init__(self, directory: Path, certificate: tuple[Path, Path]) -> None:
        self._directory = directory
        self.port, self.tls_port, self._metrics_port = (free_port() for _ in range(3))
        self._process: asyncio.subprocess.Process | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KONSIL_")},
            "KONSIL_ROLES": "turn",
            "KONSIL_STATE_DIR": str(directory / "state"),
            "KONSIL_TURN_PORT": str(self.port),
            "KONSIL_TURN_TLS_PORT": str(self.tls_port),
            "KONSIL_TURN_TLS_CERT": str(certificate[0]),
            "KONSIL_TURN_TLS_KEY": str(certificate[1]),
            "KONSIL_TURN_SECRET": SECRET,
            "KONSIL_METRICS_PORT": str(self._metrics_port),
            "KONSIL_DRAIN_SECONDS": "0",
        }

    def url(self, transport: str) -> str:
        """For `KONSIL_TURN_EXTERNAL`: the relay over udp, tcp or tls alone."""
        if transport == "tls":
            return f"turns:127.0.0.1:{self.tls_port}?transport=tcp"
        return f"turn:127.0.0.1:{self.port}?transport={transport}"

    async def start(self) -> None:
        with (self._directory / "relay.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "konsil", "serve"),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        await until(self._ready, "the relay is ready", seconds=20)

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, (self._directory / "relay.log").read_text()
        try:
            return bool(await self._metrics("readyz"))
        except (aiohttp.ClientError, OSError):
            return False

    async def relayed(self) -> float:
        """Bytes that have gone through, both ways together."""
        families = text_string_to_metric_families(await self._metrics("metrics"))
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "konsil_turn_relayed_bytes_total"
        )

    async def _metrics(self, path: str) -> str:
        url = f"http://127.0.0.1:{self._metrics_port}/{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def kill(self) -> None:
        """SIGKILL: every allocation is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            await self._process.wait()
            self._process = None
