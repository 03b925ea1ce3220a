"""One participant's connection, for one greenlet: hello, commands, signals, resume.

locust runs under gevent, where asyncio does not work, so this is plain blocking code over
`websocket-client`. Nothing runs in the background: whoever waits for something reads meanwhile,
and so answers pings and acknowledges signals as a page does (docs/protocol.md section 5).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
import websocket

from loadtest.participant import new_instance, new_secret
from signaling.messages import (
    Ack,
    Bye,
    ClientMessage,
    Delivered,
    Error,
    Hello,
    Ok,
    Relayed,
    Room,
    RoomView,
    ServerMessage,
    Signal,
    Welcome,
    encode,
    parse_server,
)
from signaling.strictjson import MessageError

SUBPROTOCOL: Final = "konsil.v1"
ACK_AFTER_S: Final = 1.0
ACK_AT: Final = 32
SIGNALS_MOST: Final = 256  # unread; the server keeps no more for anybody, either

Command: TypeAlias = Callable[[int], ClientMessage]
"""Makes a command's message of its `id`."""


class StepError(Exception):
    """A step did not come to its end. `code` is of the protocol or one of a closed list of ours,
    so that locust's table of failures stays short; it names nobody."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is reached, and as what.

    `url`: http(s)://host:port to connect to; `origin`: the server's public origin; `source`: the
    address of ours to come from, "" for whichever the system takes; `seconds`: for one step.
    """

    url: str
    origin: str
    source: str = ""
    seconds: float = 15.0

    def dial(self) -> socket.socket:
        """A TCP connection, or TLS where the URL says so. Raises OSError."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        source = (self.source, 0) if self.source else None
        plain = socket.create_connection((parts.hostname, port), self.seconds, source)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme != "https":
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        except BaseException:
            plain.close()
            raise

    def upgrade(self, origin: str | None = None) -> websocket.WebSocket:
        """A WebSocket that has not said hello. Raises StepError."""
        with translated():
            dialled = self.dial()
            try:
                opened = websocket.create_connection(
                    self.url.replace("http", "ws", 1) + "/ws",
                    timeout=self.seconds,
                    socket=dialled,
                    origin=self.origin if origin is None else origin,
                    subprotocols=[SUBPROTOCOL],
                    host=urlsplit(self.origin).netloc,
                )
            except BaseException:
                dialled.close()
                raise
        assert isinstance(opened, websocket.WebSocket)
        return opened


class Visit:
    """`join` first. `view` is the room as last told; `signals` what others have sent, unread."""

    def __init__(self, address: Address, token: str, name: str = "") -> None:
        self.address = address
        self.participant = ""
        self.view: RoomView | Room | None = None
        self.signals: deque[Relayed] = deque()
        self.bye = ""
        self._hello = Hello(token, new_secret(), new_instance(), name)
        self._socket: websocket.WebSocket | None = None
        self._id = 0
        self._seen = 0
        self._acknowledged = 0
        self._ack_at = float("inf")
        self._delivered: dict[str, int] = {}
        self._answers: dict[int, Ok | Error] = {}

    # --- coming and going ---

    def join(self) -> Welcome:
        """From the first byte of TCP to `welcome`. Raises StepError."""
        return self._enter(self._hello)

    def resume(self) -> Welcome:
        """The same load of the page comes back; whoever calls looks at `resumed`."""
        return self._enter(msgspec.structs.replace(self._hello, last_seq=self._seen))

    def _enter(self, hello: Hello) -> Welcome:
        self.cut()
        self._socket = self.address.upgrade()
        self._write(hello)
        deadline = time.monotonic() + self.address.seconds
        while True:
            message = self._read(deadline)
            if isinstance(message, Welcome):
                break
            if isinstance(message, Error):
                raise StepError(message.code)
        self.participant, self.view = message.participant, message.room
        if not message.resumed:
            self._seen = self._acknowledged = message.seq
        return message

    def cut(self) -> None:
        """The connection is gone, as a network goes: without a word."""
        opened, self._socket = self._socket, None
        self._ack_at = float("inf")
        if opened is not None:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                opened.shutdown()

    @property
    def socket(self) -> websocket.WebSocket:
        """For those who have something else to say than this class knows. Raises StepError."""
        if self._socket is None:
            raise StepError("lost")
        return self._socket

    @property
    def status(self) -> str:
        return "" if self.view is None else self.view.you

    def status_of(self, participant: str) -> str:
        people = () if self.view is None else self.view.participants
        return next((one.status for one in people if one.id == participant), "")

    # --- what is asked of the server ---

    def command(self, make: Command) -> None:
        """Asks, and waits for the answer. Raises StepError with its code."""
        number = self._next_id()
        self._write(make(number))
        self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if isinstance(answer, Error):
            raise StepError(answer.code)

    def send(self, to: str, data: str) -> int:
        """A signal, on its way; `taken` waits for it."""
        number = self._next_id()
        self._write(Signal(number, to, data))
        return number

    def taken(self, to: str, number: int) -> None:
        """Returns when `to` has taken every signal up to that one."""
        self.until(lambda: self._delivered.get(to, 0) >= number)

    def next_signal(self) -> Relayed:
        self.until(lambda: bool(self.signals))
        return self.signals.popleft()

    def until(self, holds: Callable[[], bool], seconds: float | None = None) -> None:
        """Reads until it holds. Raises StepError: `timeout`, `lost`, or the reason of `bye`."""
        deadline = time.monotonic() + (self.address.seconds if seconds is None else seconds)
        while not holds():
            self._read(deadline)

    def _next_id(self) -> int:
        self._id += 1
        return self._id

    # --- bytes ---

    def _write(self, message: ClientMessage) -> None:
        with translated():
            self.socket.send(encode(message).decode())

    def _read(self, deadline: float) -> ServerMessage:
        """The next message, taken note of."""
        while True:
            opened, now = self.socket, time.monotonic()
            if now >= self._ack_at:
                self.acknowledge()
            if now >= deadline:
                raise StepError("timeout")
            try:
                opened.settimeout(max(0.001, min(deadline, self._ack_at) - now))
                opcode, data = opened.recv_data()
            except websocket.WebSocketTimeoutException:
                continue
            except (OSError, websocket.WebSocketException):
                raise StepError(self.bye or "lost") from None
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise StepError(self.bye or close_code(data))
            try:
                message = parse_server(bytes(data))
            except MessageError:
                raise StepError("unreadable") from None
            self._note(message)
            return message

    def _note(self, message: ServerMessage) -> None:
        match message:
            case Room():
                self.view = message
            case Relayed():
                self._take(message)
            case Delivered():
                self._delivered[message.to] = message.id
            case Ok() | Error() if isinstance(message.id, int):
                self._answers[message.id] = message
            case Bye():
                self.bye = message.reason
            case _:
                pass

    def _take(self, message: Relayed) -> None:
        if message.seq <= self._seen:
            raise StepError("signal_twice")
        if message.seq != self._seen + 1:
            raise StepError("signal_missing")
        if len(self.signals) >= SIGNALS_MOST:
            raise StepError("too_many_signals")
        self._seen = message.seq
        self.signals.append(message)
        if self._seen - self._acknowledged >= ACK_AT:
            self.acknowledge()
        elif self._ack_at == float("inf"):
            self._ack_at = time.monotonic() + ACK_AFTER_S

    def acknowledge(self) -> None:
        """All signals up to now are taken; by itself at the latest ACK_AFTER_S after the first."""
        self._ack_at, self._acknowledged = float("inf"), self._seen
        self._write(Ack(self._seen))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What a socket raises, as a StepError of few words."""
    try:
        yield
    except websocket.WebSocketBadStatusException as error:
        raise StepError(f"http_{error.status_code}") from None
    except (TimeoutError, websocket.WebSocketTimeoutException):
        raise StepError("timeout") from None
    except (OSError, websocket.WebSocketException):
        raise StepError("not_connected") from None


def close_code(data: bytes) -> str:
    return f"closed_{int.from_bytes(data[:2], 'big')}" if len(data) >= 2 else "lost"
