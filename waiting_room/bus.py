"""Messages between the nodes, over Redis' publish and subscribe.

Delivery is at most once: while a node is not listening, messages to it are lost. It learns of
that by `reset`, and then asks the store for what it holds. Within one stretch of listening nothing
is lost and the order is kept, which `barrier` makes use of.

A message is `kind SP room SP payload`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from .ear import Ear
from .keyspace import Keyspace
from .session import TTL_CONNECTED_MS

Handler = Callable[[str, str, bytes], None]

RESET: Final = "reset"
_SYNC: Final = "sync"
_SILENCE: Final = 5.0  # seconds without a message until a ping, and from it until giving up

_log = logging.getLogger(__name__)


def message(kind: str, room: str, payload: bytes = b"") -> bytes:
    return f"{kind} {room} ".encode() + payload


class Bus:
    """This node's ear. `run` it as one task; without that there are no messages and no barrier."""

    def __init__(self, redis: Redis, keyspace: Keyspace, node: str) -> None:
        self._redis = redis
        self._channel = keyspace.node_channel(node)
        self._everybody = keyspace.everybody_channel
        self._running = False
        self._listening = asyncio.Event()
        self._run_id: str | None = None
        self._serial = 0
        self._barriers: dict[bytes, asyncio.Future[None]] = {}
        # Set when messages may have been lost while Redis itself went on with all its data.
        self.missed = False
        self.resets = 0

    async def run(self, handler: Handler) -> None:
        """Listens for ever; calls `handler(kind, room, payload)`, which must not block, in order.

        After every interruption, once it listens again: `handler("reset", "", b"")`.
        """
        ear = Ear(
            self._redis,
            (self._channel, self._everybody),
            lambda _, data: self._take(data, handler),
            begins=lambda: self._begins(ear.heard_at, handler),
            ends=self._deaf,
            silence_s=_SILENCE,
            log=_log,
        )
        self._running = True
        try:
            await ear.run()
        finally:
            self._running = False

    async def barrier(self) -> None:
        """Returns when all that was published before now has been handled.

        Raises redis' ConnectionError when that cannot be known. Immediate where no bus runs.
        """
        if not self._running:
            return
        await self._listening.wait()
        self._serial += 1
        token = str(self._serial).encode("ascii")
        done = self._barriers[token] = asyncio.get_running_loop().create_future()
        try:
            await self._redis.publish(self._channel, message(_SYNC, "", token))
            await done
        finally:
            self._barriers.pop(token, None)

    async def _begins(self, heard_at: float, handler: Handler) -> None:
        run_id = await self._read_run_id()
        first, same_redis = self._run_id is None, run_id == self._run_id
        self._run_id = run_id
        self._listening.set()
        if not first:
            # A Redis that was restarted has lost the sessions too: what is missing there is to be
            # put back, and so it is after an outage in which sessions ran out for want of renewal.
            # Else it is missing only what was ended meanwhile.
            outage = asyncio.get_running_loop().time() - heard_at
            self.missed = same_redis and outage * 1000 < TTL_CONNECTED_MS / 2
            self.resets += 1
            _call(handler, RESET, "", b"")

    async def _read_run_id(self) -> str:
        info = await self._redis.info("server")
        return str(info["run_id"])

    def _take(self, data: bytes, handler: Handler) -> None:
        try:
            kind, room, payload = data.split(b" ", 2)
            names = kind.decode("ascii"), room.decode("ascii")
        except ValueError:
            _log.warning("node_message_unreadable")
            return
        if names[0] != _SYNC:
            _call(handler, *names, payload)
        elif (waiting := self._barriers.get(payload)) is not None and not waiting.done():
            waiting.set_result(None)

    def _deaf(self) -> None:
        self._listening.clear()
        for waiting in self._barriers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the bus was interrupted"))


def _call(handler: Handler, kind: str, room: str, payload: bytes) -> None:
    """A fault in handling one message must not cost all that follow."""
    try:
        handler(kind, room, payload)
    except Exception:
        _log.exception("node_message_not_handled", extra={"kind": kind})
