"""`python -m bench [part …] [options]`: runs the named parts, or all of them.

Options go to the parts named: `python -m bench signaling --help`. With `--quick` alone every part
takes a short run, to see that it works.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from bench import first_frame, signaling

_SHORT = {
    "bench.growth": ["--quick"],
    "bench.intruders": ["--calls", "5", "--seconds", "4", "--rounds", "1", "--patient", "50"],
}


def _alone(module: str) -> Callable[[list[str]], int]:
    """A part in a process of its own, as it is started by itself: what it measures shares no
    interpreter with what ran before."""

    def run(arguments: list[str]) -> int:
        short = _SHORT.get(module, ["--seconds", "0.3"])
        given = short if arguments == ["--quick"] else arguments
        return subprocess.run([sys.executable, "-m", module, *given], check=False).returncode

    return run


# Each takes its options and gives an exit code.
PARTS: dict[str, Callable[[list[str]], int]] = {
    "signaling": signaling.main,
    "first-frame": first_frame.main,
    "turn": _alone("bench.turn"),
    "sfu": _alone("bench.sfu"),
    "growth": _alone("bench.growth"),
    "intruders": _alone("bench.intruders"),
}


def main(arguments: list[str]) -> int:
    split = next((at for at, word in enumerate(arguments) if word[0] == "-"), len(arguments))
    names, options = arguments[:split], arguments[split:]
    if any(name not in PARTS for name in names) or (
        not names and options and options != ["--quick"]
    ):
        print(__doc__, f"\nParts: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    code = 0
    for name in names or list(PARTS):
        print(f"== {name} ==", flush=True)
        code = max(code, PARTS[name](options))
        print(flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
