"""What signaling and a forwarder say to one another through Redis, and how both listen there.

Questions go to the channel of one forwarder, answers and events to the channel of one signaling
node, announcements to all. Any of them may be lost; questions may be asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from sfu import control
from signaling.forwarders import Way
from waiting_room.ear import Ear

ANNOUNCE_S: Final = 1.0
ANNOUNCEMENT_TTL_MS: Final = 5000
DEAD_AFTER_S: Final = 2.5
"""Without an announcement for so long a forwarder is taken for dead, unless it answers."""

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


async def listen(
    redis: Redis,
    channels: tuple[str, ...],
    take: Callable[[str, bytes], None],
    changed: Callable[[bool], None] = lambda listening: None,
) -> None:
    """Listen for ever. `take(channel, data)` must not block; `changed` is told whether it hears."""

    async def begins() -> None:
        changed(True)

    await Ear(
        redis,
        channels,
        take,
        begins=begins,
        ends=lambda: changed(False),
        silence_s=_SILENCE_S,
        log=logger,
    ).run()
