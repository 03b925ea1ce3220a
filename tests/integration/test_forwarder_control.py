"""What a forwarder needs of Redis: very little, and nothing of a session."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import NoPermissionError

from konsil import audit
from konsil.sfu_access import SfuAccess
from konsil.sfu_wire import ANNOUNCEMENT_TTL_MS
from sfu import control
from signaling.forwarders import (
    Answered,
    ForwarderGoneError,
    ForwardersChanged,
    Heard,
    Sources,
    Speakers,
    Way,
)
from signaling.group_messages import Track
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.forwarder import StandIn, access, knows
from waiting_room.connection import connect
from waiting_room.errors import StoreUnavailable
from waiting_room.inventory import inventory
from waiting_room.keyspace import SFU_ACL_COMMANDS, Keyspace
from waiting_room.store import SessionStore

WAY = Way("r" * 22, 1_795_000_000_000, 1)
ANNA = "a" * 22


def permit(server: RedisServer) -> str:
    """The URL of the user that docs/operations.md describes."""
    password = secrets.token_hex(8)
    with server.admin() as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "konsil-sfu", "reset", "on", f">{password}"),
            *("~konsil:sfu:*", "resetchannels", "&konsil:sfu:*", "-@all"),
            *(f"+{command}" for command in SFU_ACL_COMMANDS),
        )
    return f"unix://konsil-sfu:{password}@{server.socket}?db=0"


@contextlib.asynccontextmanager
async def asking(url: str, node: str = "n1") -> AsyncIterator[tuple[SfuAccess, list[Heard]]]:
    """Signaling's side, listening; and what it has heard."""
    made, heard = await access(url, node), list[Heard]()
    task = asyncio.create_task(made.run(heard.append))
    try:
        yield made, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made._redis.aclose()


async def offer(made: SfuAccess) -> Answered:
    outcome = await made.offer("f1", WAY, ANNA, "v=0", [Track("0", "camera")])
    assert isinstance(outcome, Answered)
    return outcome


async def test_a_user_that_can_read_no_session_is_enough(redis_server: RedisServer) -> None:
    url = permit(redis_server)
    with redis_server.admin() as admin:
        admin.config_resetstat()
    forwarder = StandIn(url, "f")
    await forwarder.start()
    async with asking(redis_server.url) as (made, heard):
        await knows(made, 1)
        await offer(made)
        forwarder.speak(forwarder.asked[0].room, ANNA)  # type: ignore[union-attr]
        await until(lambda: Speakers(WAY, (ANNA,)) in heard)
        forwarder.restart()
        await until(lambda: made.is_gone("f1"))
        await until(lambda: made.choose() == "f2")
    client = connect(url)
    for command in (
        ("GET", f"konsil:{{{WAY.room}}}:session"),
        ("PUBLISH", "konsil:node:n1", "x"),
        ("GET", "konsil:sfu:f2"),
        ("SCAN", "0"),
    ):
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command)
    await client.aclose()
    await forwarder.stop()


async def test_what_is_kept_is_an_announcement_that_expires(redis_server: RedisServer) -> None:
    forwarder = StandIn(redis_server.url, "f")
    await forwarder.start()
    client = connect(redis_server.url)
    store = SessionStore(client, Keyspace(), "n1")
    async with asking(redis_server.url) as (made, _):
        await knows(made, 1)
        await offer(made)
        (held,) = await inventory(store.shared)
        assert (held.kind, held.type) == ("sfu", "string")
        assert 0 < held.ttl_ms <= ANNOUNCEMENT_TTL_MS
        assert audit.violations([held]) == []
        kept = await client.get(held.key)
        for word in (WAY.room, ANNA):
            assert word.encode() not in kept
    await forwarder.control.drain(0)
    assert await inventory(store.shared) == []
    await forwarder.stop()
    await client.aclose()


