"""Notes between the hubs of two nodes, on top of the store's bus.

A note may be lost, and each kind says what then. Nothing here is kept.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final, Protocol

import msgspec

from signaling.mailbox import Taken
from waiting_room.errors import StoreUnavailable
from waiting_room.store import SessionStore

KIND: Final = "note"
"""The kind of message of the store's bus that carries a note."""

MAX_NOTES: Final = 512
"""Notes being sent at once; one more is dropped, as if Redis had lost it."""

MAX_QUESTIONS: Final = 2048
"""Questions waiting for an answer; one more is answered with None at once."""

ANSWER_TIMEOUT_S: Final = 2.0


class NoteKind(Enum):
    """What a note says."""

    TAKEN = "taken"
    """`participant` has taken the signals of `taken.sender`. Lost: the sender sends them again
    after its next reconnect, in vain."""
    AGAIN = "again"
    """Signals for `participant` were lost, have them sent again and say when none of before is on
    its way. Lost: they are sent again after their senders' next reconnect."""
    HAND_OVER = "hand_over"
    """`participant` has come to node `reply_to` with `instance`: give up its mailbox.
    Lost: it begins with a new one, as after a crash."""
    MUTE_ASKED = "mute_asked"
    """The host `instance` asks `participant` to mute. Lost: the host sees that nothing happens."""
    TOLD = "told"
    """A host's words to `participant`, in `letters`. Lost: the host tells them again, or not."""
    UNSUPPORTED = "unsupported"
    """The browser of `participant` keeps somebody out of a group. Lost: the host was told, too."""
    HANDED = "handed"
    """The answer; to HAND_OVER: `box`, and `letters` that were not yet in it."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """One note; fields that its kind does not name are empty."""

    kind: NoteKind
    participant: str
    instance: str = ""
    reply_to: str = ""
    serial: int = 0
    box: bytes | None = None
    letters: tuple[bytes, ...] = ()
    taken: Taken | None = None


class Clock(Protocol):
    """Time, handed in. Wall time judges tokens; everything else goes by monotonic time."""

    def wall(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps."""


class NodeLink:
    """This node's side of all notes."""

    def __init__(
        self,
        store: SessionStore,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._spawn = spawn
        self._sending = 0
        self._serial = 0
        self._questions: dict[int, asyncio.Future[Note]] = {}

    def now_ms(self) -> int:
        """Wall time as the waiting room counts it."""
        return int(self._clock.wall() * 1000)

    def tell(self, node: str, room: str, note: Note) -> None:
        """Send a note; nobody waits for it."""
        if self._sending < MAX_NOTES:
            self._sending += 1
            self._spawn(self._tell(node, room, note))

    async def _tell(self, node: str, room: str, note: Note) -> None:
        try:
            with contextlib.suppress(StoreUnavailable):
                await self._store.publish(node, KIND, room, _encode(note))
        finally:
            self._sending -= 1

    async def ask(
        self, node: str, room: str, kind: NoteKind, participant: str, instance: str = ""
    ) -> Note | None:
        """Ask `node` for something; None when it does not answer in time."""
        if len(self._questions) >= MAX_QUESTIONS:
            return None
        self._serial += 1
        serial = self._serial
        question = Note(
            kind,
            participant,
            instance=instance,
            reply_to=self._store.node,
            serial=serial,
        )
        answer: asyncio.Future[Note] = asyncio.get_running_loop().create_future()
        self._questions[serial] = answer
        try:
            await self._store.publish(node, KIND, room, _encode(question))
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        except (StoreUnavailable, TimeoutError):
            return None
        finally:
            del self._questions[serial]

    def receive(self, payload: bytes) -> Note | None:
        """Read a note; an answer goes to whoever asked, everything else comes out."""
        try:
            note = _decode(payload)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return None
        if note.kind is not NoteKind.HANDED:
            return note
        waiting = self._questions.get(note.serial)
        if waiting is not None and not waiting.done():
            waiting.set_result(note)
        return None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Note).decode
