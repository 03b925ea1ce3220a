"""Runs a program that dies with the process that started it, even when that one is killed.

Executed as a script of its own between fork and the program (`python -I -S tether.py PARENT PROGRAM
ARGUMENTS…`): prctl after exec is safe whatever threads and locks the parent has, unlike a
preexec_fn. The kernel keeps the death signal over execve (prctl(2)). It is sent when the parent
*thread* ends, so the parent must start the program from a thread that lives as long as it needs it.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


def main(arguments: list[str]) -> None:
    parent, program = int(arguments[0]), arguments[1]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise SystemExit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # The parent may have died before prctl; then nobody would send the signal.
    if os.getppid() != parent:
        raise SystemExit(1)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ctrl-C reaches the whole foreground group; the parent decides when its child stops.
    os.setsid()
    os.execv(program, arguments[1:])  # noqa: S606 - becoming it is the point


if __name__ == "__main__":
    main(sys.argv[1:])
