"""A little internet of network namespaces: a server in the open, two homes behind symmetric NATs.

    home a 192.168.1.2 -- 192.168.1.1 NAT a 11.22.33.11 --+
                                                          +-- 11.22.33.1 web, 11.22.33.2 relay
    home b 192.168.1.2 -- 192.168.1.1 NAT b 11.22.33.12 --+

Addresses look like public ones, since a relay reaches no others; and both homes have the same, as
homes with the same router have.
"""

from __future__ import annotations

from tests.spaces import Spaces

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


class Internet(Spaces):
    """`build`, then `remove`."""

    @property
    def server(self) -> str:
        return self.name("server")

    def home(self, side: str) -> str:
        return self.name(f"home-{side}")

    def build(self) -> None:
        self.add("net")
        self.run("net", "ip link add br0 type bridge", "ip link set br0 up")
        self.add("server")
        self.join("server", "wan", "net", "to-server")
        for address in (WEB, RELAY):
            self.run("server", f"ip address add {address}/24 dev wan")
        self.run("net", "ip link set to-server master br0")
        for number, side in ((1, "a"), (2, "b")):
            nat, home = f"nat-{side}", f"home-{side}"
            self.add(nat)
            self.join(nat, "wan", "net", f"to-{nat}")
            self.run("net", f"ip link set to-{nat} master br0")
            self.add(home)
            self.join(home, "lan", nat, "home")
            self.run(
                nat,
                f"ip address add 11.22.33.1{number}/24 dev wan",
                "ip address add 192.168.1.1/24 dev home",
            )
            self.forward(nat)
            self.run(nat, "nft -f -", given=NAT)
            self.run(
                home,
                "ip address add 192.168.1.2/24 dev lan",
                "ip route add default via 192.168.1.1",
            )

    def allow(self, what: str) -> None:
        """What the firewalls of both homes let out; what was let out before is cut off, too."""
        for side in ("a", "b"):
            rules = "".join(f"add rule ip konsil allowed {r}\n" for r in RULES[what].split("; "))
            self.run(f"nat-{side}", "nft -f -", given="flush chain ip konsil allowed\n" + rules)
