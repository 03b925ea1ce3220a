"""GET /ws: who may open a WebSocket on this node."""

from collections.abc import Mapping
from http import HTTPStatus

from signaling.address import client_address
from signaling.deps import Deps
from signaling.handshake import Handshake, NotOpened, fields_of
from signaling.headers import origin_of
from signaling.hub import Hub
from signaling.seats import Full, Seat
from signaling.socket import Socket


class Upgrade:
    """Turns a whole request into the socket of a WebSocket, and the bytes that open it."""

    def __init__(self, deps: Deps, hub: Hub, headers: bytes) -> None:
        """`headers`: the lines of the security headers, for all answers."""
        self._deps = deps
        self._hub = hub
        self._handshake = Handshake(origin_of(deps.public_url), headers)

    def wait(self, request: bytes, peer: str) -> float:
        """Seconds before this request is to be answered; see `signaling.brake`."""
        if not self._hub.braking:
            return 0.0
        wait = self._hub.wait_of(self._address(fields_of(request), peer))
        if wait:
            self._deps.metrics.braked += 1
        return wait

    def __call__(self, request: bytes, peer: str, seat: Seat) -> tuple[bytes, Socket | None]:
        """Give the response and the socket; None: it is refused, and the connection ends.

        `peer`: the address of the TCP peer, "" where it has none. The socket leaves `seat`.
        """
        fields = fields_of(request)
        try:
            response = self._handshake.open(fields)
            return response, self._enter(fields, peer, seat)
        except NotOpened as refused:
            self._deps.metrics.refused(refused.code)
            return refused.response, None

    def _enter(self, fields: Mapping[str, str], peer: str, seat: Seat) -> Socket:
        if self._hub.arrivals.draining:
            raise self._handshake.refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "store_unavailable",
                "this node is stopping",
                b"Retry-After: 1\r\n",
            )
        address = self._address(fields, peer)
        # Only now is it known whom a proxy's connection is for.
        if not seat.move(address):
            self._deps.metrics.connection_refused(Full.ADDRESS.value)
            raise self._too_many("too many connections of this address")
        socket = self._hub.enter(address, seat)
        if socket is None:
            raise self._too_many("too many connections that say nothing")
        return socket

    def _too_many(self, detail: str) -> NotOpened:
        return self._handshake.refused(
            HTTPStatus.TOO_MANY_REQUESTS, "slow_down", detail, b"Retry-After: 5\r\n"
        )

    def _address(self, fields: Mapping[str, str], peer: str) -> str:
        forwarded = fields.get("x-forwarded-for", "")
        return client_address(peer, [forwarded], self._deps.trusted_proxies) or "local"
