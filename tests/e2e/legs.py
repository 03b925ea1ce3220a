"""A server and two homes in network namespaces; the leg to one of them can be made bad.

    good 10.77.1.2 ------------------ 10.77.1.1 server
    bad  10.77.2.2 --- loss, rate --- 10.77.2.1 server

The kernel may have no netem: loss is nftables' `numgen`, rate is `tc tbf`; delay is up to whoever
listens on the server's side.
"""

from __future__ import annotations

from tests.spaces import Spaces

GOOD, BAD = "10.77.1.1", "10.77.2.1"


class Legs(Spaces):
    """`build`, then `remove`."""

    @property
    def server(self) -> str:
        return self.name("leg-server")

    @property
    def homes(self) -> dict[str, str]:
        return {"good": self.name("leg-good"), "bad": self.name("leg-bad")}

    def build(self) -> None:
        self.add("leg-server")
        for number, home in ((1, "leg-good"), (2, "leg-bad")):
            self.add(home)
            self.join(home, "home", "leg-server", home)
            self.run(
                home,
                f"ip address add 10.77.{number}.2/24 dev home",
                f"ip route add default via 10.77.{number}.1",
            )
            self.run("leg-server", f"ip address add 10.77.{number}.1/24 dev {home}")

    def let_meet(self) -> None:
        """Let the two homes reach each other, and not the server alone."""
        self.forward("leg-server")

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
        self.run("leg-bad", "nft -f -", given=rules)

    def limit(self, kbit: int) -> None:
        """Let no more through to the bad leg per second; what waits longer than 0.2 s is lost."""
        self.run(
            "leg-server",
            f"tc qdisc replace dev leg-bad root tbf rate {kbit}kbit burst 6kb latency 200ms",
        )

    def unlimit(self) -> None:
        self.run("leg-server", "tc qdisc del dev leg-bad root")
