"""What happens by the passing of time: one coarse timer for all rooms and connections of a node."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from signaling.courier import Courier
from signaling.messages import Closing
from signaling.metrics import Metrics
from signaling.node import Clock, NodeLink
from signaling.room import REMEMBER_S, Hold, Member, Room
from signaling.rooms import Rooms
from signaling.wheel import TICK, Wheel
from waiting_room.errors import RoomUnavailable, StoreUnavailable
from waiting_room.events import (
    Change,
    Disconnect,
    Join,
    NodeGone,
    Sweep,
)
from waiting_room.session import (
    AWAY_MAX_MS,
    Refusal,
)
from waiting_room.store import SessionStore

_log = logging.getLogger(__name__)

UNPLUG_AFTER_S: Final = 1.0
"""A socket that is back within this time was never gone for the others: a reload, a hiccup."""

RENEW_EVERY_S: Final = 600.0
WARN_BEFORE_MS: Final = 5 * 60 * 1000

_LOOK_EVERY_S: Final = 5.0
_SWEEP_EVERY_S: Final = 60.0
_NODES_EVERY_S: Final = 15.0
_RETRY_AFTER_S: Final = 1.0
_AT_ONCE: Final = 8
"""Changes in different rooms under way at once, half of what the connections to Redis allow."""

T = TypeVar("T")


class Upkeep:
    """The timer of one node."""

    def __init__(
        self,
        *,
        store: SessionStore,
        rooms: Rooms,
        courier: Courier,
        link: NodeLink,
        clock: Clock,
        wheel: Wheel,
        metrics: Metrics,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._courier = courier
        self._link = link
        self._clock = clock
        self._wheel = wheel
        self._metrics = metrics
        self._spawn = spawn
        self._jobs: dict[str, asyncio.Task[None]] = {}
        now = clock.monotonic()
        self._look_at = self._sweep_at = self._nodes_at = self._unplug_at = self._stale_at = now
        self._renew_at = now + RENEW_EVERY_S
        self._missing_nodes: frozenset[str] = frozenset()
        self._fetch_all = False
        self.leaving = False
        """Everybody is being sent to another node: nobody is to be told to Redis as being here."""

    async def run(self) -> None:
        """Tick for ever: a fault in one tick must not end the sessions of all."""
        while True:
            await asyncio.sleep(TICK)
            try:
                self.tick()
            except Exception:
                _log.exception("tick_failed")

    def tick(self) -> None:
        """Do what is due. Jobs that wait for Redis run beside, each kind once at a time."""
        now = self._clock.monotonic()
        self._wheel.turn(now)
        if self.leaving:
            return
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._warn_of_closing()
        if self._rooms.away and now >= self._unplug_at:
            self._start("unplug", self._unplug)
        if self._rooms.stale and now >= self._stale_at:
            self._start("stale", self._tell_again)
        if now >= self._renew_at:
            self._start("renew", self._renew)
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_EVERY_S
            self._start("sweep", self._sweep)
        if now >= self._nodes_at:
            self._nodes_at = now + _NODES_EVERY_S
            self._start("nodes", self._look_for_nodes)

    def renew_soon(self, *, fetch: bool = False) -> None:
        """Have all sessions compared with Redis at the next tick; `fetch`: and all mail fetched."""
        self._renew_at = min(self._renew_at, self._clock.monotonic())
        self._fetch_all = self._fetch_all or fetch

    def _start(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        running = self._jobs.get(name)
        if running is None or running.done():
            self._jobs[name] = self._spawn(job())

    async def change(
        self, room: Room, event: Change, still: Callable[[], bool] = lambda: True
    ) -> None:
        """Change one room for a reason of time, if it holds `still` when its turn has come.

        Raises StoreUnavailable.
        """
        with self._rooms.using(room.id) as present:
            async with self._rooms.turn(present):
                if present is not room or room.ended or room.session is None or not still():
                    return
                with self._metrics.timed():
                    changed = await self._store.change(
                        room.id, event, self._link.now_ms(), room.session
                    )
                if isinstance(changed, Refusal):
                    if changed.code == "room_ended":
                        self._rooms.end(room)
                else:
                    self._rooms.adopt(room, changed.session)

    # --- those who lost their socket ---

    async def _unplug(self) -> None:
        """Tell the others of those who have been gone for a moment; forget who is gone for long."""
        now = self._clock.monotonic()
        due: list[Member] = []
        for member in list(self._rooms.away):
            lost_at = member.lost_at
            if lost_at is None or now - lost_at < UNPLUG_AFTER_S:
                continue
            if member.hold is not Hold.SPILLED:
                due.append(member)
            elif now - lost_at >= REMEMBER_S:
                self._rooms.forget(member)
        if not await _all_of(self._unplug_one, due):
            self._unplug_at = self._clock.monotonic() + _RETRY_AFTER_S

    async def _unplug_one(self, member: Member) -> None:
        if member.lost_at is None or member.fetching:
            return  # it is back, or its mail is about to be here
        if member.hold is Hold.BEHIND:
            # It has not taken so much that its mail has no room beside it, and now it cannot.
            self._courier.lose(member)
        if member.hold is not Hold.HERE:
            return
        session = member.room.session
        known = None if session is None else session.find(member.id)
        if known is not None and known.live:
            await self._courier.spill(member)
            try:
                await self.change(
                    member.room,
                    Disconnect(member.id, member.instance, self._store.node),
                    lambda: member.hold is Hold.SPILLED,  # else it has come back meanwhile
                )
            except BaseException:  # also when cancelled: it would be here for the others for ever
                self._courier.unspill(member)
                raise
        else:
            self._rooms.forget(member)

    # --- Redis does not know what it should ---

    async def _tell_again(self) -> None:
        due = list(self._rooms.stale)
        if not await _all_of(self._tell_again_of, due):
            self._stale_at = self._clock.monotonic() + _RETRY_AFTER_S

    async def _tell_again_of(self, member: Member) -> None:
        def is_here() -> bool:
            return member.connected and member.room.members.get(member.id) is member

        session = member.room.session
        known = None if session is None else session.find(member.id)
        if known is not None and known.live and is_here():
            await self.change(
                member.room,
                Join(
                    member.id,
                    member.role,
                    known.name,
                    member.instance,
                    self._store.node,
                    known.groups,
                ),
                is_here,  # else it may be on another node by then
            )
        self._rooms.stale.pop(member, None)
        if is_here():
            self._courier.fetch(member)

    async def _renew(self) -> None:
        """Let sessions live on; find out which have ended, and put back which were lost."""
        fetch, self._fetch_all = self._fetch_all, False
        self._renew_at = self._clock.monotonic() + RENEW_EVERY_S  # or sooner, if asked meanwhile
        held = [(room, room.session) for room in self._rooms if room.session is not None]
        try:
            with self._metrics.timed():
                now = await self._store.renew([one for _, one in held], self._link.now_ms())
        except StoreUnavailable:
            self._fetch_all = self._fetch_all or fetch
            self._renew_at = self._clock.monotonic() + _RETRY_AFTER_S
            return
        for (room, _), session in zip(held, now, strict=True):
            if session is None:
                self._rooms.end(room)
            elif not room.ended:
                self._rooms.adopt(room, session)
                if fetch:
                    for member in room.members.values():
                        if member.connected and member.id in room.inside:
                            self._courier.fetch(member)

    # --- the rest ---

    def _warn_of_closing(self) -> None:
        now_ms = self._link.now_ms()
        for room in self._rooms:
            session = room.session
            if room.warned or session is None or now_ms < session.closes_at - WARN_BEFORE_MS:
                continue
            room.warned = True
            if now_ms < session.closes_at:
                for member in room.members.values():
                    if member.socket is not None:
                        member.socket.send(Closing(closes_at=session.closes_at))

    async def _sweep(self) -> None:
        """Count those who have been away for too long as having left."""
        now_ms = self._link.now_ms()
        due = [
            room
            for room in self._rooms
            if room.session is not None
            and any(
                p.away_since is not None and now_ms - p.away_since > AWAY_MAX_MS
                for p in room.session.participants
            )
        ]
        await _all_of(lambda room: self.change(room, Sweep()), due)

    async def _look_for_nodes(self) -> None:
        """Find nodes that are gone without a word, and unplug who was there.

        A node is only taken for gone when it was missing twice in a row: it may be reconnecting.
        """
        rooms = [room for room in self._rooms if room.session is not None]
        others = frozenset[str]().union(
            *(room.session.nodes for room in rooms if room.session is not None)
        ) - {self._store.node}
        try:
            missing = await self._store.absent_nodes(others)
        except StoreUnavailable:
            return
        gone = missing & self._missing_nodes
        self._missing_nodes = missing

        async def unplug(room: Room) -> None:
            for node in gone:
                if room.session is not None and node in room.session.nodes:
                    await self.change(room, NodeGone(node))

        await _all_of(unplug, rooms if gone else ())

    # --- the end of this node ---

    async def evacuate(self) -> None:
        """Put everybody's mailbox into Redis, and tell the other nodes that nobody is here now."""
        if not await _all_of(self._evacuate_room, self._rooms):
            _log.warning("mailboxes_not_handed_on", extra={"reason": "store_unavailable"})

    async def _evacuate_room(self, room: Room) -> None:
        refused: RoomUnavailable | None = None
        for member in list(room.members.values()):
            try:
                if member.hold is Hold.HERE and (member.id in room.inside or len(member.mailbox)):
                    await self._courier.spill(member)
            except RoomUnavailable as error:
                refused = error
            await self._courier.settled(room, member.id)
        await self.change(room, NodeGone(self._store.node))
        if refused is not None:
            raise refused


async def _all_of(job: Callable[[T], Awaitable[None]], items: Iterable[T]) -> bool:
    """Do `job` for each item, `_AT_ONCE` at a time; gives whether all of it could be done.

    What fails for one room is left out and costs the others nothing. When Redis does not answer,
    no more are begun, but those under way are waited for: what was told to Redis and not yet noted
    here must not be left half done.
    """
    waiting = iter(list(items))
    done = answering = True

    async def work() -> None:
        nonlocal done, answering
        for item in waiting:
            try:
                await job(item)
            except RoomUnavailable:
                done = False
            except StoreUnavailable:
                done = answering = False
            except Exception:
                # One item's fault must not end the work for all others.
                _log.exception("upkeep_failed")
                done = False
            if not answering:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    return done
