"""A `konsil serve` of the test's own: started as an operator starts it, on a free port."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Self

import aiohttp
import psutil

START_SECONDS = 30.0
# The relay has ports of its own, which several servers on one machine cannot share.
DEFAULTS = {"PORT": 0, "ROLES": "signaling"}


def environment(**settings: object) -> dict[str, str]:
    """Ours without any KONSIL_ of whoever runs the tests, and with `settings` as KONSIL_…"""
    base = {name: value for name, value in os.environ.items() if not name.startswith("KONSIL_")}
    return base | {f"KONSIL_{name}": str(value) for name, value in settings.items()}


async def konsil(*arguments: str, **settings: object) -> tuple[int, str, str]:
    """Runs a command to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "konsil", *arguments),
        env=environment(**settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


class Served:
    """`async with Served(STATE_DIR=…) as server:` is ready to be used, and ends with the block."""

    def __init__(self, *arguments: str, **settings: object) -> None:
        self._arguments = arguments
        self._settings = {**DEFAULTS, "LOG_FORMAT": "json", **settings}
        self.printed: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self._log: list[str] = []

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "konsil", "serve", *self._arguments),
            env=environment(**self._settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read_log())
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._read_announcement()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def _read_announcement(self) -> None:
        assert self.process.stdout is not None
        label = ""
        async for raw in self.process.stdout:
            line = raw.decode().rstrip("\n")
            if line.endswith(":") and not line.startswith(" "):
                label = line[:-1]
            elif label:
                self.links[label], label = line.strip(), ""
            elif line.startswith("  "):
                name, _, text = line.strip().partition(" ")
                self.printed[name] = text.strip()
            # The last thing that is printed is an empty line.
            if not line and (len(self.links) == 4 or "--demo" not in self._arguments):
                return
        raise AssertionError("konsil serve ended: " + (await self.log())[-2000:])

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self._log.append(line.decode())

    @property
    def url(self) -> str:
        return self.printed["open"]

    @property
    def pid(self) -> int:
        return self.process.pid

    def redis(self) -> psutil.Process:
        """The private Redis."""
        (child,) = psutil.Process(self.pid).children()
        return child

    def has_logged(self, event: str) -> bool:
        return bool(self.logged(event))

    def logged(self, event: str) -> list[dict[str, object]]:
        """Lines of that event, by now."""
        entries = [json.loads(line) for line in self._log]
        return [entry for entry in entries if entry["event"] == event]

    async def log(self) -> str:
        """All of the log of a server that has ended."""
        await self._reading
        return "".join(self._log)

    async def entries(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (await self.log()).splitlines()]

    async def get(
        self, path: str, *, token: str | None = None, tls: ssl.SSLContext | bool = True
    ) -> tuple[int, str]:
        """Status and body; 0 when nobody answers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(10)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.get(self.url + path, ssl=tls) as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientConnectionError, OSError):
            return 0, ""

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end; its exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        # Its children die by themselves, which closes the pipes.
        await self._reading


def private_files(directory: Path) -> list[str]:
    """Names below `directory`, for what a server may leave there."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
