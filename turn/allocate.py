"""Allocate: what a request asks for, and the opening of its sockets (RFC 8656 §7.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from turn.address import Family
from turn.allocation import Allocation, RelayedAddress
from turn.allocation_table import AllocationTable
from turn.attributes import Attribute, ErrorCode
from turn.authentication import Identity
from turn.channel import ChannelRule
from turn.checks import CheckAccount
from turn.config import MAX_ALLOCATION_LIFETIME, MIN_ALLOCATION_LIFETIME, Limits
from turn.counters import Counters
from turn.exchange import Exchange
from turn.five_tuple import FiveTuple
from turn.message import Message, pack_address_error, pack_xor_address
from turn.quotas import Bucket
from turn.refusal import RequestRefused

_UDP = 17
_BIND_ATTEMPTS = 16  # other programs hold ports of the range too; after so many it is 508


@dataclass(frozen=True, slots=True)
class Wish:
    """A valid Allocate request, as asked. `additional` is the second family of a dual one."""

    family: Family
    additional: Family | None
    even: bool
    reserve_next: bool
    token: bytes | None
    lifetime: int


@dataclass(slots=True, eq=False)
class Opening:
    """An allocation whose sockets are being opened.

    `waiting` are sockets asked for and not yet reported, `ready` those that are open. `spare`
    becomes the reservation. `errors` are what ADDRESS-ERROR-CODE will say. `account` is a check's.
    """

    exchange: Exchange
    wish: Wish
    lifetime: int
    account: CheckAccount | None = None
    ready: list[RelayedAddress] = field(default_factory=list)
    waiting: dict[int, RelayedAddress] = field(default_factory=dict)
    spare: RelayedAddress | None = None
    spare_id: int = 0
    attempts: int = 0
    errors: list[bytes] = field(default_factory=list)

    def refuse(self, family: Family, code: ErrorCode) -> None:
        """Go on without this family, and tell the client why."""
        self.errors.append(pack_address_error(family, code))


Result = tuple[Exchange, bytes | RequestRefused]


def lifetime_for(request: Message, identity: Identity, wall: float) -> int:
    """Seconds to grant (RFC 8656 §7.2): 600 to 3600, and little beyond the credential's end.

    A check ends with its credential, though that is less than RFC 8656 §3.2 has as the default.
    """
    asked = requested_lifetime(request)
    if identity.claim.check:
        return max(1, int(identity.claim.expires_at - wall))
    credential = max(MIN_ALLOCATION_LIFETIME, int(identity.claim.expires_at - wall))
    return min(max(asked, MIN_ALLOCATION_LIFETIME), MAX_ALLOCATION_LIFETIME, credential)


def requested_lifetime(request: Message) -> int:
    """LIFETIME in seconds, or the default."""
    value = request.get(Attribute.LIFETIME)
    if value is None:
        return MIN_ALLOCATION_LIFETIME
    return int.from_bytes(_sized(value, 4), "big")


def requested_family(request: Message, attribute: Attribute) -> Family | None:
    """Family of REQUESTED- or ADDITIONAL-ADDRESS-FAMILY; 440 for one that does not exist."""
    value = request.get(attribute)
    if value is None:
        return None
    number = _sized(value, 4)[0]
    if number not in (Family.IPV4, Family.IPV6):
        raise RequestRefused(ErrorCode.ADDRESS_FAMILY_NOT_SUPPORTED)
    return Family(number)


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    return value


def read_wish(request: Message) -> Wish:
    """Check the attributes of an Allocate request in the order of RFC 8656 §7.2."""
    # 3. REQUESTED-TRANSPORT must be there and be UDP.
    transport = request.get(Attribute.REQUESTED_TRANSPORT)
    if transport is None or len(transport) != 4:
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    if transport[0] != _UDP:
        raise RequestRefused(ErrorCode.UNSUPPORTED_TRANSPORT)
    # 4. DONT-FRAGMENT is supported and has no value.
    if request.get(Attribute.DONT_FRAGMENT):
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    # 5. RESERVATION-TOKEN excludes everything that would choose another socket.
    token = request.get(Attribute.RESERVATION_TOKEN)
    even = request.get(Attribute.EVEN_PORT)
    has_requested = request.has(Attribute.REQUESTED_ADDRESS_FAMILY)
    has_additional = request.has(Attribute.ADDITIONAL_ADDRESS_FAMILY)
    if token is not None:
        _sized(token, 8)
        if even is not None or has_requested or has_additional:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
    # 6. Both family attributes at once.
    if has_requested and has_additional:
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    family = requested_family(request, Attribute.REQUESTED_ADDRESS_FAMILY) or Family.IPV4
    # 8. ADDITIONAL-ADDRESS-FAMILY adds IPv6 to IPv4 and nothing else.
    additional = requested_family(request, Attribute.ADDITIONAL_ADDRESS_FAMILY)
    if additional is Family.IPV4:
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    # 9. EVEN-PORT with the R bit and a dual allocation exclude one another.
    reserve_next = even is not None and bool(_sized(even, 1)[0] & 0x80)
    if reserve_next and additional is not None:
        raise RequestRefused(ErrorCode.BAD_REQUEST)
    return Wish(
        family, additional, even is not None, reserve_next, token, requested_lifetime(request)
    )


class Allocator:
    """Makes allocations; those under way are bounded by the ports of the pools."""

    def __init__(
        self,
        table: AllocationTable,
        limits: Limits,
        counters: Counters,
        channels: ChannelRule,
        *,
        reservations: bool,
    ) -> None:
        self._channels = channels
        self._table = table
        self._limits = limits
        self._counters = counters
        self._reservations = reservations
        self._by_relay: dict[int, Opening] = {}
        self._flows: set[FiveTuple] = set()

    def allocate(self, exchange: Exchange, *, draining: bool) -> Result | None:
        """RFC 8656 §7.2; the numbers are its steps, of which 1, authentication, is done.

        Raises RequestRefused; gives None while sockets are being opened.
        """
        flow, claim = exchange.flow, exchange.signer.claim
        # 2. One allocation per five-tuple.
        if self._table.get(flow) is not None or flow in self._flows:
            raise RequestRefused(ErrorCode.ALLOCATION_MISMATCH)
        # 3 to 9. What is asked for.
        wish = read_wish(exchange.request)
        # 10. Quota, and capacity as a whole.
        quota = self._table.quota(check=claim.check)
        if quota.reached(claim.opaque, flow.client.host):
            raise RequestRefused(ErrorCode.ALLOCATION_QUOTA_REACHED)
        if draining or quota.full:
            raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
        lifetime = lifetime_for(exchange.request, exchange.signer, exchange.wall)
        opening = Opening(exchange, wish, lifetime, self._account(exchange))
        self._start(opening)
        return self._finished(opening)

    def _account(self, exchange: Exchange) -> CheckAccount | None:
        """Count this allocation to the check it is made for, if it is for one."""
        signer = exchange.signer
        if not signer.claim.check:
            return None
        ends = exchange.now + signer.claim.expires_at - exchange.wall
        account = self._table.account(signer.username, ends)
        if account is None:
            raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
        if account.made >= self._limits.check_allocations:
            raise RequestRefused(ErrorCode.ALLOCATION_QUOTA_REACHED)
        account.made += 1
        return account

    def opened(self, relay_id: int) -> Result | None:
        """A socket is open; the result, when the opening has all it can get."""
        opening = self._by_relay.pop(relay_id, None)
        if opening is None:  # given back meanwhile, as half of a pair
            return None
        relayed = opening.waiting.pop(relay_id)
        if relay_id == opening.spare_id:
            opening.spare = relayed
        else:
            opening.ready.append(relayed)
        return self._finished(opening)

    def failed(self, relay_id: int) -> Result | None:
        """A port could not be bound; try another, or go without that family."""
        opening = self._by_relay.pop(relay_id, None)
        if opening is None:
            return None
        relayed = opening.waiting.pop(relay_id)
        self._table.close(relayed, opened=False)
        if opening.wish.reserve_next:
            # A pair is one thing: give back its other half, too, and try another pair.
            self._give_back_all(opening)
        if opening.attempts < _BIND_ATTEMPTS:
            self._ask(opening, relayed.family)
        else:
            opening.refuse(relayed.family, ErrorCode.INSUFFICIENT_CAPACITY)
        return self._finished(opening)

    def _start(self, opening: Opening) -> None:
        """Take the reserved socket, or ask for every socket the wish needs."""
        wish, hosts = opening.wish, self._table.hosts
        if wish.token is not None:
            reserved = self._table.claim(wish.token, opening.exchange.signer.claim.opaque)
            if reserved is None:
                raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
            opening.ready.append(reserved)
            return
        # 7. Families this server has no relay address of.
        families = [family for family in (wish.family, wish.additional) if family is not None]
        if not any(family in hosts for family in families):
            raise RequestRefused(ErrorCode.ADDRESS_FAMILY_NOT_SUPPORTED)
        reserves = self._reservations and opening.account is None
        if wish.reserve_next and (not reserves or self._table.reservations_full):
            raise RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
        for family in families:
            self._ask(opening, family)

    def _ask(self, opening: Opening, family: Family) -> None:
        opening.attempts += 1
        host = self._table.hosts.get(family)
        if host is None:
            opening.refuse(family, ErrorCode.ADDRESS_FAMILY_NOT_SUPPORTED)
            return
        wish = opening.wish
        pool = host.pool if opening.account is None else host.checks
        if pool is None:
            port = None
        elif wish.reserve_next:
            port = pool.take_pair()
        elif wish.even:
            port = pool.take_even()
        else:
            port = pool.take()
        if port is None:
            opening.refuse(family, ErrorCode.INSUFFICIENT_CAPACITY)
            return
        self._open(opening, family, port)
        if wish.reserve_next:
            opening.spare_id = self._open(opening, family, port + 1)

    def _open(self, opening: Opening, family: Family, port: int) -> int:
        relayed = self._table.open(family, port)
        opening.waiting[relayed.relay_id] = relayed
        self._by_relay[relayed.relay_id] = opening
        self._flows.add(opening.exchange.flow)
        return relayed.relay_id

    def _give_back_all(self, opening: Opening) -> None:
        for relayed in (*opening.ready, *([opening.spare] if opening.spare else ())):
            self._table.close(relayed)
        for relay_id, relayed in opening.waiting.items():
            del self._by_relay[relay_id]
            self._table.close(relayed)
        opening.ready.clear()
        opening.waiting.clear()
        opening.spare = None
        opening.spare_id = 0

    def _finished(self, opening: Opening) -> Result | None:
        """The answer, unless sockets are still awaited."""
        if opening.waiting:
            return None
        self._flows.discard(opening.exchange.flow)
        if not opening.ready:
            return opening.exchange, RequestRefused(ErrorCode.INSUFFICIENT_CAPACITY)
        return opening.exchange, self._make(opening)

    def _make(self, opening: Opening) -> bytes:
        """Bring the allocation to life; gives the success response (RFC 8656 §7.2, at its end)."""
        exchange = opening.exchange
        flow, signer, now = exchange.flow, exchange.signer, exchange.now
        transaction_id = exchange.request.transaction_id
        rate = self._limits.requests_per_allocation
        bucket = Bucket(rate, 2 * rate, now)
        channels = self._channels.range_for(opening.wish.lifetime)
        allocation = Allocation(
            flow, signer.username, signer.claim.opaque, bucket, channels, opening.account
        )
        self._table.add(allocation, opening.ready, now + opening.lifetime)
        self._counters.allocations_made[flow.transport.value] += 1
        attributes: list[tuple[int, bytes]] = [
            (Attribute.XOR_RELAYED_ADDRESS, pack_xor_address(relayed.address, transaction_id))
            for relayed in sorted(opening.ready, key=lambda relayed: relayed.family)
        ]
        attributes.append((Attribute.LIFETIME, opening.lifetime.to_bytes(4, "big")))
        if opening.spare is not None:
            token = self._table.reserve(opening.spare, allocation.user, now)
            attributes.append((Attribute.RESERVATION_TOKEN, token))
        attributes += [(Attribute.ADDRESS_ERROR_CODE, error) for error in opening.errors]
        attributes.append(
            (Attribute.XOR_MAPPED_ADDRESS, pack_xor_address(flow.client, transaction_id))
        )
        return exchange.success(attributes)
