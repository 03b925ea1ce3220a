"""Network namespaces of a test run's own. Nothing of this touches the network of the machine."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path


def unable(*programs: str) -> str:
    """Why there can be no namespaces here, or nothing done in them; empty where there can."""
    missing = [name for name in ("ip", "nft", *programs) if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"konsil{os.getpid()}-try"
    command = ["ip", "netns", "add", name]
    tried = subprocess.run(command, check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"`ip netns add` is not possible here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Spaces:
    """Names are their own, so that there may be several at once. `remove` takes all away."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self._number = next(self._numbers)
        self._made: list[str] = []
        _sweep()

    def name(self, place: str) -> str:
        return f"konsil{os.getpid()}-{self._number}-{place}"

    def add(self, place: str) -> None:
        """Make a namespace, in which there is nobody yet."""
        subprocess.run(["ip", "netns", "add", self.name(place)], check=True)
        self._made.append(place)
        self.run(place, "ip link set lo up")

    def join(self, place: str, link: str, other: str, other_link: str) -> None:
        """A cable between two of them."""
        self.run(
            place,
            f"ip link add {link} type veth peer name {other_link} netns {self.name(other)}",
            f"ip link set {link} up",
        )
        self.run(other, f"ip link set {other_link} up")

    def forward(self, place: str) -> None:
        """Have it pass on what is for others."""
        self.run(place, "tee /proc/sys/net/ipv4/ip_forward", given="1")

    def run(self, place: str, *commands: str, given: str | None = None) -> None:
        """Run commands there, one after the other; `given` is their standard input."""
        for command in commands:
            subprocess.run(
                ["ip", "netns", "exec", self.name(place), *command.split()],
                check=True,
                input=given,
                text=True,
                stdout=subprocess.DEVNULL,
            )

    def remove(self) -> None:
        """The cables of a namespace go with it, their other ends too."""
        for place in reversed(self._made):
            subprocess.run(["ip", "netns", "del", self.name(place)], check=True)
        self._made.clear()


def _sweep() -> None:
    """Takes away what test runs have left that were killed."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    for name, owner in re.findall(r"^(konsil(\d+)-[\da-z-]+)\b", listed.stdout, re.MULTILINE):
        if not Path(f"/proc/{owner}").exists():
            subprocess.run(["ip", "netns", "del", name], check=True)
