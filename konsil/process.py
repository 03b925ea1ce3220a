"""Keeps the memory of this process out of files and out of other processes' reach."""

import ctypes
import resource
from typing import Final

PR_SET_DUMPABLE: Final = 4


def protect_memory() -> None:
    """No core dump ever, and no ptrace or /proc/PID/mem by other processes of the same user.

    prctl(2), core(5). A crash must not write names and messages to a disk. Raises nothing: where
    the kernel has no prctl the limit alone has to do.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
