"""Signaling's access to the forwarders: questions and answers through Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from redis.asyncio import Redis

from konsil import sfu_wire
from konsil.sfu_nodes import Directory
from konsil.sfu_wire import Announcement, News, Ping, Question, Reply, Watch, room_name
from sfu import control
from signaling.forwarders import (
    PATIENCE_S,
    Answered,
    ConnectionGone,
    Declined,
    ForwarderGoneError,
    ForwardersChanged,
    Heard,
    Sources,
    Speakers,
    Way,
)
from signaling.group_messages import SourceView, Tile, Track
from waiting_room.connection import Gate
from waiting_room.keyspace import Keyspace

TRIES: Final = 2
MAX_QUESTIONS: Final = 2048
"""Questions waiting for an answer; one more is answered as if the forwarder had not."""

_RESTING_S: Final = 0.2  # a forwarder that does not listen may just be subscribing anew


class SfuAccess:
    """The forwarders, as one signaling node sees them; see signaling.forwarders.Forwarders."""

    def __init__(
        self,
        redis: Redis,
        keyspace: Keyspace,
        node: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`node`: of the signaling node."""
        self.directory = Directory()
        self._redis = redis
        self._keyspace = keyspace
        self._node = node
        self._monotonic = monotonic
        self._gate = Gate()
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[control.Result | News]] = {}
        self._heard: Callable[[Heard], None] = lambda event: None

    async def run(self, heard: Callable[[Heard], None]) -> None:
        """See Forwarders.run."""
        self._heard = heard
        channels = (
            self._keyspace.sfu_answers(self._node),
            self._keyspace.sfu_announcements,
        )
        await sfu_wire.listen(self._redis, channels, self._take, self._listening)

    def choose(self, without: str | None = None) -> str | None:
        """See Forwarders.choose."""
        chosen = self.directory.choose(self._monotonic(), without)
        if chosen is not None and without is None:
            self.directory.promised(chosen)
        return chosen

    def is_gone(self, node: str) -> bool:
        """See Forwarders.is_gone."""
        return self.directory.is_gone(node, self._monotonic())

    async def answers(self, node: str) -> bool:
        """See Forwarders.answers."""
        if self.directory.has_said_goodbye(node):
            return False
        try:
            await self._ask(node, Ping(), tries=1)
        except ForwarderGoneError:
            return False
        return True

    async def offer(
        self, node: str, way: Way, participant: str, sdp: str, tracks: Sequence[Track]
    ) -> Answered | Declined:
        """See Forwarders.offer."""
        result = await self._ask(
            node,
            control.Offer(
                room_name(way),
                participant,
                way.generation,
                sdp,
                [_track(track) for track in tracks],
            ),
        )
        match result:
            case control.Answer(sdp=answer):
                return Answered(answer)
            case control.Refused():
                if result.full:
                    self.directory.full(node, self._monotonic())
                return _declined(result)
        raise ForwarderGoneError

    async def want(
        self, node: str, way: Way, participant: str, tiles: Sequence[Tile]
    ) -> Declined | None:
        """See Forwarders.want."""
        wanted = [
            control.Tile(
                one.participant, control.Source(one.source), one.width, one.height, one.pinned
            )
            for one in tiles
        ]
        request = control.Want(room_name(way), participant, way.generation, wanted)
        result = await self._ask(node, request)
        return _declined(result) if isinstance(result, control.Refused) else None

    async def watch(self, node: str, way: Way) -> tuple[Heard, ...]:
        """See Forwarders.watch."""
        result = await self._ask(node, Watch(room_name(way)))
        if not isinstance(result, News):
            return ()
        heard = (_heard(event) for event in result.events)
        return tuple(event for event in heard if event is not None)

    async def leave(self, node: str, way: Way, participant: str) -> None:
        """See Forwarders.leave."""
        await self._ask(node, control.Leave(room_name(way), participant))

    async def close(self, node: str, way: Way) -> None:
        """See Forwarders.close."""
        await self._ask(node, control.Close(room_name(way)))

    async def _ask(
        self, node: str, body: control.Request | Ping | Watch, tries: int = TRIES
    ) -> control.Result | News:
        if len(self._waiting) >= MAX_QUESTIONS:
            raise ForwarderGoneError
        self._serial += 1
        serial = self._serial
        text = sfu_wire.encode(Question(serial, self._node, body))
        loop = asyncio.get_running_loop()
        try:
            for _ in range(tries):
                # The answer to a former try is one as well.
                answer: asyncio.Future[control.Result | News] = loop.create_future()
                self._waiting[serial] = answer
                if not await self._publish(node, text):
                    # Nobody listens: it is dead, or its connection to Redis is.
                    await asyncio.sleep(_RESTING_S)
                    continue
                try:
                    async with asyncio.timeout(PATIENCE_S / TRIES):
                        result = await answer
                        self.directory.answered(node)
                        return result
                except TimeoutError:
                    continue
            self.directory.unanswered(node, self._monotonic())
            raise ForwarderGoneError
        finally:
            self._waiting.pop(serial, None)

    async def _publish(self, node: str, text: bytes) -> bool:
        """Whether somebody has got it. Raises StoreUnavailable."""
        async with self._gate.operation():
            return int(await self._redis.publish(self._keyspace.sfu_questions(node), text)) > 0

    def _listening(self, listening: bool) -> None:
        self.directory.listening(self._monotonic() if listening else None)

    def _take(self, channel: str, data: bytes) -> None:
        try:
            if channel == self._keyspace.sfu_announcements:
                self._announced(sfu_wire.announcement_from(data))
                return
            message = sfu_wire.answer_from(data)
        except sfu_wire.UNREADABLE:
            sfu_wire.logger.warning("forwarder_message_unreadable")
            return
        if isinstance(message, Reply):
            waiting = self._waiting.get(message.serial)
            if waiting is not None and not waiting.done():
                waiting.set_result(message.body)
        elif (event := _heard(message.event)) is not None:
            self._heard(event)

    def _announced(self, announcement: Announcement) -> None:
        if self.directory.heard(announcement, self._monotonic()):
            self._heard(ForwardersChanged())


def _track(track: Track) -> control.Track:
    send = control.Source(track.send) if isinstance(track.send, str) else None
    receive = None
    if not isinstance(track.receive, str) and track.receive:
        receive = control.SourceRef(track.receive.participant, control.Source(track.receive.source))
    return control.Track(track.mid, send, receive)


def _declined(refused: control.Refused) -> Declined:
    return Declined(
        refused.code.value, refused.detail, refused.field, float(refused.retry_after), refused.full
    )


def _heard(event: control.Event) -> Heard | None:
    """As signaling knows it; None for what it does not know."""
    if isinstance(event, control.NodeLoad | control.Restarted):
        return None
    way = sfu_wire.way_from(event.room)
    if way is None:
        return None
    match event:
        case control.Sources():
            sources = tuple(
                SourceView(one.participant, one.source.value, _KINDS[one.source], one.layers)
                for one in event.sources
            )
            return Sources(way, sources, event.to)
        case control.Speakers():
            return Speakers(way, tuple(event.speaking))
        case control.Gone():
            return _gone(way, event)


_KINDS: Final[dict[control.Source, Literal["audio", "video"]]] = {
    control.Source.MICROPHONE: "audio",
    control.Source.CAMERA: "video",
    control.Source.SCREEN: "video",
    control.Source.SCREEN_AUDIO: "audio",
}


def _gone(way: Way, event: control.Gone) -> ConnectionGone | None:
    match event.reason:
        case "silent" | "never_connected" | "wrong_certificate" | "closed":
            return ConnectionGone(way, event.participant, event.reason)
    return None
