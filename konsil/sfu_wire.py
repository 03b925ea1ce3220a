"""What signaling and a forwarder say to one another through Redis, and how both listen there.

Questions go to the channel of one forwarder, answers and events to the channel of one signaling
node, announcements to all. Any of them may be lost; questions may be asked again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError, RedisError

from sfu import control
from signaling.forwarders import Way
from waiting_room.connection import OPERATION_TIMEOUT

ANNOUNCE_S: Final = 1.0
ANNOUNCEMENT_TTL_MS: Final = 5000
DEAD_AFTER_S: Final = 2.5
"""Without an announcement for so long a forwarder is taken for dead, unless it answers."""

_BACKOFF_S: Final = (0.05, 1.0)
_SILENCE_S: Final = 2.0

logger: Final = logging.getLogger(__name__)


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    """Are you there? Answered by `Done`."""


class Watch(Struct, frozen=True, tag_field="type", tag="watch"):
    """Tell me of this room from now on. Answered by `News`, and by events from then on."""

    room: str


class News(Struct, frozen=True, tag_field="type", tag="news"):
    """What was told last of a room."""

    events: list[control.Event]


class Question(Struct, frozen=True, array_like=True):
    """To a forwarder. `reply_to`: a signaling node, which is told of the room from now on."""

    serial: int
    reply_to: str
    body: control.Request | Ping | Watch


class Reply(Struct, frozen=True, array_like=True, tag="reply"):
    """The answer to a question."""

    serial: int
    body: control.Result | News


class Told(Struct, frozen=True, array_like=True, tag="told"):
    """Something that happened in a room."""

    event: control.Event


class Announcement(Struct, frozen=True, omit_defaults=True):
    """A forwarder is there. `places`: addresses and ports that browsers get; for the doctor."""

    node: str
    places: tuple[str, ...] = ()
    rooms: int = 0
    participants: int = 0
    packets: float = 0.0
    """A second, out of it."""
    cpu: float = 0.0
    """Share of one core."""
    draining: bool = False
    gone: bool = False
    """It has stopped, or was found dead by who started it."""


encode: Final = msgspec.json.Encoder().encode
question_from: Final = msgspec.json.Decoder(Question).decode
answer_from: Final = msgspec.json.Decoder(Reply | Told).decode
announcement_from: Final = msgspec.json.Decoder(Announcement).decode
UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)


def room_name(way: Way) -> str:
    """The name under which a forwarder knows one way of a room: another way is another room."""
    return f"{way.room}.{way.created_at}.{way.generation}"


def way_from(name: str) -> Way | None:
    """The inverse; None for what is no such name."""
    room, _, rest = name.partition(".")
    created_at, _, generation = rest.partition(".")
    if not room or not created_at.isdecimal() or not generation.isdecimal():
        return None
    return Way(room, int(created_at), int(generation))


class Ear:
    """Listens to a few channels for ever, over every interruption."""

    def __init__(
        self,
        redis: Redis,
        channels: tuple[str, ...],
        take: Callable[[str, bytes], None],
        changed: Callable[[bool], None] = lambda listening: None,
    ) -> None:
        """`take(channel, data)` must not block. `changed` is told when listening begins or ends."""
        self._redis = redis
        self._channels = channels
        self._take = take
        self._changed = changed

    async def run(self) -> None:
        """Listen; returns only by being cancelled."""
        backoff = _BACKOFF_S[0]
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._subscribe(pubsub)
                    backoff = _BACKOFF_S[0]
                    self._changed(True)
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                logger.warning("forwarder_channel_lost", extra={"kind": type(error).__name__})
            finally:
                self._changed(False)
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            backoff = min(backoff * 2, _BACKOFF_S[1])

    async def _subscribe(self, pubsub: PubSub) -> None:
        async with asyncio.timeout(OPERATION_TIMEOUT):
            await pubsub.subscribe(*self._channels)
            for _ in self._channels:
                confirmed = await pubsub.get_message(timeout=OPERATION_TIMEOUT)
                if confirmed is None or confirmed["type"] != "subscribe":
                    raise ConnectionError("no confirmation of a subscription")

    async def _listen(self, pubsub: PubSub) -> None:
        asked = False
        while True:
            received = await pubsub.get_message(timeout=_SILENCE_S)
            if received is None:
                if asked:
                    raise TimeoutError
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if received["type"] != "message":
                continue
            try:
                self._take(received["channel"].decode(), received["data"])
            except Exception:
                # A fault in one message must not cost all that follow.
                logger.exception("forwarder_message_not_handled")
            # Whoever waited for an answer goes on before the next message is looked at.
            await asyncio.sleep(0)
