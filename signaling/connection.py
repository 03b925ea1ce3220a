"""The state of one socket: hello first, bad messages, rate, heartbeat. Pure.

The shell feeds it whole text messages and time; it answers with what to do. `now` is monotonic
seconds. Tokens, rooms and mailboxes are the hub's.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from signaling.codes import GOING_AWAY, close_code
from signaling.limits import REFUSALS_IN_A_ROW, TokenBucket
from signaling.messages import Ack, ClientMessage, Error, Hello, Ping, Signal, encode, parse
from signaling.messages import Pong as PongMessage
from signaling.strictjson import MessageError

HELLO_DEADLINE: Final = 5.0
SILENCE: Final = 20.0  # then a ping, and as long again until the peer is given up
BAD_MESSAGES_IN_A_ROW: Final = 3
FULL_RETRY_AFTER: Final = 1.0  # seconds; a page acknowledges within a second when it is there


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


_PONG: Final = (Send(encode(PongMessage())),)
_NOTHING: Final = ()


class Connection:
    """`receive_message` gives either a message for the hub to act on, or outputs (a tuple, maybe
    empty) to carry out. ``type(got) is Signal`` is the shell's fast path, ``type(got) is tuple``
    its other one; `Ping` never comes out, `Hello` comes out once per try."""

    __slots__ = (
        "_bad",
        "_behind",
        "_bucket",
        "_deadline",
        "_heard",
        "_pinged",
        "full",
        "phase",
    )

    def __init__(self, now: float) -> None:
        self.phase = Phase.AWAITING_HELLO
        self.full = 0  # signals refused in a row because the recipient's mailbox was full
        self._bad = 0  # bad messages in a row
        self._behind = -1  # id of the first signal refused for its rate, until it comes again
        self._bucket = TokenBucket()
        self._deadline = now + HELLO_DEADLINE
        self._heard = now
        self._pinged: float | None = None

    def receive_message(self, data: bytes, now: float) -> ClientMessage | Outputs:
        """One text message. Never raises."""
        self._heard = now
        if self.phase is Phase.CLOSED:
            return _NOTHING
        in_time = self._bucket.allow(now)
        try:
            message = parse(data)
        except MessageError as error:
            return self._bad_message(error)
        if not in_time:
            return self._too_fast(message, now)
        if self.phase is Phase.JOINED:
            if type(message) is Signal:
                if self._behind >= 0 and message.id:  # 0: a notice, which is not kept
                    if message.id > self._behind:
                        return self._slow_down(message.id, 0.0)
                    self._behind = -1
            elif type(message) is Ping:
                self._bad = 0
                return _PONG
            elif type(message) is Hello:
                return self._bad_message(MessageError("bad_message", "type", "already joined"))
            self._bad = 0
            return message
        return self._before_joined(message)

    def _before_joined(self, message: ClientMessage) -> ClientMessage | Outputs:
        # Only `joined` ends a row of bad messages here, so that three bad names end it too.
        if self.phase is Phase.JOINING:
            if type(message) is Ping:
                return _PONG
            refused = Error("not_allowed", "wait for welcome", id=_id_of(message))
            return (Send(encode(refused)),)
        if type(message) is not Hello:
            return self._end("hello_expected", "the first message must be hello")
        self.phase = Phase.JOINING
        return message

    def receive_ping(self, payload: bytes, now: float) -> Outputs:
        """A WebSocket ping; counts against the same rate as messages."""
        self._heard = now
        if self.phase is Phase.CLOSED:
            return _NOTHING
        if self._bucket.allow(now):
            return (SendPong(payload),)
        if self._bucket.exhausted:
            return self._end("slow_down", "too many pings")
        return _NOTHING

    def heard(self, now: float) -> None:
        """Anything else came (a pong, a part of a frame): the peer is alive."""
        self._heard = now

    def joined(self, now: float) -> None:
        """The hub took the Hello: JOINING -> JOINED."""
        assert self.phase is Phase.JOINING, self.phase
        self._heard = now
        self._bad = 0
        self.phase = Phase.JOINED

    def hello_refused(self, now: float) -> Outputs:
        """The hub refused the Hello's name and the socket lives (`bad_name`; the hub sends the
        error itself): JOINING -> AWAITING_HELLO with a new deadline. The third in a row closes."""
        assert self.phase is Phase.JOINING, self.phase
        self.phase = Phase.AWAITING_HELLO
        self._deadline = now + HELLO_DEADLINE
        self._bad += 1
        if self._bad >= BAD_MESSAGES_IN_A_ROW:
            return self._close("bad_message")
        return _NOTHING

    def mailbox_full(self, signal_id: int) -> Outputs:
        """The recipient's mailbox refused a signal: a slow_down error; 100 in a row close."""
        self.full += 1
        if self.full >= REFUSALS_IN_A_ROW:
            return self._end("slow_down", "too many signals to a full mailbox", signal_id)
        return self._slow_down(signal_id, FULL_RETRY_AFTER)

    def signal_taken(self) -> None:
        """The recipient's mailbox took a signal: ends a row of mailbox_full. (``connection.full``
        is the row's length, so the hot path may skip the call when it is 0.)"""
        self.full = 0

    def close(self) -> None:
        """The shell or the hub closes it: CLOSED, nothing comes out any more."""
        self.phase = Phase.CLOSED

    def next_timeout(self) -> float | None:
        """When handle_timer is due (monotonic seconds); None once closed.

        It may move later with every message, so the shell re-arms only when the timer fires.
        """
        if self.phase is Phase.CLOSED:
            return None
        if self.phase is Phase.AWAITING_HELLO:
            return self._deadline
        if self._pinged is not None and self._heard <= self._pinged:
            return self._pinged + SILENCE
        return self._heard + SILENCE

    def handle_timer(self, now: float) -> Outputs:
        """Does what is due; () when it is not yet time."""
        due = self.next_timeout()
        if due is None or now < due:
            return _NOTHING
        if self.phase is Phase.AWAITING_HELLO:
            return self._end("hello_expected", "no hello within 5 s")
        if self._pinged is not None and self._heard <= self._pinged:
            self.phase = Phase.CLOSED
            return (CloseSocket(GOING_AWAY, "silent"),)
        self._pinged = now
        return (SendPing(),)

    def _bad_message(self, error: MessageError) -> Outputs:
        self._bad += 1
        answer = Send(encode(Error(error.code, error.detail, field=error.field)))
        if self._bad < BAD_MESSAGES_IN_A_ROW:
            return (answer,)
        return (answer, *self._close("bad_message"))

    def _too_fast(self, message: ClientMessage, now: float) -> Outputs:
        # Signals behind a refused one would reach the recipient out of order.
        if type(message) is Signal and message.id and self._behind < 0:
            self._behind = message.id
        if self._bucket.exhausted:
            return self._end("slow_down", "too many messages", _id_of(message))
        return self._slow_down(_id_of(message), self._bucket.retry_after(now))

    def _slow_down(self, id: int | UnsetType, retry_after: float) -> Outputs:
        detail = "too many messages; send again what was refused, in order"
        wait = math.ceil(retry_after * 100) / 100
        return (Send(encode(Error("slow_down", detail, id=id, retry_after=wait))),)

    def _end(self, code: str, detail: str, id: int | UnsetType = UNSET) -> Outputs:
        return (Send(encode(Error(code, detail, id=id))), *self._close(code))

    def _close(self, code: str) -> Outputs:
        self.phase = Phase.CLOSED
        return (CloseSocket(close_code(code), code),)


def _id_of(message: ClientMessage) -> int | UnsetType:
    return UNSET if isinstance(message, Hello | Ack | Ping) else message.id
