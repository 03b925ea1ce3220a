"""A forwarder's side of the control channel: it announces itself, takes questions, tells events.

Every life of its process has an id of its own. When the process ends all its rooms are gone, so the
id is given up at once, which moves them; the next life begins under another one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from konsil import sfu_wire
from konsil.sfu_voice import Voice
from konsil.sfu_wire import (
    ANNOUNCE_S,
    ANNOUNCEMENT_TTL_MS,
    DEAD_AFTER_S,
    Announcement,
    News,
    Ping,
    Question,
    Reply,
    Told,
    Watch,
)
from sfu import control
from waiting_room.keyspace import Keyspace

ROOMS_MAX: Final = 4096
"""Rooms of which is known whom to tell; a forwarder has fewer, and the oldest are forgotten."""

WATCHERS_MAX: Final = 64
"""Signaling nodes told of one room; the one that asked first is forgotten."""

FORGOTTEN_AFTER_S: Final = 10.0
"""A signaling node that does not listen for so long is gone, or will ask again."""

HANDOVER_S: Final = 3.0
"""At the end of a drain: time for the pages to go on elsewhere before everything here ends."""

_REDIS_S: Final = 2.0
_LOOK_S: Final = 0.1

Asked = Callable[[control.Request], Awaitable[control.Result]]


@dataclass(slots=True)
class _Known:
    """A room and who is told of it."""

    watchers: OrderedDict[str, None] = field(default_factory=OrderedDict)
    sources: control.Sources | None = None
    speakers: control.Speakers | None = None
    offering: int = 0
    """Offers being answered. What there is to receive is told after that."""
    held: list[control.Sources] = field(default_factory=list)


class SfuControl:
    """One forwarder in Redis, over all lives of its process."""

    def __init__(
        self,
        redis: Redis,
        keyspace: Keyspace,
        ask: Asked,
        ready: Callable[[], bool],
        *,
        new_id: Callable[[], str],
        places: tuple[str, ...] = (),
    ) -> None:
        """`ask` carries out a request, `ready` says whether it would. `places`: for the doctor."""
        self._redis = redis
        self._keyspace = keyspace
        self._ask = ask
        self._ready = ready
        self._new_id = new_id
        self._places = places
        self._life: _Life | None = None
        self._rooms = 0
        self._unsure = False
        """Whether there may be more rooms than it has said."""
        self._draining = False

    @property
    def found(self) -> bool:
        """Whether signaling nodes can know of it, and ask it."""
        return self._life is not None and self._life.found

    def event(self, event: control.Event) -> None:
        """Something that the forwarder tells. Never waits."""
        if isinstance(event, control.NodeLoad):
            self._rooms = event.rooms
            self._unsure = False
        if self._life is not None:
            self._life.event(event)

    async def run(self) -> None:
        """Live, again and again; returns only by being cancelled."""
        while True:
            while not self._ready():  # noqa: ASYNC110 - a property of another's
                await asyncio.sleep(_LOOK_S)
            life = self._life = _Life(
                self._redis, self._keyspace, self._ask, self._new_id(), self._places
            )
            life.draining = self._draining
            try:
                await life.run()
            finally:
                self._life = None
                await life.say_goodbye()

    async def drain(self, seconds: float) -> None:
        """Take no new rooms; when the time is over, let the pages go on elsewhere."""
        self._draining = self._unsure = True
        await self._ask(control.Drain())
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self._life is not None:
            self._life.draining = True
            await self._life.announce()
            await self._until_empty(max(loop.time(), end - HANDOVER_S))
        if self._life is not None:
            await self._life.say_goodbye()
            await self._until_empty(end)

    async def _until_empty(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        while (self._rooms or self._unsure) and loop.time() < end:  # noqa: ASYNC110 - changes once a second
            await asyncio.sleep(_LOOK_S)


class _Life:
    """One life of a forwarder's process."""

    def __init__(
        self, redis: Redis, keyspace: Keyspace, ask: Asked, node: str, places: tuple[str, ...]
    ) -> None:
        self.draining = False
        self._redis = redis
        self._keyspace = keyspace
        self._ask = ask
        self._node = node
        self._places = places
        self._rooms: OrderedDict[str, _Known] = OrderedDict()
        self._voice = Voice(redis, self._said, self._tell_again)
        self._unheard: dict[str, float] = {}
        """Channels of watchers on which nobody listens -> since when, on the loop's clock."""
        self._load: control.NodeLoad | None = None
        self._heard_at = asyncio.get_running_loop().time()
        self._over = asyncio.Event()
        self._left = False
        self._listening = False
        self._announced_at = float("-inf")
        """When Redis last took an announcement, on the loop's clock."""
        self._answering: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the process ends."""
        questions = (self._keyspace.sfu_questions(self._node),)
        listening = sfu_wire.listen(self._redis, questions, self._take, self._hears)
        jobs = [
            asyncio.create_task(job) for job in (listening, self._announce_all(), self._voice.run())
        ]
        try:
            await self._over.wait()
        finally:
            for job in (*jobs, *self._answering):
                job.cancel()
            await asyncio.gather(*jobs, *self._answering, return_exceptions=True)

    @property
    def found(self) -> bool:
        """See SfuControl.found."""
        silent_for = asyncio.get_running_loop().time() - self._announced_at
        return self._listening and not self._left and silent_for < DEAD_AFTER_S

    # --- questions ---

    def _hears(self, listening: bool) -> None:
        self._listening = listening

    def _take(self, channel: str, data: bytes) -> None:
        try:
            question = sfu_wire.question_from(data)
        except sfu_wire.UNREADABLE:
            sfu_wire.logger.warning("forwarder_message_unreadable")
            return
        task = asyncio.get_running_loop().create_task(self._answer(question))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, question: Question) -> None:
        body = question.body
        match body:
            case Ping():
                # Only the process itself can say that it is well; to drop nobody does nothing.
                result = await self._ask(control.Leave("-", "-"))
                if isinstance(result, control.Done):
                    self._reply(question, result)
            case Watch(room=room):
                known = self._known(room, question.reply_to)
                events = (known.sources, known.speakers)
                self._reply(question, News([event for event in events if event is not None]))
            case control.Offer():
                self._reply(question, await self._offered(body, question))
            case control.Want():
                self._known(body.room, question.reply_to)
                self._reply(question, await self._ask(body))
            case control.Close():
                self._reply(question, await self._ask(body))
                self._rooms.pop(body.room, None)
            case _:
                self._reply(question, await self._ask(body))

    async def _offered(self, offer: control.Offer, question: Question) -> control.Result:
        known = self._known(offer.room, question.reply_to)
        for former in self._superseded(offer.room):
            # The session was lost with all that was known of it, and has begun anew.
            await self._ask(control.Close(former))
            self._rooms.pop(former, None)
        known.offering += 1
        try:
            return await self._ask(offer)
        finally:
            # Behind the answer, which is put on its way as soon as this returns.
            asyncio.get_running_loop().call_soon(self._answered, known)

    def _answered(self, known: _Known) -> None:
        """Tell what was held, in its order: whatever is told last is taken for what there is."""
        known.offering -= 1
        if known.offering == 0:
            held, known.held = known.held, []
            for event in held:
                self._tell(event)

    def _superseded(self, room: str) -> list[str]:
        """Ways of the same room from a session before this one."""
        way = sfu_wire.way_from(room)
        return [
            name
            for name in self._rooms
            if way is not None
            and name.startswith(f"{way.room}.")
            and (other := sfu_wire.way_from(name)) is not None
            and other.created_at < way.created_at
        ]

    def _known(self, room: str, watcher: str) -> _Known:
        known = self._rooms.get(room)
        if known is None:
            if len(self._rooms) >= ROOMS_MAX:
                self._rooms.popitem(last=False)
            known = self._rooms[room] = _Known()
        if watcher not in known.watchers and len(known.watchers) >= WATCHERS_MAX:
            known.watchers.popitem(last=False)
        known.watchers[watcher] = None
        return known

    def _reply(self, question: Question, body: control.Result | News) -> None:
        text = sfu_wire.encode(Reply(question.serial, body))
        self._voice.say(self._keyspace.sfu_answers(question.reply_to), text)

    # --- events ---

    def event(self, event: control.Event) -> None:
        """See SfuControl.event."""
        match event:
            case control.NodeLoad():
                self._load = event
                self._heard_at = asyncio.get_running_loop().time()
            case control.Restarted():
                self._over.set()
            case _:
                self._tell(event)

    def _tell(self, event: control.Sources | control.Speakers | control.Gone) -> None:
        known = self._rooms.get(event.room)
        if known is None:
            return
        if isinstance(event, control.Sources):
            if known.offering:
                known.held.append(event)
                return
            if event.to is None:
                known.sources = event
        elif isinstance(event, control.Speakers):
            known.speakers = event
        text = sfu_wire.encode(Told(event))
        for watcher in known.watchers:
            self._voice.say(self._keyspace.sfu_answers(watcher), text)

    def _tell_again(self) -> None:
        """What was lost with Redis is told anew, as it is by now."""
        for known in list(self._rooms.values()):
            if known.sources is not None:
                self._tell(known.sources)

    def _said(self, channel: str, heard: bool) -> None:
        """Whether the node of that channel listens. One that has lost its connection to Redis is
        back soon, perhaps later than we, and must not miss what was said meanwhile."""
        if heard:
            self._unheard.pop(channel, None)
        else:
            self._unheard.setdefault(channel, asyncio.get_running_loop().time())

    def _tell_the_deaf(self) -> None:
        """Once a second: say to those who have not heard it what there is, or forget them."""
        if not self._unheard:
            return
        end = asyncio.get_running_loop().time() - FORGOTTEN_AFTER_S
        for known in list(self._rooms.values()):
            for watcher in list(known.watchers):
                channel = self._keyspace.sfu_answers(watcher)
                since = self._unheard.get(channel)
                if since is not None and since < end:
                    del known.watchers[watcher]
                elif since is not None and known.sources is not None:
                    self._voice.say(channel, sfu_wire.encode(Told(known.sources)))
        self._unheard = {one: since for one, since in self._unheard.items() if since >= end}

    # --- announcements ---

    async def _announce_all(self) -> None:
        while True:
            # A process that hangs says nothing of itself, and then nothing is said of it.
            silent_for = asyncio.get_running_loop().time() - self._heard_at
            if silent_for < DEAD_AFTER_S:
                await self.announce()
            self._tell_the_deaf()
            await asyncio.sleep(ANNOUNCE_S)

    async def announce(self) -> None:
        """Say that it is there, unless it has said goodbye."""
        if not self._left:
            await self._publish(self._announcement(gone=False))

    async def say_goodbye(self) -> None:
        """Say that it is not there any more, once and as far as Redis can be reached."""
        if not self._left:
            self._left = True
            await self._publish(self._announcement(gone=True))

    def _announcement(self, *, gone: bool) -> Announcement:
        load = self._load
        if load is None:
            return Announcement(self._node, self._places, draining=self.draining, gone=gone)
        return Announcement(
            self._node,
            self._places,
            rooms=load.rooms,
            participants=load.participants,
            packets=load.packets_out,
            cpu=load.cpu,
            draining=self.draining or load.draining,
            gone=gone,
        )

    async def _publish(self, announcement: Announcement) -> None:
        text = sfu_wire.encode(announcement)
        key = self._keyspace.sfu_key(self._node)
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_REDIS_S):
                pipeline = self._redis.pipeline(transaction=False)
                if announcement.gone:
                    pipeline.delete(key)
                else:
                    pipeline.set(key, text, px=ANNOUNCEMENT_TTL_MS)
                pipeline.publish(self._keyspace.sfu_announcements, text)
                await pipeline.execute()
            self._announced_at = asyncio.get_running_loop().time()
