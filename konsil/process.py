"""What a process asks of the kernel for itself: memory that nobody reads, and enough files."""

import ctypes
import gc
import resource
from typing import Final

PR_SET_DUMPABLE: Final = 4
FILES: Final = 65_536


def protect_memory() -> None:
    """No core dump ever, and no ptrace or /proc/PID/mem by other processes of the same user.

    prctl(2), core(5). A crash must not write names and messages to a disk. Raises nothing: where
    the kernel has no prctl the limit alone has to do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def spare_what_stays() -> None:
    """Keep what there is now, nearly all of which stays to the end, out of every later collection
    of garbage, which holds up all connections."""
    gc.collect()
    gc.freeze()


def allow_files() -> int:
    """Raise the soft limit of open files to what is allowed, at most FILES; give what it is then.

    getrlimit(2). The usual soft limit of 1024 is for programs that use select(2): so few
    connections that say nothing would keep everybody else out.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return FILES if soft == resource.RLIM_INFINITY else soft
