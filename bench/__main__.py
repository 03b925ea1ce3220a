"""`python -m bench [part …] [options]`: runs the named parts, or all of them.

Options go to the parts that know them: `python -m bench signaling --help`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec

# Each module has main(arguments) -> exit code.
PARTS = {
    "signaling": "bench.signaling",
    "first-frame": "bench.first_frame",
    "turn": "bench.turn",
}


def main(arguments: list[str]) -> int:
    split = next((at for at, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:split], arguments[split:]
    unknown = [name for name in names if name not in PARTS]
    if unknown or (not names and options and options != ["--quick"]):
        print(__doc__, f"\nParts: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    code = 0
    for name in names or [each for each in PARTS if find_spec(PARTS[each])]:
        print(f"== {name} ==", flush=True)
        run: Callable[[list[str]], int] = importlib.import_module(PARTS[name]).main
        code = max(code, run(options))
        print()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