async def test_what_was_told_while_redis_was_away_is_told_again(redis_server: RedisServer) -> None:
    forwarder = StandIn(redis_server.url, "f")
    await forwarder.start()
    async with asking(redis_server.url) as (made, heard):
        await knows(made, 1)
        await offer(made)
        redis_server.restart_empty()
        with contextlib.suppress(StoreUnavailable, ForwarderGoneError):
            await made.want("f1", WAY, ANNA, [])
        # Nobody hears of this one now, or only one of both sides is back.
        await forwarder.handle(control.Offer(forwarder.asked[0].room, "b" * 22, 1, "v=0", []))  # type: ignore[union-attr]

        def all_known() -> bool:
            told = [one for one in heard if isinstance(one, Sources)]
            return bool(told) and {s.participant for s in told[-1].sources} == {ANNA, "b" * 22}

        async def watched() -> bool:
            with contextlib.suppress(StoreUnavailable, ForwarderGoneError):
                heard.extend(await made.watch("f1", WAY))
            return all_known()

        await until(watched)
        await until(lambda: made.choose() == "f1")
    await forwarder.stop()


async def test_what_others_send_there_does_no_harm(redis_server: RedisServer) -> None:
    forwarder = StandIn(redis_server.url, "f")
    await forwarder.start()
    names = Keyspace()
    async with asking(redis_server.url) as (made, heard):
        await knows(made, 1)
        with redis_server.admin() as admin:
            for channel in (
                names.sfu_questions("f1"),
                names.sfu_answers("n1"),
                names.sfu_announcements,
            ):
                for junk in (
                    b"",
                    b"{}",
                    b"\xff",
                    b"[" * 10_000,
                    b"[1,2,3]",
                    b'["told",{"type":"x"}]',
                ):
                    assert admin.publish(channel, junk) == 1
        await offer(made)
        assert all(isinstance(event, ForwardersChanged) or event.way == WAY for event in heard)
    await forwarder.stop()


async def test_what_was_told_to_a_stopped_redis_comes_without_being_asked_for(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    forwarder = StandIn(redis_server.url, "f")
    await forwarder.start()
    async with asking(redis_server.url) as (made, heard):
        await knows(made, 1)
        await offer(made)
        redis_server.stop()
        try:
            room = forwarder.asked[0].room  # type: ignore[union-attr]
            await forwarder.handle(control.Offer(room, "b" * 22, 1, "v=0", []))
            # Both have given that connection up; the voice, which waits less, has as well.
            await until(lambda: caplog.messages.count("channel_lost") >= 2)
            heard.clear()
        finally:
            redis_server.cont()

        def told() -> bool:
            lists = [event.sources for event in heard if isinstance(event, Sources)]
            return any({one.participant for one in seen} == {ANNA, "b" * 22} for seen in lists)

        await until(told)
    await forwarder.stop()


class Quick(StandIn):
    """The next to come is there as soon as an answer has been given."""

    async def handle(self, request: control.Request) -> control.Result:
        result = await super().handle(request)
        if isinstance(request, control.Offer):
            asyncio.get_running_loop().call_soon(self._comes, request.room)
        return result

    def _comes(self, room: str) -> None:
        self.publishing[room]["Berta"] = None
        self._tell_sources(room)


async def test_what_was_held_back_for_an_answer_does_not_overtake_what_came_after(
    redis_server: RedisServer,
) -> None:
    forwarder = Quick(redis_server.url, "f")
    await forwarder.start()
    async with asking(redis_server.url) as (made, heard):
        await knows(made, 1)
        await offer(made)

        def told() -> list[list[str]]:
            return [
                [one.participant for one in event.sources]
                for event in heard
                if isinstance(event, Sources) and event.to is None
            ]

        await until(lambda: len(told()) == 2)
        assert told() == [[ANNA], [ANNA, "Berta"]]
        (known,) = (one for one in await made.watch("f1", WAY) if isinstance(one, Sources))
        assert [one.participant for one in known.sources] == [ANNA, "Berta"]
    await forwarder.stop()
