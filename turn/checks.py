"""What somebody may do with the relay who is not in a call yet: measure the way to it.

A check credential (`turn.credentials.issue_check`) is for a page that wants to know, before it is
let into a call, how good its line is. Its allocations get ports of their own, reach nothing but
one another, and live on an account: so many bytes, so many allocations, until the credential
ends, and then all of it is gone.

With several processes a check may have its two ends in two of them. A port of another process's
share is then known to belong to checks, but not to which; what could be sent there is what
another check drops. Calls are out of reach in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from turn.address import Address
from turn.peer_policy import Refusal

CHECK_PREFIX: Final = "check:"
"""Begins the opaque part of such a user name; no other one has a colon in it."""
CHECK_SECONDS: Final = 60
"""How long a check credential is good for."""
CHECK_SECONDS_MOST: Final = 120
"""Name of an expiry further ahead is none of ours, even with a clock that is a minute slow."""

_PORTS_MOST: Final = 512
_PORTS_SHARE: Final = 8  # of so many relay ports one is for checks
_PAST: Final = 2.0  # seconds that an account outlives what hangs on it


@dataclass(slots=True, eq=False)
class CheckAccount:
    """What one check credential has used in this process.

    `meter` names the bytes that all its allocations share; `made` counts allocations, those that
    have ended too. `expires` is monotonic seconds.
    """

    username: bytes
    meter: int
    expires: float
    made: int = 0

    @classmethod
    def until(cls, username: bytes, meter: int, ends: float) -> CheckAccount:
        """An account for what ends at `ends`; the last allocation may end in the same moment."""
        return cls(username, meter, ends + _PAST)


def check_ports(ports: range, processes: int) -> int:
    """How many of the relay's ports are for checks: even, and as many for each process.

    At most 512, and an eighth of a small range; 0 where that would leave a process none.
    """
    share = min(_PORTS_MOST, len(ports) // _PORTS_SHARE) // processes
    return (share & ~1) * processes


class CheckPolicy:
    """Which peers a check may reach: relayed addresses of the same credential.

    `hosts` are the relay's own addresses as clients are told them, `ports` those for checks in
    all processes, `own` those of this one. `holder` says whose a relayed address of this process
    is now.
    """

    __slots__ = ("_holder", "_hosts", "_own", "_ports")

    def __init__(
        self,
        hosts: Iterable[str],
        ports: range,
        own: range,
        holder: Callable[[Address], CheckAccount | None],
    ) -> None:
        self._hosts = frozenset(hosts)
        self._ports = ports
        self._own = own
        self._holder = holder

    def refuses(self, peer: Address, account: CheckAccount) -> Refusal | None:
        """Why the peer is refused, or None. `peer.host` is numeric, as the kernel prints it."""
        if peer.host not in self._hosts or peer.port not in self._ports:
            return Refusal.CHECK
        if peer.port in self._own and self._holder(peer) is not account:
            return Refusal.CHECK
        return None
