"""systemd understands every line of the units of deploy/."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copies = []
    for source in sorted(UNITS.iterdir()):
        copies.append(tmp_path / source.name)
        # A program that is not there is a mistake as well.
        text = source.read_text("utf-8").replace("/opt/konsil/bin/konsil", sys.executable)
        copies[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies],
        capture_output=True,
        text=True,
        check=False,
    )
    # What it does not know is a warning on stderr, with exit code 0.
    about = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert (done.returncode, about) == (0, [])
