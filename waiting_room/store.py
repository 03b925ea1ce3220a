"""Sessions in Redis: the one place that reads and writes them.

A session is one value, changed by compare-and-set: `apply` decides on what this node holds, one
script stores the outcome if nobody was faster, and tells the other nodes. Whoever was slower gets
what is stored now and decides again. Every key has a TTL of at most an hour.

When Redis has lost a session that a node still holds, it is put back from there. What was *ended*
must not come back that way; see `_is_lost`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, overload

from redis.asyncio import Redis

from . import fitness, scripts
from .bus import Bus, Handler, message
from .codec import CodecError, decode, encode, revision
from .connection import Gate, persistently
from .errors import RoomUnavailable, StoreUnavailable, Unreadable
from .events import Change, End, Event, Sweep
from .keyspace import Keyspace
from .merge import merge
from .session import Refusal, Session, apply, lapsed, lifetime_ms

ATTEMPTS_MAX: Final = 20  # at a change that others are always faster with
MAILBOX_MAX: Final = 256  # entries; beyond it `Posted.FULL`
MAILBOX_BYTES: Final = 3 * 1024 * 1024  # the same: a mailbox put there whole, and as much again
MAILBOX_TTL_MS: Final = 60_000
ENDED_MAX: Final = 10_000  # ended rooms remembered (ids only, in memory); the oldest are forgotten
RENEWED_AT_ONCE: Final = 100  # sessions per round trip

ROOM: Final = "room"
ENDED: Final = "ended"
MAIL: Final = "mail"


@dataclass(frozen=True, slots=True)
class Changed:
    """A session as it is now, and as it was just before (None: there was none).

    Both are the same object when the event changed nothing.
    """

    session: Session
    previous: Session | None


class Posted(Enum):
    STORED = 1
    FULL = 2  # nothing was stored
    GONE = 0  # no such session, or nobody of that id in it who is still there


@dataclass(frozen=True, slots=True)
class Shared:
    """The connection, its names and its gate, for what is kept in Redis beside sessions."""

    redis: Redis
    keyspace: Keyspace
    gate: Gate


@dataclass(frozen=True, slots=True)
class _Base:
    """What a change starts from."""

    session: Session
    expected: bytes  # the revision that must be stored for it to succeed; b"": nothing must be
    previous: Session | None
    fresh: bool  # as Redis has it, not only as we remember it
    unsaved: bool  # differs from what is stored, so it is written even if the event is no change


@dataclass(frozen=True, slots=True)
class _Case:
    """What is asked of the store."""

    room: str
    event: Event
    now_ms: int
    cached: Session | None
    create: Callable[[], Session] | None = None
    reopen: bool = False


class SessionStore:
    """One node's access to the sessions. Every operation may raise StoreUnavailable."""

    def __init__(self, redis: Redis, keyspace: Keyspace, node: str) -> None:
        """`node`: this process' own id, new at every start, of letters and digits."""
        self.node = node
        self._redis = redis
        self._keyspace = keyspace
        self._gate = Gate()
        self._bus = Bus(redis, keyspace, node)
        self._ended: OrderedDict[str, int] = OrderedDict()  # room -> created_at
        self._ending: set[str] = set()  # rooms that this node is ending right now

    @property
    def shared(self) -> Shared:
        return Shared(self._redis, self._keyspace, self._gate)

    # Sessions

    async def load(self, room: str) -> Session | None:
        async with self._gate.operation():
            return await self._get(room)

    async def change(
        self,
        room: str,
        event: Change,
        now_ms: int,
        cached: Session | None = None,
        create: Callable[[], Session] | None = None,
        *,
        reopen: bool = False,
    ) -> Changed | Refusal:
        """Applies `event` to the session of `room`.

        `cached`: the session as this node knows it; with it a change costs one round trip, without
        it two, or one where there is no session yet. `create` makes the session then, but not
        where there was one that has been ended, unless `reopen`. Without a session the answer is
        `room_ended`.
        """
        case = _Case(room, event, now_ms, cached, create, reopen)
        async with self._gate.operation():
            if cached is not None:
                base: _Base | None = _remembered(cached)
            elif create is not None and (reopen or not self.has_ended(room)):
                # Whoever is not known here is mostly the first to come; if not, the script says so.
                base = _Base(create(), b"", None, fresh=False, unsaved=False)
            else:
                base = await self._read(case)
            return await self._settle(case, base)

    async def end(
        self, room: str, event: End, now_ms: int, cached: Session | None = None
    ) -> Changed | Refusal:
        """Ends a session for all: deletes all its keys at once and tells every node."""
        case = _Case(room, event, now_ms, cached)
        self._ending.add(room)
        try:
            async with self._gate.operation():
                return await self._end(case)
        finally:
            self._ending.discard(room)

    async def renew(self, sessions: Sequence[Session], now_ms: int) -> list[Session | None]:
        """Lets sessions that somebody is connected to here live on; puts back those Redis lost.

        Gives each as it is now, in the same order: with what other nodes have changed meanwhile,
        or None for one that has ended or run out. To be called with every session held, connected
        to or not, at least every half hour, and after a `reset` at once: what is not asked about
        then would be taken for lost later, even if it was ended.
        """
        resets = self._bus.resets
        now: list[Session | None] = []
        for start in range(0, len(sessions), RENEWED_AT_ONCE):
            now += await self._renew(sessions[start : start + RENEWED_AT_ONCE], now_ms)
        if self._bus.resets == resets:
            self._bus.missed = False
        return now

    def has_ended(self, room: str) -> bool:
        """Whether this node remembers that the session of that room was ended."""
        return room in self._ended

    # Mailboxes

    async def post(self, room: str, participant: str, entries: Sequence[bytes]) -> Posted:
        """Keeps `entries` for a participant whose socket is not here, all or none, for 60 s.

        The node that holds the socket, if any, gets the message `mail` with the participant's id.
        """
        if not entries:
            return Posted.STORED
        call = scripts.POST.call(
            (
                self._keyspace.session_key(room),
                self._keyspace.mail_key(room, participant),
            ),
            (
                participant,
                self._keyspace.node_channels,
                message(MAIL, room, participant.encode()),
                MAILBOX_MAX,
                MAILBOX_BYTES,
                MAILBOX_TTL_MS,
                *entries,
            ),
        )
        async with self._gate.operation():
            return Posted(await scripts.run(self._redis, call))

    async def take(self, room: str, participant: str) -> list[bytes]:
        """All entries kept for a participant, in order. They are no longer kept then."""
        call = scripts.TAKE.call((self._keyspace.mail_key(room, participant),), ())
        async with self._gate.operation():
            return list(await scripts.run(self._redis, call))

    # Other nodes

    async def run_bus(self, handler: Handler) -> None:
        """Listens to the other nodes for ever; calls `handler(kind, room, payload)`, in order.

        `room`: the session has changed; the payload is for `codec.decode`. `ended`: it was ended.
        `mail`: there is mail for the participant (the payload) whose socket is here. `reset`:
        messages may have been lost; `renew` what is held, and `take` the mail of all who are here.
        And whatever else was given to `publish`.
        """

        def heard(kind: str, room: str, payload: bytes) -> None:
            if kind == ENDED:
                sender, _, created_at = payload.partition(b" ")
                if sender == self.node.encode() and self._knows_end(room, int(created_at)):
                    return
                self._note_end(room, int(created_at))
                payload = b""
            elif kind == ROOM:
                self._ended.pop(room, None)  # opened again
            handler(kind, room, payload)

        await self._bus.run(heard)

    async def publish(self, node: str, kind: str, room: str, payload: bytes = b"") -> None:
        """Sends a message to one node's bus; lost if that node is not listening."""
        async with self._gate.operation():
            await self._redis.publish(
                self._keyspace.node_channel(node), message(kind, room, payload)
            )

    async def publish_to_all(self, kind: str, room: str, payload: bytes) -> int:
        """Sends a message to every node's bus, this one's too; gives how many were listening."""
        async with self._gate.operation():
            return int(
                await self._redis.publish(
                    self._keyspace.everybody_channel, message(kind, room, payload)
                )
            )

    async def absent_nodes(self, nodes: Collection[str]) -> frozenset[str]:
        """Those of `nodes` that nobody listens for: stopped, dead, or just reconnecting."""
        if not nodes:
            return frozenset()
        channels = {self._keyspace.node_channel(node).encode(): node for node in nodes}
        async with self._gate.operation():
            listening = dict(await self._redis.pubsub_numsub(*channels))
        return frozenset(node for channel, node in channels.items() if not listening.get(channel))

    # Operation

    async def ping(self, timeout: float = 1.0) -> bool:  # noqa: ASYNC109 - an answer, no error
        """Whether Redis answers within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._gate.operation():
                await self._redis.ping()
        except (StoreUnavailable, TimeoutError):
            return False
        return True

    async def check(self) -> None:
        """For the start: raises UnusableError, which names the setting, if Redis is of no use."""
        await fitness.check(self._redis, self._keyspace, self.node)

    # Inside

    async def _settle(self, case: _Case, base: _Base | None) -> Changed | Refusal:
        for _ in range(ATTEMPTS_MAX):
            if base is None:
                return Refusal("room_ended")
            result = apply(base.session, case.event, case.now_ms)
            if isinstance(result, Refusal):
                if base.fresh:
                    return result
                # Perhaps only what we remember is too old to permit it.
                base = await self._read(case)
                continue
            if result is base.session:
                if not base.unsaved:
                    return Changed(result, result)
                result = replace(result, version=result.version + 1)
            written, stored = await self._run_change(base, result)
            if written:
                self._ended.pop(case.room, None)
                return Changed(result, base.previous)
            base = await self._missing(case) if stored is None else _found(stored, case.cached)
        raise _contended()

    async def _end(self, case: _Case) -> Changed | Refusal:
        base = await self._read(case) if case.cached is None else _remembered(case.cached)
        for _ in range(ATTEMPTS_MAX):
            if base is None:
                return Refusal("room_ended")
            result = apply(base.session, case.event, case.now_ms)
            if isinstance(result, Refusal):
                if base.fresh:
                    return result
                base = await self._read(case)
                continue
            stored = await self._run_end(base)
            if stored is None:
                self._note_end(case.room, result.created_at)
                return Changed(result, base.previous)
            base = _found(stored, case.cached)
        raise _contended()

    async def _read(self, case: _Case) -> _Base | None:
        stored = await self._get(case.room)
        return await self._missing(case) if stored is None else _found(stored, case.cached)

    async def _get(self, room: str) -> Session | None:
        key = self._keyspace.session_key(room)
        return _decoded(await persistently(lambda: self._redis.get(key)))

    async def _missing(self, case: _Case) -> _Base | None:
        """What to start from when Redis has no such session; None when it is over."""
        held = case.cached
        if held is not None and not lapsed(held, case.now_ms):
            await self._bus.barrier()
            if self._is_lost(held):
                return _Base(held, b"", held, fresh=True, unsaved=True)
            self._note_end(case.room, held.created_at)
            return None
        if case.create is None or (self.has_ended(case.room) and not case.reopen):
            return None
        return _Base(case.create(), b"", None, fresh=True, unsaved=False)

    def _is_lost(self, held: Session) -> bool:
        """Whether a session missing in Redis was lost there, not ended.

        To be asked after a `barrier`: an end is told to every node in the moment of the deletion,
        so by then it has been heard, unless the bus was interrupted meanwhile. In that case it is
        lost if Redis was restarted, else it has ended.
        """
        ended = self._ended.get(held.room)
        return not self._bus.missed and (ended is None or ended < held.created_at)

    async def _renew(self, sessions: Sequence[Session], now_ms: int) -> list[Session | None]:
        replies = await self._prolong(sessions)
        now: list[Session | None] = []
        for held, reply in zip(sessions, replies, strict=True):
            if reply == 1:
                now.append(held)
                continue
            case = _Case(held.room, Sweep(), now_ms, held)
            try:
                async with self._gate.operation():
                    base = (
                        await self._missing(case) if reply == 0 else _found(_decoded(reply), held)
                    )
                    settled = await self._settle(case, base)
            except RoomUnavailable:
                now.append(held)  # whoever stores what we cannot read or change prolongs it
                continue
            now.append(settled.session if isinstance(settled, Changed) else None)
        # What was stored by others is known only now, and so whether somebody in it is here.
        found = [new for new, reply in zip(now, replies, strict=True) if new and reply != 1]
        if found:
            await self._prolong(found)
        return now

    async def _prolong(self, sessions: Sequence[Session]) -> list[Any]:
        """The script's answer for each."""
        calls = [
            scripts.RENEW.call(
                (self._keyspace.session_key(held.room),),
                (revision(held), lifetime_ms(held) if self.node in held.nodes else 0),
            )
            for held in sessions
        ]
        async with self._gate.operation():
            return list(await scripts.run_all(self._redis, calls))

    async def _run_change(self, base: _Base, result: Session) -> tuple[bool, Session | None]:
        """Whether `result` is stored now, and else what is stored in its place."""
        value = encode(result)
        present = {p.id for p in result.participants if p.live}
        mailboxes = (
            self._keyspace.mail_key(result.room, p.id)
            for p in base.session.participants
            if p.live and p.id not in present
        )
        # Whoever held a socket before is told too: it may have been taken over, or sent away.
        nodes = (base.session.nodes | result.nodes) - {self.node}
        call = scripts.CHANGE.call(
            (self._keyspace.session_key(result.room), *mailboxes),
            (
                base.expected,
                value,
                lifetime_ms(result),
                message(ROOM, result.room),
                *(self._keyspace.node_channel(node) for node in sorted(nodes)),
            ),
        )
        reply = await scripts.run(self._redis, call)
        if reply in (1, value):  # stored by an earlier try whose answer was lost
            return True, None
        return False, None if reply == 0 else _decoded(reply)

    async def _run_end(self, base: _Base) -> Session | None:
        """None when the session is gone now, else what is stored that is not `base`."""
        ended = base.session
        code = b""
        for _ in range(ATTEMPTS_MAX):
            call = scripts.END.call(
                (
                    self._keyspace.session_key(ended.room),
                    self._keyspace.code_key(ended.room),
                    *(self._keyspace.mail_key(ended.room, p.id) for p in ended.participants),
                ),
                (
                    base.expected,
                    self._keyspace.everybody_channel,
                    message(ENDED, ended.room, f"{self.node} {ended.created_at}".encode()),
                    code,
                ),
            )
            reply = await scripts.run(self._redis, call)
            if not isinstance(reply, list):
                return None if reply == 1 else _decoded(reply)
            # Where the code leads from is in another slot, so not in the script. It goes first:
            # if this fails, whoever tries again still finds the code.
            code = reply[0]
            typed = self._keyspace.typed_key(code.decode())
            await scripts.run(self._redis, scripts.FORGET.call((typed,), (ended.room,)))
        raise _contended()

    def _knows_end(self, room: str, created_at: int) -> bool:
        """Whether `end` tells of it, or has: not when Redis did it after we had given up on it."""
        return room in self._ending or self._ended.get(room) == created_at

    def _note_end(self, room: str, created_at: int) -> None:
        self._ended[room] = created_at
        self._ended.move_to_end(room)
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)


def _remembered(cached: Session) -> _Base:
    return _Base(cached, revision(cached), cached, fresh=False, unsaved=False)


def _found(stored: Session, cached: Session | None) -> _Base:
    session = stored if cached is None else merge(stored, cached)
    return _Base(session, revision(stored), session, fresh=True, unsaved=session is not stored)


@overload
def _decoded(stored: None) -> None: ...
@overload
def _decoded(stored: bytes) -> Session: ...
@overload
def _decoded(stored: Any) -> Session | None: ...
def _decoded(stored: bytes | None) -> Session | None:
    if stored is None:
        return None
    try:
        return decode(stored)
    except CodecError as exc:
        raise Unreadable(f"{exc}; do all nodes run the same version?") from exc


def _contended() -> RoomUnavailable:
    return RoomUnavailable("too many changes to this room at once")
