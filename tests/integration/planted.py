"""Modules somebody has left in the directory that a server is started from."""

from __future__ import annotations

from pathlib import Path

NAMES = ("turn", "sfu", "loadtest", "json", "asyncio", "uvloop", "msgspec")


def plant(directory: Path) -> Path:
    """Writes them; the file named is there once any of them has run."""
    ran = directory / "ran"
    code = f"open({str(ran)!r}, 'a').write(__name__ + chr(10))\nraise SystemExit(9)\n"
    for name in NAMES:
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text(code)
    return ran
