"""A server and two homes in network namespaces; the leg to one of them can be made bad.

    good 10.77.1.2 ------------------ 10.77.1.1 server
    bad  10.77.2.2 --- loss, rate --- 10.77.2.1 server

The kernel may have no netem: loss is nftables' `numgen`, rate is `tc tbf`; delay is up to whoever
listens on the server's side.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

GOOD, BAD = "10.77.1.1", "10.77.2.1"

_PLACES = ("leg-server", "leg-good", "leg-bad")


def unable() -> str:
    """Why there can be no such legs here; empty where there can."""
    missing = [name for name in ("ip", "nft", "tc") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"konsil{os.getpid()}leg-try"
    tried = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True)
    if tried.returncode:
        return "`ip netns add` is not possible here"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


@dataclass
class Legs:
    """`build`, then `remove`. Names are this process's own, so that several may run at once."""

    made: list[str] = field(default_factory=list)

    def name(self, place: str) -> str:
        return f"konsil{os.getpid()}{place}"

    @property
    def server(self) -> str:
        return self.name("leg-server")

    @property
    def good(self) -> str:
        return self.name("leg-good")

    @property
    def bad(self) -> str:
        return self.name("leg-bad")

    def build(self) -> None:
        _sweep()
        for place in _PLACES:
            subprocess.run(["ip", "netns", "add", self.name(place)], check=True)
            self.made.append(place)
            self._in(place, "ip link set lo up")
        for number, place in ((1, "leg-good"), (2, "leg-bad")):
            self._in(
                place,
                f"ip link add home type veth peer name {place} netns {self.server}",
                f"ip address add 10.77.{number}.2/24 dev home",
                "ip link set home up",
                f"ip route add default via 10.77.{number}.1",
            )
            self._in(
                "leg-server",
                f"ip address add 10.77.{number}.1/24 dev {place}",
                f"ip link set {place} up",
            )

    def forward(self) -> None:
        """Let the two homes reach each other, and not the server alone."""
        self._in("leg-server", "tee /proc/sys/net/ipv4/ip_forward", given="1")

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred datagrams on the bad leg, each way."""
        rules = "table ip leg\ndelete table ip leg\n"
        if percent:
            chance = f"numgen random mod 100 < {percent}" if percent < 100 else ""
            drop = f"meta l4proto udp {chance} drop"
            rules += (
                "table ip leg {\n"
                f"  chain into {{ type filter hook input priority filter; {drop}\n  }}\n"
                f"  chain out {{ type filter hook output priority filter; {drop}\n  }}\n"
                "}\n"
            )
        self._in("leg-bad", "nft -f -", given=rules)

    def limit(self, kbit: int) -> None:
        """Let no more through to the bad leg per second; what waits longer than 0.2 s is lost."""
        self._in(
            "leg-server",
            f"tc qdisc replace dev leg-bad root tbf rate {kbit}kbit burst 6kb latency 200ms",
        )

    def unlimit(self) -> None:
        self._in("leg-server", "tc qdisc del dev leg-bad root")

    def remove(self) -> None:
        for place in reversed(self.made):
            subprocess.run(["ip", "netns", "del", self.name(place)], check=True)
        self.made.clear()

    def _in(self, place: str, *commands: str, given: str | None = None) -> None:
        for command in commands:
            subprocess.run(
                ["ip", "netns", "exec", self.name(place), *command.split()],
                check=True,
                input=given,
                text=True,
                stdout=subprocess.DEVNULL,
            )


def _sweep() -> None:
    """Takes away what test runs have left that were killed."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    for name, owner in re.findall(r"^(konsil(\d+)leg-\w+)\b", listed.stdout, re.MULTILINE):
        if not Path(f"/proc/{owner}").exists():
            subprocess.run(["ip", "netns", "del", name], check=True)
