"""The private Redis: a child process on a Unix socket, without persistence, that ends with us."""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import redis.asyncio
from redis.exceptions import RedisError

from konsil import redis_program, tether
from konsil.errors import StartError
from konsil.private_files import private_directory, write_private
from konsil.redis_program import Program
from konsil.secret import Secret

log: Final = logging.getLogger(__name__)

USER: Final = "konsil"
# sun_path is 108 bytes with its final NUL (unix(7)).
SOCKET_PATH_MAX: Final = 107
START_SECONDS: Final = 15.0
STOP_SECONDS: Final = 3.0
BACKOFF_FIRST: Final = 0.05
BACKOFF_LAST: Final = 5.0
HEALTHY_SECONDS: Final = 10.0


class RedisChild:
    """Owns the child process and the task that starts it again when it dies.

    Use as `async with`. It must be entered on the thread that lives as long as the server does: the
    kernel kills the child when the thread that started it ends.
    """

    def __init__(
        self,
        program: Program,
        state_dir: Path,
        *,
        prefix: str,
        commands: Sequence[str],
        memory_mib: int = 256,
    ) -> None:
        self.program = program
        self.restarts = 0
        self._run_dir = state_dir / "run"
        self._prefix = prefix
        self._commands = tuple(commands)
        self._memory_mib = memory_mib
        self._password = secrets.token_urlsafe(32)
        self._socket = socket_path(self._run_dir)
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._lock = -1

    @property
    def url(self) -> Secret:
        """unix:// URL with the credentials; stays the same over restarts."""
        return Secret(redis_url(self._socket, USER, self._password))

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        self._claim()
        try:
            await self._launch()
            write_private(self.credentials_file(self._run_dir.parent), self._credentials())
        except BaseException:
            await self._stop_process()
            self._release()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="redis-child")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._stop_process()
        self._release()

    @staticmethod
    def credentials_file(state_dir: Path) -> Path:
        """Where a running server leaves what `konsil privacy-audit` connects with (mode 0600)."""
        return state_dir / "run" / "redis.json"

    def _credentials(self) -> str:
        return json.dumps(
            {
                "socket": str(self._socket),
                "user": USER,
                "password": self._password,
                "prefix": self._prefix,
                "server": os.getpid(),
            }
        )

    def _claim(self) -> None:
        """Takes the runtime directory for this process alone; StartError when another has it."""
        private_directory(self._run_dir)
        if self._socket.parent != self._run_dir:
            private_directory(self._socket.parent)
        lock = self._run_dir / "lock"
        try:
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"cannot use {lock}: {error.strerror}; it must be a file of the user konsil runs as"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StartError(
                f"another konsil serve is using {self._run_dir.parent}: stop it, or give this one "
                "another --state-dir, or give both one Redis with KONSIL_REDIS_URL"
            ) from None

    def _release(self) -> None:
        self._socket.unlink(missing_ok=True)
        self.credentials_file(self._run_dir.parent).unlink(missing_ok=True)
        if self._socket.parent != self._run_dir:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()
        os.close(self._lock)

    async def _launch(self) -> None:
        """Starts the program and waits until it answers. Raises StartError."""
        text = redis_program.configuration(
            self.program,
            socket=self._socket,
            memory_mib=self._memory_mib,
            user=USER,
            password=self._password,
            prefix=self._prefix,
            commands=self._commands,
        )
        # A socket that a killed predecessor left would only ever refuse connections.
        self._socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(Path(tether.__file__)),
            str(os.getpid()),
            str(self.program.path),
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            cwd="/",
        )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(text.encode())
            await self._process.stdin.drain()
        self._process.stdin.close()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._answers()
        except TimeoutError:
            await self._stop_process()
            raise StartError(f"{self.program} does not answer on its socket") from None

    async def _answers(self) -> None:
        process = self._process
        assert process is not None
        client = redis.asyncio.from_url(self.url.reveal(), retry=None)
        try:
            while process.returncode is None:
                try:
                    # The timeout keeps a half-started server from holding us.
                    async with asyncio.timeout(1):
                        await client.ping()
                    return
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(0.01)
        finally:
            await client.aclose()
        raise StartError(f"{self.program} stopped at once with exit code {process.returncode}")

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        backoff, since = BACKOFF_FIRST, loop.time()
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if loop.time() - since > HEALTHY_SECONDS:
                backoff = BACKOFF_FIRST
            log.warning("redis_died", extra={"code": code})
            await asyncio.sleep(backoff)
            backoff, since = min(backoff * 2, BACKOFF_LAST), loop.time()
            try:
                await self._launch()
            except (StartError, OSError):
                log.exception("redis_restart_failed")
            else:
                self.restarts += 1
                log.warning("redis_restarted", extra={"count": self.restarts})

    async def _stop_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                async with asyncio.timeout(patience):
                    await process.wait()
                return
            except TimeoutError:
                continue


def redis_url(socket: Path, user: str, password: str) -> str:
    return f"unix://{quote(user)}:{quote(password)}@{quote(str(socket))}"


def socket_path(run_dir: Path) -> Path:
    """`run_dir`/redis.sock, or a short path of its own where that is too long for a socket."""
    path = run_dir / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        return path
    # The same for the same state directory, so that killed servers leave one directory, not many.
    digest = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:12]
    base = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    if not base.is_absolute() or not base.is_dir() or len(os.fsencode(base)) > SOCKET_PATH_MAX - 50:
        base = Path("/tmp")  # noqa: S108 - made 0700 and checked to be ours before use
    return base / f"konsil-{os.getuid()}-{digest}" / "redis.sock"
