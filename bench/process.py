"""One measured server process: pinned to a core, its CPU time and memory read from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `pss` counts a page shared by n processes as 1/n."""

    rss: int
    pss: int


class Server:
    """A child process in a group of its own, so that it is ended together with its children.

    `core` pins it, and all it starts, to one core; None leaves it free.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        log: Path,
        core: int | None,
    ) -> None:
        self.name = name
        self.log = log
        self._output = log.open("wb")
        before = os.sched_getaffinity(0)
        try:
            # A child inherits the affinity of the thread that starts it, so not even its first
            # threads run elsewhere.
            if core is not None:
                os.sched_setaffinity(0, {core})
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, before)

    @property
    def pid(self) -> int:
        return self._process.pid

    def be_nice(self, nice: int) -> None:
        """It and its children, against all other work of the machine. Linux schedules sessions
        before it looks at who is nice within each (autogroups), so nice(1) alone would change
        nothing. Raises PermissionError below 0."""
        for pid in (self.pid, *descendants(self.pid)) if nice else ():
            os.setpriority(os.PRIO_PROCESS, pid, nice)
            session = Path(f"/proc/{pid}/autogroup")
            if session.exists():
                session.write_text(str(nice))

    def check(self) -> None:
        """Raises RuntimeError with the end of its log when the server has ended."""
        if self._process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}:\n{tail}")

    def cpu(self) -> float:
        """Seconds of user and system time of all threads of the main process."""
        return _cpu(self.pid)

    def cpu_of_children(self) -> float:
        """The same of its living children, such as an embedded Redis."""
        return sum(_cpu(pid) for pid in descendants(self.pid))

    def memory(self) -> Memory:
        return _memory(self.pid)

    def memory_of_children(self) -> Memory:
        parts = [_memory(pid) for pid in descendants(self.pid)]
        return Memory(sum(part.rss for part in parts), sum(part.pss for part in parts))

    def wait(self, timeout: float = 600) -> int:
        """Its exit code, when it has ended by itself."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 15) -> None:
        """Asks it to end, then ends it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._output.close()


def _cpu(pid: int) -> float:
    # The second field, the program's name, may hold spaces and brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def _memory(pid: int) -> Memory:
    values = {"Rss": 0, "Pss": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key in values:
            values[key] = int(rest.split()[0]) * 1024
    return Memory(values["Rss"], values["Pss"])


def descendants(pid: int) -> Iterator[int]:
    """Children, their children and so on."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def wait_until(ready: Callable[[], bool], server: Server, timeout: float = 30) -> None:
    """Calls `ready` until it is true. Raises TimeoutError; RuntimeError when the server ended."""
    limit = time.monotonic() + timeout
    while not ready():
        server.check()
        if time.monotonic() > limit:
            raise TimeoutError(f"{server.name} was not ready after {timeout} s; see {server.log}")
        time.sleep(0.02)
