"""`python -m loadtest.report page.html one.json another.json …`: one page of all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loadtest.report.page import page


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    target, *sources = map(Path, arguments)
    try:
        documents = [json.loads(source.read_text()) for source in sources]
        target.write_text(page("Konsil under load", documents))
    except (OSError, ValueError, KeyError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
