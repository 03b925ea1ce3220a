"""One WebSocket after its handshake, as an asyncio protocol without a task of its own.

Bytes that arrive are decoded, judged and acted on inside `data_received`. A page that only waits
costs this object, its transport and a place in the wheel.
"""

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

from signaling.brake import is_offence
from signaling.codes import NORMAL, close_code
from signaling.connection import CloseSocket, Connection, Outputs, Phase, Send, SendPing, SendPong
from signaling.frames import (
    Close,
    FrameDecoder,
    FrameError,
    Ping,
    Text,
    encode_close,
    encode_ping,
    encode_pong,
    encode_text,
)
from signaling.messages import Bye, ClientMessage, Error, ServerMessage, Signal, encode
from signaling.seats import Seat
from signaling.wheel import Wheel

if TYPE_CHECKING:
    from signaling.room import Member

MAX_UNSENT: Final = 256 * 1024
"""Bytes that may lie unsent towards one page; with more it is closed as `slow_reader`."""

CLOSE_TIMEOUT_S: Final = 5.0
"""What the peer has for reading our close frame and answering it; then the connection is cut."""

_EARLY_LOOK_S = 1.0
_NO_STATUS = 1005


class Service(Protocol):
    """What acts on messages: the hub."""

    wheel: Wheel

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""

    def signal(self, socket: "Socket", message: Signal) -> None:
        """A page that has joined passes a signal on."""

    def receive(self, socket: "Socket", message: ClientMessage) -> None:
        """Any other message."""

    def slow_reader(self) -> None:
        """A socket was closed for not reading."""

    def offended(self, socket: "Socket") -> None:
        """A socket is closed for what no page does; see `signaling.brake`."""

    def lost(self, socket: "Socket") -> None:
        """The connection is gone; called once."""


class _Cut:
    """Ends a closing handshake that the peer does not finish."""

    __slots__ = ("_transport",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def handle_timer(self, _now: float) -> None:
        self._transport.abort()


class Socket(asyncio.Protocol):
    """The shell of one Connection."""

    __slots__ = (
        "_closing",
        "_decoder",
        "_service",
        "_transport",
        "address",
        "connection",
        "member",
        "place",
        "seat",
    )

    def __init__(
        self, service: Service, address: str, place: int = 0, seat: Seat | None = None
    ) -> None:
        """`address`: whom limits on bad tokens apply to; forgotten once hello was taken. `place`:
        what `signaling.brake` counts by. `seat`: what the service leaves at the end."""
        self._service = service
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self.address = address
        self.place = place
        self.seat = seat
        self.connection = Connection(service.monotonic())
        self.member: Member | None = None

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # pause_writing comes synchronously from the write that exceeds it.
        self._transport.set_write_buffer_limits(high=MAX_UNSENT)
        self._service.wheel.add(self, self._service.monotonic() + _EARLY_LOOK_S)

    def data_received(self, data: bytes) -> None:
        now = self._service.monotonic()
        connection = self.connection
        events = self._decoder.receive_data(data)
        if not events:
            connection.heard(now)
        for event in events:
            if self._closing and type(event) is not Close:
                continue
            if type(event) is Text:
                got = connection.receive_message(event.payload, now)
                if type(got) is Signal:
                    self._service.signal(self, got)
                elif type(got) is tuple:
                    self.carry_out(got)
                else:
                    self._service.receive(self, cast(ClientMessage, got))
            elif type(event) is Ping:
                self.carry_out(connection.receive_ping(event.payload, now))
            elif type(event) is Close:
                self._closed_by_peer(event)
            elif type(event) is FrameError:
                self.close(event.code, event.reason)
            else:
                connection.heard(now)

    def eof_received(self) -> bool | None:
        return None

    def pause_writing(self) -> None:
        """More than MAX_UNSENT lies here: the page does not read."""
        if not self._closing:
            self._service.slow_reader()
            self.close(close_code("slow_reader"), "slow_reader")

    def resume_writing(self) -> None:
        """Nothing waits for it."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.close()
        self._transport = None
        self._service.lost(self)

    def handle_timer(self, now: float) -> float | None:
        """Deadlines of the connection, for the wheel."""
        if self._transport is None or self._closing:
            return None
        self.carry_out(self.connection.handle_timer(now))
        deadline = self.connection.next_timeout()
        if deadline is not None and self.connection.phase is not Phase.JOINED:
            return min(deadline, now + _EARLY_LOOK_S)  # a refused hello brings it forward
        return deadline

    # --- the hub's side ---

    @property
    def is_open(self) -> bool:
        """Whether something sent now has a chance to arrive."""
        return self._transport is not None and not self._closing

    def send_text(self, payload: bytes) -> None:
        """Send one JSON text; dropped silently when the socket is closing or gone."""
        if self._transport is not None and not self._closing:
            self._transport.write(encode_text(payload))

    def send(self, message: ServerMessage) -> None:
        """Send one message."""
        self.send_text(encode(message))

    def refuse(self, error: Error) -> None:
        """Say what is wrong and close with its code."""
        self.send(error)
        self.close(close_code(error.code), error.code)

    def say_bye(self, bye: Bye, code: int) -> None:
        """Send the last message and close."""
        self.send(bye)
        self.close(code, bye.reason)

    def carry_out(self, outputs: Outputs) -> None:
        """Do what the connection has decided."""
        for output in outputs:
            if self._transport is None:
                return
            if type(output) is Send:
                self._transport.write(encode_text(output.payload))
            elif type(output) is SendPong:
                self._transport.write(encode_pong(output.payload))
            elif type(output) is SendPing:
                self._transport.write(encode_ping())
            elif type(output) is CloseSocket:
                self.close(output.code, output.reason)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame; the connection ends when the peer answers or in CLOSE_TIMEOUT_S."""
        if self._transport is None or self._closing:
            return
        self._closing = True
        self.connection.close()
        if is_offence(code, reason):
            self._service.offended(self)
        self._transport.write(encode_close(code, reason))
        # Closing at once would reset the connection under bytes still arriving, and the peer might
        # never see why. The decoder drops what comes now.
        if self._decoder.closed and self._transport.can_write_eof():
            self._transport.write_eof()
        self._service.wheel.add(_Cut(self._transport), self._service.monotonic() + CLOSE_TIMEOUT_S)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._closing = True
            self._transport.abort()

    def _closed_by_peer(self, event: Close) -> None:
        if self._transport is None:
            return
        if not self._closing:  # else it answers our own close frame
            self.close(NORMAL if event.code == _NO_STATUS else event.code, "")
        self._transport.close()
