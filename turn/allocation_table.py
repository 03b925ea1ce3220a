"""Every allocation, with its relay sockets, permissions, channels, reservations and deadlines.

The table changes state and says what the world must do about it; what a client may ask for is
decided before, in `turn.server` and `turn.allocate`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from turn.address import Address, Family
from turn.allocation import RESERVATION_LIFETIME, Allocation, RelayedAddress, Reservation
from turn.channel import CHANNEL_LIFETIME, QUARANTINE, Channel
from turn.checks import CheckAccount
from turn.config import Limits
from turn.deadlines import Deadlines
from turn.five_tuple import FiveTuple
from turn.outputs import (
    AttachRelay,
    BindChannel,
    CloseMeter,
    CloseRelay,
    EndFlow,
    OpenMeter,
    OpenRelay,
    Output,
    Permit,
    Revoke,
    UnbindChannel,
)
from turn.permission import PERMISSION_LIFETIME, Permission
from turn.ports import PortPool
from turn.quotas import AllocationQuota


@dataclass(frozen=True, slots=True)
class RelayHost:
    """Where relayed addresses of one family come from; `shown` is what clients are told.

    `checks` has the ports of checks, which are none of `pool`; None where there are no checks.
    """

    shown: str
    pool: PortPool
    checks: PortPool | None = None

    def give_back(self, port: int) -> None:
        """A port of either."""
        self.pool.give_back(port)
        if self.checks is not None:
            self.checks.give_back(port)


class AllocationTable:
    """All state that lives as long as an allocation; its bounds are in `Limits`."""

    def __init__(
        self,
        hosts: dict[Family, RelayHost],
        limits: Limits,
        random: Callable[[int], bytes],
    ) -> None:
        self.hosts = hosts
        self._calls = AllocationQuota(
            limits.allocations,
            per_user=limits.allocations_per_user,
            per_source=limits.allocations_per_address,
        )
        self._checks = AllocationQuota(
            limits.check_allocations_in_all,
            per_user=limits.check_allocations,
            per_source=limits.check_allocations_per_address,
        )
        self.outputs: deque[Output] = deque()
        self._random = random
        self._flows: dict[FiveTuple, Allocation] = {}
        self._relays: dict[int, RelayedAddress] = {}
        self._reservations: dict[bytes, Reservation] = {}
        # Accounts of checks by user name, and relayed addresses on them.
        self._accounts: dict[bytes, CheckAccount] = {}
        self._checked: dict[Address, CheckAccount] = {}
        self._limits = limits
        self._last_meter = 0
        self._deadlines = Deadlines()
        self._last_relay_id = 0

    def __len__(self) -> int:
        return len(self._flows)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(self._flows.values())

    def get(self, flow: FiveTuple) -> Allocation | None:
        return self._flows.get(flow)

    def owner(self, relay_id: int) -> Allocation | None:
        """The allocation a relay socket belongs to, if any yet."""
        relayed = self._relays.get(relay_id)
        return relayed.allocation if relayed else None

    def quota(self, *, check: bool) -> AllocationQuota:
        """What is counted of checks, or of calls: who only measures takes nothing that calls
        need."""
        return self._checks if check else self._calls

    @property
    def reservations_full(self) -> bool:
        return len(self._reservations) >= self._limits.allocations

    # Relay sockets

    def open(self, family: Family, port: int) -> RelayedAddress:
        """Ask for a socket on a port already taken from the pool."""
        self._last_relay_id += 1
        relayed = RelayedAddress(
            self._last_relay_id, family, port, Address(self.hosts[family].shown, port)
        )
        self._relays[relayed.relay_id] = relayed
        self.outputs.append(OpenRelay(relayed.relay_id, family, port))
        return relayed

    def close(self, relayed: RelayedAddress, *, opened: bool = True) -> None:
        """Give socket and port back."""
        del self._relays[relayed.relay_id]
        self.hosts[relayed.family].give_back(relayed.port)
        self._checked.pop(relayed.address, None)
        if opened:
            self.outputs.append(CloseRelay(relayed.relay_id))

    # Allocations

    def add(self, allocation: Allocation, relayed: list[RelayedAddress], expires: float) -> None:
        """Bring an allocation to life on sockets that are open."""
        self._flows[allocation.flow] = allocation
        quota = self.quota(check=allocation.account is not None)
        quota.take(allocation.user, allocation.flow.client.host)
        for address in relayed:
            address.allocation = allocation
            address.expires = expires
            allocation.relayed[address.family] = address
            self._deadlines.watch(address)
            meter = 0
            if allocation.account is not None:
                self._checked[address.address] = allocation.account
                meter = allocation.account.meter
            self.outputs.append(AttachRelay(address.relay_id, allocation.flow, meter))

    def delete(self, allocation: Allocation) -> None:
        """End an allocation with everything it holds."""
        for address in list(allocation.relayed.values()):
            self._deadlines.forget(address)
            self.release(allocation, address)

    def release_family(self, allocation: Allocation, family: Family) -> None:
        """End one half of a dual allocation, or all of a single one."""
        address = allocation.relayed[family]
        self._deadlines.forget(address)
        self.release(allocation, address)

    def release(self, allocation: Allocation, address: RelayedAddress) -> None:
        """Drop a relayed address that no deadline watches, and the allocation with its last."""
        for permission in allocation.permissions_of(address.family):
            self._deadlines.forget(permission)
            del allocation.permissions[permission.host]
        for channel in allocation.channels_of(address.family):
            self._deadlines.forget(channel)
            allocation.channels.remove(channel)
        del allocation.relayed[address.family]
        self.close(address)
        if not allocation.relayed:
            del self._flows[allocation.flow]
            quota = self.quota(check=allocation.account is not None)
            quota.give_back(allocation.user, allocation.flow.client.host)
            self.outputs.append(EndFlow(allocation.flow))

    # Reservations

    def reserve(self, relayed: RelayedAddress, user: str, now: float) -> bytes:
        """Hold an open socket for whoever of the same user brings the token given."""
        token = self._random(8)
        reservation = Reservation(token, relayed, user, now + RESERVATION_LIFETIME)
        self._reservations[token] = reservation
        self._deadlines.watch(reservation)
        return token

    def claim(self, token: bytes, user: str) -> RelayedAddress | None:
        """The reserved socket, which is the caller's from now on."""
        reservation = self._reservations.get(token)
        if reservation is None or reservation.user != user:
            return None
        del self._reservations[token]
        self._deadlines.forget(reservation)
        return reservation.relayed

    # Checks

    def account(self, username: bytes, ends: float) -> CheckAccount | None:
        """The account of a check credential that is good until `ends`, opened if there is none;
        None when `Limits.checks` are open."""
        account = self._accounts.get(username)
        if account is None and len(self._accounts) < self._limits.checks:
            self._last_meter += 1
            account = CheckAccount.until(username, self._last_meter, ends)
            self._accounts[username] = account
            self._deadlines.watch(account)
            self.outputs.append(OpenMeter(account.meter, self._limits.check_bytes))
        return account

    def checked(self, address: Address) -> CheckAccount | None:
        """Whose check a relayed address of this process belongs to."""
        return self._checked.get(address)

    # Permissions and channels

    def permit(
        self, allocation: Allocation, host: str, now: float, lifetime: float = PERMISSION_LIFETIME
    ) -> None:
        """Install or refresh a permission (RFC 8656 §9), which never makes it end sooner."""
        permission = allocation.permissions.get(host)
        if permission is not None:
            permission.expires = max(permission.expires, now + lifetime)
            return
        permission = Permission(allocation, host, now + lifetime)
        allocation.permissions[host] = permission
        self._deadlines.watch(permission)
        relayed = allocation.relay_for(host)
        assert relayed is not None
        self.outputs.append(Permit(relayed.relay_id, host))

    def bind(self, allocation: Allocation, number: int, peer: Address, now: float) -> None:
        """Bind or refresh a channel without conflict, and its permission (RFC 8656 §12.2).

        That lasts as long as the channel, not the 300 s of RFC 8656 §9. coturn does the same, and
        clients that have been tried with coturn alone, aioice and aiortc for one, refresh their
        channels only: they would go on sending, and hear nothing.
        """
        self.permit(allocation, peer.host, now, CHANNEL_LIFETIME)
        channel = allocation.channels.get(number)
        if channel is not None and channel.bound:
            channel.expires = now + CHANNEL_LIFETIME
            return
        if channel is not None:  # the same pair comes back out of its quarantine
            self._deadlines.forget(channel)
            allocation.channels.remove(channel)
        channel = Channel(allocation, number, peer, now + CHANNEL_LIFETIME)
        allocation.channels.add(channel)
        self._deadlines.watch(channel)
        relayed = allocation.relay_for(peer.host)
        assert relayed is not None
        self.outputs.append(BindChannel(relayed.relay_id, number, peer))

    # Time

    def next_deadline(self) -> float | None:
        return self._deadlines.next()

    def expire(self, now: float) -> None:
        """End everything whose time is over."""
        while (item := self._deadlines.due(now)) is not None:
            match item:
                case RelayedAddress(allocation=Allocation() as allocation):
                    self.release(allocation, item)
                case Permission(allocation=allocation):
                    self._revoke(allocation, item)
                case Channel():
                    self._expire_channel(item)
                case Reservation():
                    del self._reservations[item.token]
                    self.close(item.relayed)
                case CheckAccount():
                    del self._accounts[item.username]
                    self.outputs.append(CloseMeter(item.meter))

    def _revoke(self, allocation: Allocation, permission: Permission) -> None:
        del allocation.permissions[permission.host]
        relayed = allocation.relay_for(permission.host)
        assert relayed is not None
        self.outputs.append(Revoke(relayed.relay_id, permission.host))

    def _expire_channel(self, channel: Channel) -> None:
        allocation = channel.allocation
        if not channel.bound:
            allocation.channels.remove(channel)
            return
        channel.bound = False
        channel.expires += QUARANTINE
        self._deadlines.watch(channel)
        relayed = allocation.relay_for(channel.peer.host)
        assert relayed is not None
        self.outputs.append(UnbindChannel(relayed.relay_id, channel.number))
