"""The first protocol of every accepted TCP connection: the guard, and the HTTP server behind it.

    bytes -> RequestGuard -> aiohttp's RequestHandler
                          -> GET /ws: the connection becomes a Socket's

aiohttp's part is made when the first whole request for it is there, so half requests cost little.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from signaling.guard import Forward, Output, Reject, RequestGuard
from signaling.handshake import is_for_websocket
from signaling.seats import Seat
from signaling.turnstile import EVERY_S, Turnstile
from signaling.wheel import Wheel

UNREAD_DEADLINE_S: Final = 60.0
"""What a client has for reading on when an answer does not fit into the buffers between; then, or
when the connection has been closed meanwhile, it is cut."""

_LOOK_AGAIN_S = 2.0

MAX_HELD_UPGRADES: Final = 2_000
"""Requests that wait because others of their address have offended. One more is cut at once."""


class Upgrader(Protocol):
    """Answers a whole GET /ws; `peer` is the address of the TCP peer, "" where it has none."""

    def wait(self, request: bytes, peer: str) -> float:
        """Seconds before it is to be answered."""

    def __call__(
        self, request: bytes, peer: str, seat: Seat
    ) -> tuple[bytes, asyncio.Protocol | None]:
        """The response, and the protocol that the connection changes to, None if it is to close.

        The protocol leaves `seat` when the connection is lost.
        """


class Doorkeeper:
    """Makes a Door for each connection, and has what they all need."""

    def __init__(
        self,
        server: web.Server,
        *,
        headers: bytes,
        monotonic: Callable[[], float],
        wheel: Wheel,
        upgrade: Upgrader,
        rejected: Callable[[], None],
    ) -> None:
        """`headers`: lines for the guard's own answers; `rejected` is called for each of them."""
        self.server = server
        self.headers = headers
        self.monotonic = monotonic
        self.wheel = wheel
        self.upgrade = upgrade
        self.rejected = rejected
        self.held = 0
        self._turnstile = Turnstile()

    def queue(self, go: Callable[[], bool]) -> None:
        """Call `go` in its turn; it gives False when there was nothing to do any more."""
        self._turnstile.enter(go)
        if not self._turnstile.turning:
            self._turnstile.turning = True
            asyncio.get_running_loop().call_soon(self._let_through)

    def _let_through(self) -> None:
        if self._turnstile.let_through():
            asyncio.get_running_loop().call_later(EVERY_S, self._let_through)

    def __call__(self, seat: Seat) -> "Door":
        return Door(self, seat)


