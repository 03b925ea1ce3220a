"""Which rooms of a provider are open, on whichever node: asked of all nodes, and kept nowhere.

A room in which somebody is, or was until a moment ago, is held by a node, so the nodes together
know all that a reception may ask about. A list in Redis would say for longer than a session lasts
that there was one.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec

from signaling.rooms import Rooms
from waiting_room.errors import Refused, StoreUnavailable
from waiting_room.session import Session
from waiting_room.store import SessionStore

QUESTION: Final = "rooms_of"
ANSWER: Final = "rooms_are"
"""Kinds of messages of the store's bus."""

ROOMS_MAX: Final = 50
"""Rooms of one provider; beyond it those opened last are not seen."""

SEARCHES_MAX: Final = 256
"""Searches under way on this node; one more is told `slow_down`."""

REPLIES_MAX: Final = 256
"""Answers to other nodes being sent at once; beyond it they go without ours."""

PATIENCE_S: Final = 0.5
"""A node that has not answered by then, counted though it is, is dead or cut off."""

_RoomId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Node `asker` wants to know; `serial` names the search."""

    serial: int
    asker: str
    provider: str


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The rooms that one node holds."""

    serial: int
    rooms: Annotated[tuple[_RoomId, ...], msgspec.Meta(max_length=ROOMS_MAX)]


_encode: Final = msgspec.msgpack.Encoder().encode
_question: Final = msgspec.msgpack.Decoder(Question).decode
_answer: Final = msgspec.msgpack.Decoder(Answer).decode


@dataclass(slots=True)
class _Search:
    rooms: set[str]
    answers: int = 0
    expected: int | None = None  # not known before the question is out
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self) -> None:
        if self.expected is not None and self.answers >= self.expected:
            self.done.set()


class RoomSearch:
    """This node's questions, and its answers to those of others."""

    def __init__(
        self,
        store: SessionStore,
        rooms: Rooms,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._spawn = spawn
        self._serial = 0
        self._searches: dict[int, _Search] = {}
        self._replying = 0

    async def of(self, provider: str) -> list[Session]:
        """The provider's open sessions, oldest first. Raises Refused, StoreUnavailable."""
        if len(self._searches) >= SEARCHES_MAX:
            raise Refused("slow_down", "too many look at once", {"retry_after": PATIENCE_S})
        self._serial += 1
        serial = self._serial
        search = self._searches[serial] = _Search(set(self._held(provider)))
        try:
            question = _encode(Question(serial, self._store.node, provider))
            search.expected = await self._store.publish_to_all(QUESTION, "", question)
            search.count()
            async with asyncio.timeout(PATIENCE_S):
                await search.done.wait()
        except TimeoutError:
            pass  # with those that have answered
        finally:
            del self._searches[serial]
        sessions = [await self._session(room) for room in sorted(search.rooms)[: 2 * ROOMS_MAX]]
        found = [s for s in sessions if s is not None and s.provider == provider]
        return sorted(found, key=lambda s: (s.created_at, s.room))[:ROOMS_MAX]

    def heard(self, kind: str, payload: bytes) -> bool:
        """Take a message of the bus; False: it is none of these."""
        if kind not in (QUESTION, ANSWER):
            return False
        try:
            if kind == QUESTION:
                self._asked(_question(payload))
            else:
                self._answered(_answer(payload))
        except (msgspec.MsgspecError, RecursionError, ValueError):
            pass  # of another version
        return True

    def _asked(self, question: Question) -> None:
        if question.asker == self._store.node:
            self._answered(Answer(question.serial, ()))
            return
        if self._replying >= REPLIES_MAX:
            return
        self._replying += 1
        rooms = tuple(self._held(question.provider))
        self._spawn(self._reply(question.asker, Answer(question.serial, rooms)))

    async def _reply(self, asker: str, answer: Answer) -> None:
        try:
            # Where Redis does not answer, whoever asked has given up by now.
            with contextlib.suppress(StoreUnavailable):
                await self._store.publish(asker, ANSWER, "", _encode(answer))
        finally:
            self._replying -= 1

    def _answered(self, answer: Answer) -> None:
        search = self._searches.get(answer.serial)
        if search is None:
            return
        search.rooms.update(answer.rooms)
        search.answers += 1
        search.count()

    def _held(self, provider: str) -> list[str]:
        held = [
            room.session
            for room in self._rooms
            if room.session is not None and room.session.provider == provider and not room.ended
        ]
        return [s.room for s in sorted(held, key=lambda s: s.created_at)[:ROOMS_MAX]]

    async def _session(self, room: str) -> Session | None:
        return self._rooms.session(room) or await self._store.load(room)
