"""The state of one socket: hello first, bad messages, rate, heartbeat. Pure.

The shell feeds it whole text messages and time; it answers with what to do. `now` is monotonic
seconds. Tokens, rooms and mailboxes are the hub's.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct

from signaling.messages import ClientMessage

HELLO_DEADLINE: Final = 5.0
SILENCE: Final = 20.0  # then a ping, and as long again until the peer is given up
BAD_MESSAGES_IN_A_ROW: Final = 3


class Phase(Enum):
    AWAITING_HELLO = "awaiting_hello"
    JOINING = "joining"  # hello was handed to the hub, which has not yet answered
    JOINED = "joined"
    CLOSED = "closed"


class Send(Struct, frozen=True, gc=False):
    """A JSON text to send."""

    payload: bytes


class SendPing(Struct, frozen=True, gc=False):
    """A WebSocket ping frame, empty."""


class SendPong(Struct, frozen=True, gc=False):
    """A WebSocket pong frame."""

    payload: bytes


class CloseSocket(Struct, frozen=True, gc=False):
    """The last output: a close frame (`reason` is a code of section 6), then the end."""

    code: int
    reason: str


Output = Send | SendPing | SendPong | CloseSocket
Outputs = tuple[Output, ...]


class Connection:
    """`receive_message` gives either a message for the hub to act on, or outputs (a tuple, maybe
    empty) to carry out. ``type(got) is Signal`` is the shell's fast path, ``type(got) is tuple``
    its other one; `Ping` never comes out, `Hello` comes out once per try."""

    __slots__ = ("_bad", "_bucket", "_deadline", "_full", "_heard", "phase")

    phase: Phase

    def __init__(self, now: float) -> None:
        raise NotImplementedError

    def receive_message(self, data: bytes, now: float) -> ClientMessage | Outputs:
        """One text message. Never raises."""
        raise NotImplementedError

    def receive_ping(self, payload: bytes, now: float) -> Outputs:
        """A WebSocket ping; counts against the same rate as messages."""
        raise NotImplementedError

    def heard(self, now: float) -> None:
        """Anything else came (a pong, a part of a frame): the peer is alive."""
        raise NotImplementedError

    def joined(self, now: float) -> None:
        """The hub took the Hello: JOINING -> JOINED."""
        raise NotImplementedError

    def hello_refused(self, now: float) -> Outputs:
        """The hub refused the Hello's name and the socket lives (`bad_name`; the hub sends the error
        itself): JOINING -> AWAITING_HELLO with a new deadline. The third in a row closes."""
        raise NotImplementedError

    def mailbox_full(self, signal_id: int) -> Outputs:
        """The recipient's mailbox did not take a signal: a slow_down error, and 100 in a row close."""
        raise NotImplementedError

    def signal_taken(self) -> None:
        """The recipient's mailbox took a signal: ends a row of mailbox_full. (``connection.full``
        is the row's length, so the hot path may skip the call when it is 0.)"""
        raise NotImplementedError

    def close(self) -> None:
        """The shell or the hub closes it: CLOSED, nothing comes out any more."""
        raise NotImplementedError

    def next_timeout(self) -> float | None:
        """When handle_timer is due (monotonic seconds). It may move later with every message, so the
        shell re-arms only when the timer fires; None once closed."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> Outputs:
        """Does what is due; () when it is not yet time."""
        raise NotImplementedError
