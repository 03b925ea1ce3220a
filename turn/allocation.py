"""An allocation: a client's flow and the relayed addresses it has been given (RFC 8656 §3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from turn.address import Address, Family, family_of
from turn.channel import Channel, ChannelTable
from turn.checks import CheckAccount
from turn.five_tuple import FiveTuple
from turn.permission import Permission
from turn.quotas import Bucket

RESERVATION_LIFETIME = 30.0  # RFC 8656 §7.2, "at least 30 seconds"


@dataclass(slots=True, eq=False)
class RelayedAddress:
    """One relayed transport address; a dual allocation has one of each family (RFC 8656 §7.2).

    `address` is what clients and peers are told, `port` what is bound here.
    """

    relay_id: int
    family: Family
    port: int
    address: Address
    expires: float = 0.0
    allocation: Allocation | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Reservation:
    """A bound port that EVEN-PORT set aside, until somebody comes with its token."""

    token: bytes
    relayed: RelayedAddress
    user: str
    expires: float


@dataclass(slots=True, eq=False)
class Allocation:
    """Everything held for one client flow. Quotas count it to `user` and the client's address.

    `account` is that of a check, which may reach less; None for what belongs to calls.
    """

    flow: FiveTuple
    username: bytes
    user: str
    requests: Bucket
    channel_numbers: range
    account: CheckAccount | None = None
    relayed: dict[Family, RelayedAddress] = field(default_factory=dict)
    permissions: dict[str, Permission] = field(default_factory=dict)
    channels: ChannelTable = field(default_factory=ChannelTable)

    def relay_for(self, host: str) -> RelayedAddress | None:
        """The relayed address that can reach a peer host, by its family."""
        return self.relayed.get(family_of(host))

    def permissions_of(self, family: Family) -> list[Permission]:
        return [p for p in self.permissions.values() if family_of(p.host) is family]

    def channels_of(self, family: Family) -> list[Channel]:
        return self.channels.of_family(family is Family.IPV6)
