"""A forwarder as far as signaling can tell: the real control channel, and no media behind it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field

from konsil.sfu_access import SfuAccess
from konsil.sfu_control import SfuControl
from sfu import control
from tests.integration.conftest import until
from waiting_room.connection import connect
from waiting_room.keyspace import Keyspace

LOAD_S = 0.2
ARE_YOU_WELL = control.Leave("-", "-")


@dataclass
class StandIn:
    """Answers as the forwarder does, and keeps what it was asked."""

    redis_url: str
    name: str
    participants: int = 0
    asked: list[control.Request] = field(default_factory=list)
    arrived: list[control.Request] = field(default_factory=list)
    """What has come, also while it hangs, and with the questions whether it is well."""
    hangs: bool = False
    draining: bool = False
    refusal: control.Refused | None = None
    publishing: dict[str, dict[str, None]] = field(default_factory=dict)
    """Room -> who publishes there."""

    async def start(self) -> None:
        self._client = connect(self.redis_url)
        self._lives = itertools.count(1)
        self._ready = True
        self.control = SfuControl(
            self._client,
            Keyspace(),
            self.handle,
            lambda: self._ready,
            new_id=lambda: f"{self.name}{next(self._lives)}",
        )
        self._tasks = [
            asyncio.create_task(self.control.run()),
            asyncio.create_task(self._tell_load()),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._client.aclose()

    async def die(self) -> None:
        """As when the whole machine loses its power: not a word, and nobody listens any more."""
        life = self.control._life
        assert life is not None
        life._left = True
        await self.stop()

    def restart(self) -> None:
        """As when the process dies and the next one is up after a moment."""
        self._ready = False
        self.publishing.clear()
        self.control.event(control.Restarted())
        asyncio.get_running_loop().call_later(0.3, self._up)

    def _up(self) -> None:
        self._ready = True

    def requests(self, kind: type[control.Request]) -> list[control.Request]:
        return [request for request in self.asked if isinstance(request, kind)]

    def speak(self, room: str, *participants: str) -> None:
        self.control.event(control.Speakers(room, _generation(room), list(participants)))

    def lose(self, room: str, participant: str, reason: str) -> None:
        self.control.event(control.Gone(room, _generation(room), participant, reason))

    async def handle(self, request: control.Request) -> control.Result:
        self.arrived.append(request)
        while self.hangs:  # noqa: ASYNC110 - set by the test
            await asyncio.sleep(0.05)
        if request != ARE_YOU_WELL:
            self.asked.append(request)
        match request:
            case control.Offer(room=room, participant=participant):
                if self.refusal is not None:
                    return self.refusal
                if self.draining and room not in self.publishing:
                    return control.Refused(control.Code.SFU_UNAVAILABLE, retry_after=1, full=True)
                there = self.publishing.setdefault(room, {})
                new = participant not in there
                there[participant] = None
                if new:
                    self._tell_sources(room, to=participant)
                    self._tell_sources(room)
                return control.Answer(f"answer {self.name} {participant[:4]}")
            case control.Leave(room=room, participant=participant):
                if self.publishing.get(room, {}).pop(participant, 0) is None:
                    self._tell_sources(room)
            case control.Close(room=room):
                self.publishing.pop(room, None)
            case control.Drain():
                self.draining = True
        return control.Done()

    def _tell_sources(self, room: str, to: str | None = None) -> None:
        sources = [
            control.AvailableSource(one, control.Source.CAMERA, "video", 3)
            for one in self.publishing[room]
        ]
        self.control.event(control.Sources(room, _generation(room), sources, to))

    async def _tell_load(self) -> None:
        while True:
            if not self.hangs and self._ready:
                self.control.event(
                    control.NodeLoad(
                        len(self.publishing), self.participants, 0, 0, 0, self.draining
                    )
                )
            await asyncio.sleep(LOAD_S)


def _generation(room: str) -> int:
    return int(room.rpartition(".")[2])


async def access(redis_url: str, node: str) -> SfuAccess:
    """Signaling's side, for a node of that name."""
    return SfuAccess(connect(redis_url), Keyspace(), node)


async def knows(access: SfuAccess, number: int) -> None:
    """Wait until so many forwarders are known to be alive."""
    loop = asyncio.get_running_loop()
    await until(lambda: len(access.directory.alive(loop.time())) == number)


def hears_nothing(access: SfuAccess) -> bool:
    """Whether no forwarder has been heard for as long as makes one dead who is listened to."""
    loop = asyncio.get_running_loop()
    return access.directory._listening_since is None or not access.directory.alive(loop.time())


def heard_for(access: SfuAccess, since: float, seconds: float) -> bool:
    """Whether every forwarder that was there at `since` was heard so long after it."""
    nodes = [one for one in access.directory._nodes.values() if not one.last.gone]
    return all(one.heard_at > since + seconds for one in nodes)