class Door(asyncio.Protocol):
    """One connection while it speaks HTTP."""

    __slots__ = (
        "_cut_at",
        "_guard",
        "_handler",
        "_held",
        "_keeper",
        "_seat",
        "_transport",
        "opened",
    )

    def __init__(self, keeper: Doorkeeper, seat: Seat) -> None:
        """`seat` is left when the connection is lost, unless it was upgraded."""
        self._keeper = keeper
        self._seat = seat
        self.opened = False
        """Whether there has been a connection, and so there will be its end."""
        self._guard: RequestGuard | None = None
        self._handler: web.RequestHandler | None = None
        self._transport: asyncio.Transport | None = None
        self._cut_at: float | None = None
        self._held: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        keeper = self._keeper
        self._transport = cast(asyncio.Transport, transport)
        self.opened = True
        now = keeper.monotonic()
        self._guard = RequestGuard(now, keeper.headers)
        keeper.wheel.add(self, now + _LOOK_AGAIN_S)

    def data_received(self, data: bytes) -> None:
        if self._guard is not None:
            self._carry_out(self._guard.receive_data(data, self._keeper.monotonic()))

    def answered(self) -> None:
        """The HTTP server has written a whole response."""
        if self._guard is not None:
            self._carry_out(self._guard.answered(self._keeper.monotonic()))

    def handle_timer(self, now: float) -> float | None:
        """Close a connection that is too slow; see RequestGuard."""
        if self._transport is None:
            return None
        if self._cut_at is None and self._transport.is_closing():
            self._cut_at = now + UNREAD_DEADLINE_S
        if self._cut_at is not None and now >= self._cut_at:
            self._transport.abort()
            return None
        guard = self._guard
        if guard is not None and self._seat.crowded:
            guard.hurry()
        if guard is None or not self._carry_out(guard.handle_timer(now)):
            return now + _LOOK_AGAIN_S
        deadline = guard.next_timeout()
        # The first byte of the next request brings the deadline forward: look more often.
        return now + _LOOK_AGAIN_S if deadline is None else min(deadline, now + _LOOK_AGAIN_S)

    def eof_received(self) -> bool | None:
        """Close at the client's end of stream: nobody half-closes and waits for HTTP."""
        return None

    def pause_writing(self) -> None:
        """Backpressure for the HTTP handler: the client does not read."""
        self._cut_at = self._keeper.monotonic() + UNREAD_DEADLINE_S
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        """The end of it."""
        self._cut_at = None
        if self._handler is not None:
            self._handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._seat.leave()
        self._release()
        self._guard = None
        self._transport = None
        if self._handler is not None:
            self._handler.connection_lost(exc)
            self._handler = None

    def _carry_out(self, outputs: list[Output]) -> bool:
        """Do what the guard has decided; False when that is the end."""
        for output in outputs:
            transport = self._transport
            if transport is None or transport.is_closing():
                return False
            if isinstance(output, Forward):
                if is_for_websocket(output.data):
                    return self._hold(transport, output.data)
                if self._handler is None:
                    self._handler = self._keeper.server()
                    self._handler.connection_made(transport)
                self._handler.data_received(output.data)
            else:
                if isinstance(output, Reject):
                    self._keeper.rejected()
                    transport.write(output.data)
                self._guard = None
                transport.close()
                return False
        return True

    def _hold(self, transport: asyncio.Transport, request: bytes) -> bool:
        """Upgrade, when its turn has come; False when this is no connection of ours any more."""
        keeper, peer = self._keeper, _peer_of(transport)
        wait = keeper.upgrade.wait(request, peer)
        if not wait:
            self._upgrade(transport, request, peer)
            return False
        if keeper.held >= MAX_HELD_UPGRADES:
            self._guard = None
            transport.abort()
            return False
        keeper.held += 1
        # Meanwhile the guard holds whatever comes.
        go = partial(self._go_on, request, peer)
        self._held = asyncio.get_running_loop().call_later(wait, keeper.queue, go)
        return True

    def _go_on(self, request: bytes, peer: str) -> bool:
        """False when there is nobody any more who has waited."""
        self._release()
        transport = self._transport
        if transport is None or transport.is_closing() or self._guard is None:
            return False
        self._upgrade(transport, request, peer)
        return True

    def _release(self) -> None:
        if self._held is not None:
            self._held.cancel()
            self._held = None
            self._keeper.held -= 1

    def _upgrade(self, transport: asyncio.Transport, request: bytes, peer: str) -> None:
        """Hand the connection over, or refuse to and close it."""
        guard, self._guard = self._guard, None
        assert guard is not None, "it has just let the request through"
        response, protocol = self._keeper.upgrade(request, peer, self._seat)
        transport.write(response)
        if protocol is None:
            transport.close()
            return
        if self._handler is not None:  # it served requests on this connection before
            self._handler.transport = None  # so that its end does not close the connection
            self._handler.connection_lost(None)
            self._handler = None
        self._transport = None
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        early = guard.upgraded()
        if early:
            protocol.data_received(early)


def _peer_of(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""


class AnsweredHook(AbstractAccessLogger):
    """aiohttp's hook at the end of each response. Nothing is logged: an access log would hold
    addresses."""

    @property
    def enabled(self) -> bool:
        return True

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Tell the door that the next request may come in."""
        transport = request.transport
        if transport is None:
            return
        door = transport.get_protocol()
        if isinstance(door, Door):
            door.answered()
