"""The protocol of a STUN and TURN server, without sockets (RFC 8489, RFC 8656).

`receive_message` takes what a client sent, the methods named after other events take those, and
`poll_output` gives what is to be done about it, one output at a time. Times are seconds of a
monotonic clock (`now`) and of the wall clock (`wall`), handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from turn.address import Address
from turn.allocate import Allocator, Result
from turn.allocation import Allocation
from turn.allocation_table import AllocationTable
from turn.attributes import COMPREHENDED, Attribute, ErrorCode, MessageClass, Method
from turn.authentication import Authenticator
from turn.channel import ChannelRule
from turn.checks import CheckPolicy
from turn.config import Limits
from turn.counters import Counters
from turn.exchange import Exchange, unknown_attributes
from turn.five_tuple import FiveTuple
from turn.handlers import AllocationHandlers
from turn.message import Malformed, Message, encode_message, pack_xor_address, parse_message
from turn.outputs import Output, Reply
from turn.peer_policy import PeerPolicy
from turn.quotas import SourceBuckets
from turn.refusal import RequestRefused
from turn.transactions import Transactions

_METHODS = frozenset(Method)


class TurnServer:
    """All of the server that is not moving bytes. One of these per process."""

    def __init__(
        self,
        table: AllocationTable,
        authenticator: Authenticator,
        policy: PeerPolicy,
        checks: CheckPolicy,
        limits: Limits,
        *,
        salt: bytes,
        random: Callable[[int], bytes],
        channels: ChannelRule,
        reservations: bool = True,
    ) -> None:
        self.counters = Counters()
        self.draining = False
        self._table = table
        self._authenticator = authenticator
        self._random = random
        self._allocator = Allocator(
            table, limits, self.counters, channels, reservations=reservations
        )
        self._handlers = AllocationHandlers(table, policy, checks, limits, self.counters)
        self._transactions = Transactions()
        # Apart by whether the address is proven, so that who forges one takes nothing from who has
        # shown that it is theirs; and what Bindings are answered takes nothing from challenges.
        self._proven, self._unproven = (
            SourceBuckets(limits.requests_per_address, limits.request_burst, salt) for _ in range(2)
        )
        self._for_bindings, self._for_challenges = (
            SourceBuckets(limits.unproven_excess, limits.unproven_excess, salt) for _ in range(2)
        )
        # What may be asked of an allocation that exists; Allocate makes one and stands apart.
        self._on_allocation: dict[int, Callable[[Exchange, Allocation], bytes]] = {
            Method.REFRESH: self._handlers.refresh,
            Method.CREATE_PERMISSION: self._handlers.create_permission,
            Method.CHANNEL_BIND: self._handlers.channel_bind,
        }

    @property
    def allocations(self) -> int:
        return len(self._table)

    # What happens in the world

    def receive_message(self, data: bytes, flow: FiveTuple, now: float, wall: float) -> None:
        """Take one message a client sent that is not ChannelData."""
        message = parse_message(data)
        if isinstance(message, Malformed):
            self.counters.dropped[message.value] += 1
        elif message.message_class is MessageClass.REQUEST:
            self._receive_request(Exchange(message, flow, now, wall))
        elif message.message_class is MessageClass.INDICATION:
            self._receive_indication(message, flow)
        else:
            self.counters.dropped["unexpected_response"] += 1

    def receive_icmp(self, relay_id: int, peer: Address, error: bytes) -> None:
        """Tell the client of an ICMP error that its datagram to a peer met (RFC 8656 §11.5).

        `error` is the value of the ICMP attribute: two zeros, type, code, four bytes of data.
        """
        allocation = self._table.owner(relay_id)
        if allocation is None or peer.host not in allocation.permissions:
            return
        transaction_id = self._random(12)
        attributes = [
            (Attribute.XOR_PEER_ADDRESS, pack_xor_address(peer, transaction_id)),
            (Attribute.ICMP, error),
        ]
        self._send(
            allocation.flow,
            encode_message(Method.DATA, MessageClass.INDICATION, transaction_id, attributes),
        )

    def relay_opened(self, relay_id: int) -> None:
        """The socket asked for by OpenRelay is bound."""
        self._conclude(self._allocator.opened(relay_id))

    def relay_failed(self, relay_id: int) -> None:
        """The socket asked for by OpenRelay could not be bound."""
        self._conclude(self._allocator.failed(relay_id))

    def flow_closed(self, flow: FiveTuple) -> None:
        """A TCP or TLS connection ended, and its allocation with it (RFC 8656 §3.1)."""
        allocation = self._table.get(flow)
        if allocation is not None:
            self._table.delete(allocation)

    def handle_timer(self, now: float) -> None:
        """Expire what is due; call at `next_timeout` or later."""
        self._table.expire(now)
        self._transactions.forget_old(now)

    def next_timeout(self) -> float | None:
        return self._table.next_deadline()

    def poll_output(self) -> Output | None:
        """The next thing to do, or None. Ask again after every call that reports something."""
        return self._table.outputs.popleft() if self._table.outputs else None

    def end_all(self) -> None:
        """End every allocation: the process is going down."""
        for allocation in list(self._table):
            self._table.delete(allocation)

    # Messages

    def _receive_request(self, exchange: Exchange) -> None:
        request, flow, now = exchange.request, exchange.flow, exchange.now
        if not self._may_ask(flow, now):
            self._refuse_rate(exchange)
            return
        if request.method == Method.BINDING:
            self._binding(exchange)
            return
        before = self._transactions.answer(flow, request.transaction_id, request.raw, now)
        if before is not None:
            self._send(flow, before)
            return
        identity = self._authenticator.check(request, flow, now, exchange.wall)
        if isinstance(identity, ErrorCode):
            self._challenge(exchange, identity)
            return
        self._receive_signed(replace(exchange, identity=identity))

    def _may_ask(self, flow: FiveTuple, now: float) -> bool:
        """Whether a request has room: with its allocation where there is one, so that a flood
        from elsewhere with the same address is nothing to it; else with its address."""
        allocation = self._table.get(flow)
        if allocation is not None:
            return allocation.requests.take(1, now)
        sources = self._proven if flow.transport.proven else self._unproven
        return sources.take(flow.client.host, 1, now)

    def _refuse_rate(self, exchange: Exchange) -> None:
        """Over UDP the client sends again. Elsewhere it does not (RFC 8489 §6.2.2), and takes
        silence for a server that is gone."""
        if not exchange.flow.transport.proven:
            self.counters.dropped["request_rate"] += 1
            return
        self._count(exchange.request, str(int(ErrorCode.SERVER_ERROR)))
        self._send(exchange.flow, exchange.error(ErrorCode.SERVER_ERROR))

    def _receive_signed(self, exchange: Exchange) -> None:
        """Answer an authenticated request, at once or, for Allocate, when its sockets are open."""
        allocation = self._table.get(exchange.flow)
        try:
            result = self._answer(exchange, allocation)
        except RequestRefused as refused:
            result = (exchange, refused)
        self._conclude(result)

    def _answer(self, exchange: Exchange, allocation: Allocation | None) -> Result | None:
        """Raises RequestRefused; None when an Allocate waits for its sockets."""
        unknown = unknown_attributes(exchange.request, COMPREHENDED)
        if unknown:
            raise RequestRefused(
                ErrorCode.UNKNOWN_ATTRIBUTE, ((Attribute.UNKNOWN_ATTRIBUTES, unknown),)
            )
        if exchange.request.method == Method.ALLOCATE:
            return self._allocator.allocate(exchange, draining=self.draining)
        handler = self._on_allocation.get(exchange.request.method)
        if handler is None:
            raise RequestRefused(ErrorCode.BAD_REQUEST)
        # 437 without an allocation, 441 for somebody else's (RFC 8656 §6).
        if allocation is None:
            raise RequestRefused(ErrorCode.ALLOCATION_MISMATCH)
        if allocation.username != exchange.signer.username:
            raise RequestRefused(ErrorCode.WRONG_CREDENTIALS)
        return exchange, handler(exchange, allocation)

    def _conclude(self, conclusion: Result | None) -> None:
        """Count, remember and send the answer to an authenticated request."""
        if conclusion is None:
            return
        exchange, result = conclusion
        if isinstance(result, RequestRefused):
            self._count(exchange.request, str(int(result.code)))
            answer = exchange.error(result.code, result.attributes)
        else:
            self._count(exchange.request, "success")
            answer = result
        request = exchange.request
        self._transactions.remember(
            exchange.flow, request.transaction_id, request.raw, answer, exchange.now
        )
        self._send(exchange.flow, answer)

    def _binding(self, exchange: Exchange) -> None:
        """RFC 8489 §12; without authentication, as a public STUN server answers."""
        request = exchange.request
        unknown = unknown_attributes(request, COMPREHENDED)
        if unknown:
            answer = exchange.error(
                ErrorCode.UNKNOWN_ATTRIBUTE, [(Attribute.UNKNOWN_ATTRIBUTES, unknown)]
            )
            self._count(request, "420")
        else:
            mapped = pack_xor_address(exchange.flow.client, request.transaction_id)
            answer = exchange.success([(Attribute.XOR_MAPPED_ADDRESS, mapped)])
            self._count(request, "success")
        self._send_unproven(exchange, answer, self._for_bindings)

    def _challenge(self, exchange: Exchange, code: ErrorCode) -> None:
        """Refuse an unauthenticated request, over UDP with as few bytes as will do.

        The long challenge, which offers SHA-256, goes to whoever has proven its address or sent
        at least half as much; a forged short request is not worth reflecting.
        """
        flow, now = exchange.flow, exchange.now
        self._count(exchange.request, str(int(code)))
        if code is ErrorCode.BAD_REQUEST:
            self._send_unproven(exchange, exchange.error(code), self._for_challenges)
            return
        size = self._authenticator.long_challenge_size + (8 if exchange.request.fingerprint else 0)
        features = flow.transport.proven or size <= 2 * len(exchange.request.raw)
        challenge = self._authenticator.challenge(flow, now, features=features)
        self._send_unproven(exchange, exchange.error(code, challenge), self._for_challenges)

    def _receive_indication(self, indication: Message, flow: FiveTuple) -> None:
        """Indications get no answer; Binding is a keep-alive (RFC 8489 §6.3.2)."""
        allocation = self._table.get(flow)
        if indication.method == Method.SEND and allocation is not None:
            self._handlers.send(indication, allocation)
        elif indication.method != Method.BINDING:
            self.counters.dropped["unexpected_indication"] += 1

    # Answers

    def _send(self, flow: FiveTuple, data: bytes) -> None:
        self._table.outputs.append(Reply(flow, data))

    def _send_unproven(self, exchange: Exchange, data: bytes, allowance: SourceBuckets) -> None:
        """Answer a source that may be forged: the bytes it sent, and a small allowance."""
        flow = exchange.flow
        excess = len(data) - len(exchange.request.raw)
        if (
            excess > 0
            and not flow.transport.proven
            and self._table.get(flow) is None
            and not allowance.take(flow.client.host, excess, exchange.now)
        ):
            self.counters.dropped["amplification"] += 1
            return
        self._send(flow, data)

    def _count(self, request: Message, outcome: str) -> None:
        method = Method(request.method).name.lower() if request.method in _METHODS else "unknown"
        self.counters.requests[method, outcome] += 1
