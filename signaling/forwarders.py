"""What signaling needs of the forwarders (SFU nodes). Whoever puts the services together has one.

A forwarder may answer late, twice or never; every request may be made again. What it tells by
itself (sources, speakers, who is gone) it tells the nodes that have asked it for something in that
room.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from signaling.group_messages import SourceView, Tile, Track

PATIENCE_S: Final = 2.0
"""How long a forwarder has for an answer, all tries together."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of the media of one room: a room that was opened again, or moved, has another."""

    room: str
    created_at: int
    generation: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to an offer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Nothing was changed. `code` is one of docs/protocol.md section 6; `full`: that forwarder has
    no place, while another may have one."""

    code: Literal["bad_description", "stale_generation", "sfu_unavailable", "not_allowed"]
    detail: str = ""
    field: str = ""
    retry_after: float = 0.0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """All that can be received in a room; `to`: for that participant alone."""

    way: Way
    sources: tuple[SourceView, ...]
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks, loudest first."""

    way: Way
    speaking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectionGone:
    """A participant's connection has ended by itself."""

    way: Way
    participant: str
    reason: Literal["silent", "never_connected", "wrong_certificate", "closed"]


@dataclass(frozen=True, slots=True)
class ForwardersChanged:
    """There is another forwarder, or one less."""


Heard = Sources | Speakers | ConnectionGone | ForwardersChanged


class ForwarderGoneError(Exception):
    """It does not listen, or has not answered in `PATIENCE_S`."""


class Forwarders(Protocol):
    """Access to all forwarders. Requests raise StoreUnavailable when nobody can be asked at all,
    and ForwarderGoneError when this one does not answer."""

    async def run(self, heard: Callable[[Heard], None]) -> None:
        """Listen for ever. `heard` is called in the order of telling, and must not block."""

    def choose(self, without: str | None = None) -> str | None:
        """Give the least loaded forwarder that takes new rooms and is not `without`, if any."""

    def is_gone(self, node: str) -> bool:
        """Whether it is known to be dead; False while that cannot be known."""

    async def answers(self, node: str) -> bool:
        """Ask whether it is there. Raises StoreUnavailable only."""

    async def offer(
        self, node: str, way: Way, participant: str, sdp: str, tracks: Sequence[Track]
    ) -> Answered | Declined:
        """Give a page's offer."""

    async def want(
        self, node: str, way: Way, participant: str, tiles: Sequence[Tile]
    ) -> Declined | None:
        """Say what a page shows."""

    async def watch(self, node: str, way: Way) -> tuple[Heard, ...]:
        """Be told of a room from now on; gives what has been told last."""

    async def leave(self, node: str, way: Way, participant: str) -> None:
        """Drop a participant at once."""

    async def close(self, node: str, way: Way) -> None:
        """Drop a room."""


class NoForwarders:
    """A house without groups."""

    async def run(self, heard: Callable[[Heard], None]) -> None:
        """Nothing will be heard."""

    def choose(self, without: str | None = None) -> str | None:
        return None

    def is_gone(self, node: str) -> bool:
        return False

    async def answers(self, node: str) -> bool:
        return False

    async def offer(
        self, node: str, way: Way, participant: str, sdp: str, tracks: Sequence[Track]
    ) -> Answered | Declined:
        raise ForwarderGoneError

    async def want(
        self, node: str, way: Way, participant: str, tiles: Sequence[Tile]
    ) -> Declined | None:
        raise ForwarderGoneError

    async def watch(self, node: str, way: Way) -> tuple[Heard, ...]:
        raise ForwarderGoneError

    async def leave(self, node: str, way: Way, participant: str) -> None:
        raise ForwarderGoneError

    async def close(self, node: str, way: Way) -> None:
        raise ForwarderGoneError
