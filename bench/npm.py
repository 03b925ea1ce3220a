"""The npm packages that the bench measures against, installed beside it when they are missing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
HINT = "install Node.js 18 or later to measure against PeerJS"


class PeerMissingError(RuntimeError):
    """node or npm is not there, or the packages cannot be installed."""


def wanted() -> dict[str, str]:
    """Names and pinned versions of the packages."""
    manifest = json.loads((HERE / "package.json").read_text())
    return dict(manifest["dependencies"])


def installed(name: str) -> str | None:
    manifest = MODULES / name / "package.json"
    if not manifest.is_file():
        return None
    return str(json.loads(manifest.read_text())["version"])


def ensure() -> dict[str, str]:
    """Installs what is missing, exactly as locked. Returns names and versions.

    Raises PeerMissingError with a line that says what to do.
    """
    packages = wanted()
    if all(installed(name) == version for name, version in packages.items()):
        return packages
    npm = shutil.which("npm")
    if npm is None:
        raise PeerMissingError("npm was not found; " + HINT)
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise PeerMissingError(f"npm ci failed in {HERE}:\n{done.stderr.strip()}")
    return packages


def node() -> str:
    found = shutil.which("node")
    if found is None:
        raise PeerMissingError("node was not found; " + HINT)
    return found
