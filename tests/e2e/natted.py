"""A little internet of network namespaces: a server in the open, two homes behind symmetric NATs.

    home a 10.1.0.2 -- 10.1.0.1 NAT a 11.22.33.11 --+
                                                    +-- 11.22.33.1 web, 11.22.33.2 relay
    home b 10.2.0.2 -- 10.2.0.1 NAT b 11.22.33.12 --+

Addresses look like public ones, since a relay reaches no others. Nothing of this touches the
network of the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PLACES = "net|server|nat-[ab]|home-[ab]|try"
WEB, RELAY = "11.22.33.1", "11.22.33.2"

# To each destination another port, and only whom one has written to may answer.
NAT = """
table ip konsil {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade fully-random
  }
  chain through {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "home" jump allowed
  }
  chain allowed { accept; }
}
"""
RULES = {
    "everything": "accept",
    "no UDP": "meta l4proto udp drop; accept",
    "443 alone": "tcp dport 443 accept; drop",
}


def unable() -> str:
    """Why there can be no namespaces here; empty where there can."""
    missing = [name for name in ("ip", "nft") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"konsil{os.getpid()}try"
    command = ["ip", "netns", "add", name]
    tried = subprocess.run(command, check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"`ip netns add` is not possible here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


def sweep() -> None:
    """Takes away what test runs have left that were killed."""
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True)
    for name in re.findall(rf"^konsil(?:\d+)(?:{PLACES})\b", listed.stdout, re.MULTILINE):
        owner = re.sub(r"\D", "", name)
        if not Path(f"/proc/{owner}").exists():
            subprocess.run(["ip", "netns", "del", name], check=True)


@dataclass
class Internet:
    """`build`, then `remove`. Names are this process's own, so that several may run at once."""

    made: list[str] = field(default_factory=list)

    def name(self, place: str) -> str:
        return f"konsil{os.getpid()}{place}"

    @property
    def server(self) -> str:
        return self.name("server")

    def home(self, side: str) -> str:
        return self.name(f"home-{side}")

    def build(self) -> None:
        sweep()
        self._space("net")
        self._in("net", "ip link add br0 type bridge", "ip link set br0 up")
        self._space("server")
        self._join("server", "wan", "net", "to-server")
        for address in (WEB, RELAY):
            self._in("server", f"ip address add {address}/24 dev wan")
        self._in("net", "ip link set to-server master br0")
        for number, side in ((1, "a"), (2, "b")):
            nat, home = f"nat-{side}", f"home-{side}"
            self._space(nat)
            self._join(nat, "wan", "net", f"to-{nat}")
            self._in("net", f"ip link set to-{nat} master br0")
            self._space(home)
            self._join(home, "lan", nat, "home")
            self._in(
                nat,
                f"ip address add 11.22.33.1{number}/24 dev wan",
                f"ip address add 10.{number}.0.1/24 dev home",
            )
            self._in(nat, "tee /proc/sys/net/ipv4/ip_forward", given="1")
            self._in(nat, "nft -f -", given=NAT)
            self._in(
                home,
                f"ip address add 10.{number}.0.2/24 dev lan",
                f"ip route add default via 10.{number}.0.1",
            )

    def allow(self, what: str) -> None:
        """What the firewalls of both homes let out; what was let out before is cut off, too."""
        for side in ("a", "b"):
            rules = "".join(f"add rule ip konsil allowed {r}\n" for r in RULES[what].split("; "))
            self._in(f"nat-{side}", "nft -f -", given="flush chain ip konsil allowed\n" + rules)

    def remove(self) -> None:
        for name in reversed(self.made):
            # Its links go with it, and so do their other ends.
            subprocess.run(["ip", "netns", "del", name], check=True)
        self.made.clear()

    def _space(self, place: str) -> None:
        subprocess.run(["ip", "netns", "add", self.name(place)], check=True)
        self.made.append(self.name(place))
        self._in(place, "ip link set lo up")

    def _join(self, place: str, link: str, other: str, other_link: str) -> None:
        self._in(
            place,
            f"ip link add {link} type veth peer name {other_link} netns {self.name(other)}",
            f"ip link set {link} up",
        )
        self._in(other, f"ip link set {other_link} up")

    def _in(self, place: str, *commands: str, given: str | None = None) -> None:
        for command in commands:
            subprocess.run(
                ["ip", "netns", "exec", self.name(place), *command.split()],
                check=True,
                input=given,
                text=True,
                stdout=subprocess.DEVNULL,
            )
