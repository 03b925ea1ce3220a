"""What a client does with an allocation it has: Refresh, CreatePermission, ChannelBind, Send."""

from __future__ import annotations

from turn.address import Address, family_of
from turn.allocate import lifetime_for, requested_family, requested_lifetime
from turn.allocation import Allocation
from turn.allocation_table import AllocationTable
from turn.attributes import COMPREHENDED, Attribute, ErrorCode
from turn.checks import CheckPolicy
from turn.config import Limits
from turn.counters import Counters
from turn.exchange import Exchange, unknown_attributes
from turn.message import Message, unpack_xor_address
from turn.outputs import Transmit
from turn.peer_policy import PeerPolicy
from turn.refusal import RequestRefused


class AllocationHandlers:
    """Handlers for messages on an existing allocation; the caller has checked its owner."""

    __slots__ = ("_checks", "_counters", "_limits", "_policy", "_table")

    def __init__(
        self,
        table: AllocationTable,
        policy: PeerPolicy,
        checks: CheckPolicy,
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._table = table
        self._policy = policy
        self._checks = checks
        self._limits = limits
        self._counters = counters

    def refresh(self, exchange: Exchange, allocation: Allocation) -> bytes:
        """RFC 8656 §8.2."""
        request = exchange.request
        # 1. A family the allocation does not have.
        family = requested_family(request, Attribute.REQUESTED_ADDRESS_FAMILY)
        if family is not None and family not in allocation.relayed:
            raise RequestRefused(ErrorCode.PEER_ADDRESS_FAMILY_MISMATCH)
        families = list(allocation.relayed) if family is None else [family]
        # 2. Lifetime 0 deletes; anything else is bounded as in Allocate.
        lifetime = 0
        if requested_lifetime(request) == 0:
            for each in families:
                self._table.release_family(allocation, each)
        else:
            lifetime = lifetime_for(request, exchange.signer, exchange.wall)
            for each in families:
                allocation.relayed[each].expires = exchange.now + lifetime
        return exchange.success([(Attribute.LIFETIME, lifetime.to_bytes(4, "big"))])

    def create_permission(self, exchange: Exchange, allocation: Allocation) -> bytes:
        """RFC 8656 §10.2: all of the peers, or none."""
        values = exchange.request.get_all(Attribute.XOR_PEER_ADDRESS)
        if not values:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        peers = [self._peer(value, exchange.request, allocation) for value in values]
        self._check_room(allocation, {peer.host for peer in peers})
        for peer in peers:
            self._table.permit(allocation, peer.host, exchange.now)
        return exchange.success()

    def channel_bind(self, exchange: Exchange, allocation: Allocation) -> bytes:
        """RFC 8656 §12.2."""
        request = exchange.request
        # 1. Both attributes, a number in range.
        number = request.get(Attribute.CHANNEL_NUMBER)
        value = request.get(Attribute.XOR_PEER_ADDRESS)
        if number is None or len(number) != 4 or value is None:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        channel = int.from_bytes(number[:2], "big")
        if channel not in allocation.channel_numbers:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        # 2. A peer that may be reached.
        peer = self._peer(value, request, allocation)
        # 3. Neither number nor peer bound, now or in the last minutes, to another.
        if allocation.channels.conflicts(channel, peer):
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        # 4. Capacity.
        if (
            allocation.channels.get(channel) is None
            and len(allocation.channels) >= self._limits.channels_per_allocation
        ):
            raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
        self._check_room(allocation, {peer.host})
        self._table.bind(allocation, channel, peer, exchange.now)
        return exchange.success()

    def send(self, indication: Message, allocation: Allocation) -> None:
        """RFC 8656 §11.2; whatever is wrong with it, it is dropped without an answer."""
        value = indication.get(Attribute.XOR_PEER_ADDRESS)
        payload = indication.get(Attribute.DATA)
        peer = unpack_xor_address(value, indication.transaction_id) if value else None
        if peer is None or payload is None or unknown_attributes(indication, COMPREHENDED):
            self._counters.dropped["bad_indication"] += 1
            return
        relayed = allocation.relay_for(peer.host)
        if relayed is None or peer.host not in allocation.permissions:
            self._counters.dropped["no_permission"] += 1
        elif self._refuses_port(peer, allocation):
            self._counters.dropped["peer_own_host"] += 1
        else:
            dont_fragment = indication.has(Attribute.DONT_FRAGMENT)
            self._table.outputs.append(Transmit(relayed.relay_id, peer, payload, dont_fragment))

    def _peer(self, value: bytes, request: Message, allocation: Allocation) -> Address:
        """A peer address that policy allows and the allocation has a family for.

        Policy speaks first: a forbidden peer is 403 whatever the allocation could reach.
        """
        peer = unpack_xor_address(value, request.transaction_id)
        if peer is None:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        if allocation.account is None:
            refusal = self._policy.refuses(peer)
        else:
            refusal = self._checks.refuses(peer, allocation.account)
        if refusal is not None:
            self._counters.dropped[f"peer_{refusal.value}"] += 1
            raise RequestRefused(ErrorCode.FORBIDDEN)
        if family_of(peer.host) not in allocation.relayed:
            raise RequestRefused(ErrorCode.PEER_ADDRESS_FAMILY_MISMATCH)
        return peer

    def _refuses_port(self, peer: Address, allocation: Allocation) -> bool:
        """Permissions are for hosts; whether this port of a permitted one is refused."""
        if allocation.account is None:
            return self._policy.refuses_port(peer)
        return self._checks.refuses(peer, allocation.account) is not None

    def _check_room(self, allocation: Allocation, hosts: set[str]) -> None:
        new = hosts - allocation.permissions.keys()
        if len(allocation.permissions) + len(new) > self._limits.permissions_per_allocation:
            raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
