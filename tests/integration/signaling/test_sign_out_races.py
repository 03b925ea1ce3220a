"""Signing out while somebody with a copy of the cookie is at work: nothing of theirs lasts.

What would be a matter of luck is made to happen: files' locks are held, Redis is stopped.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.test_http_api import ask
from tests.integration.signaling.test_passkeys import Desk
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.providers import Providers
from waiting_room.sign_ins import RENEWED_AFTER_S
from waiting_room.sign_outs import REMEMBERED_S

ALL = {"everywhere": True, "passkeys": True}


@pytest.fixture
async def node(start: StartNode, deployment: Deployment) -> Node:
    return await start(passkeys=PasskeyFiles(deployment.state_dir))


class Lock:
    """A file's lock, as somebody else holds it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._inode = os.fstat(self._descriptor).st_ino

    async def awaited_by(self, count: int) -> None:
        def waiting() -> bool:
            lines = Path("/proc/locks").read_text().splitlines()
            return sum("->" in one and f":{self._inode} " in one for one in lines) >= count

        await until(waiting)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def held(path: Path) -> Iterator[Lock]:
    lock = Lock(path)
    try:
        yield lock
    finally:
        lock.release()


def passkeys_lock(deployment: Deployment) -> Path:
    return deployment.state_dir / "passkeys" / f"{deployment.provider.id}.lock"


def passkeys_file(deployment: Deployment) -> Path:
    return deployment.state_dir / "passkeys" / f"{deployment.provider.id}.json"


async def pair(node: Node, deployment: Deployment) -> tuple[Desk, Desk]:
    """One who has signed in, and one with a copy of the cookie."""
    victim, thief = Desk(node, deployment), Desk(node, deployment)
    await victim.opens()
    thief.cookie = victim.cookie
    return victim, thief


async def is_signed_in(node: Node, deployment: Deployment, cookie: str) -> bool:
    browser = Desk(node, deployment)
    browser.cookie = cookie
    return (await browser.get("/api/v1/desk")).json["provider"] is not None


def signs_out_elsewhere(deployment: Deployment) -> None:
    """As another node does it, which shares the state directory."""
    wall = deployment.clock.wall
    Providers(deployment.state_dir).sign_out(deployment.provider.id, lambda: int(wall() * 1000))


class SlowDisk:
    """What goes to the disk waits in one row until it is released."""

    def __init__(self) -> None:
        self._going = Event()
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._going.wait)
        asyncio.get_running_loop().set_default_executor(self._thread)

    async def awaited_by(self, count: int) -> None:
        await until(lambda: self._thread._work_queue.qsize() >= count)

    def release(self) -> None:
        self._going.set()


@pytest.fixture
async def slow_disk() -> AsyncIterator[Callable[[], SlowDisk]]:
    disks: list[SlowDisk] = []

    def begins() -> SlowDisk:
        disks.append(SlowDisk())
        return disks[-1]

    yield begins
    for disk in disks:
        disk.release()


async def test_a_sign_in_by_a_passkey_before_they_are_cleared_ends_as_well(
    node: Node, deployment: Deployment
) -> None:
    victim, thief = await pair(node, deployment)
    thief.device.counts = False
    assert (await thief.adds()).status == 201
    desks = [Desk(node, deployment) for _ in range(3)]
    given = [await thief.assertion() for _ in desks]
    with held(passkeys_lock(deployment)) as lock:
        coming = [
            asyncio.create_task(desk.says("sign-in/passkey", one))
            for desk, one in zip(desks, given, strict=True)
        ]
        await lock.awaited_by(len(coming))
        out = asyncio.create_task(victim.says("sign-out", ALL))
        await lock.awaited_by(len(coming) + 1)
        # A while later they get through, some of them before the passkeys go.
        deployment.clock.advance(5)
        lock.release()
        assert (await out).status == 200
        answers = await asyncio.gather(*coming)
    assert {answer.status for answer in answers} <= {200, 403}
    for desk in desks:
        assert not await is_signed_in(node, deployment, desk.cookie)
    assert not passkeys_file(deployment).exists()


async def test_until_the_passkeys_are_gone_every_sign_in_is_void(
    node: Node, deployment: Deployment
) -> None:
    victim, thief = await pair(node, deployment)
    await thief.adds()
    with held(passkeys_lock(deployment)) as lock:
        out = asyncio.create_task(victim.says("sign-out", ALL))
        await lock.awaited_by(1)
        assert not await is_signed_in(node, deployment, thief.cookie), "first of all"
        deployment.clock.advance(5)
        then = int(deployment.clock.wall() * 1000)
        lock.release()
        assert (await out).status == 200
    provider = deployment.providers.get(deployment.provider.id)
    assert provider is not None
    assert provider.signed_out_at >= then


async def test_a_passkey_that_waits_for_the_disk_during_the_sign_out_is_not_added(
    node: Node, deployment: Deployment
) -> None:
    _, thief = await pair(node, deployment)
    asked = (await thief.says("passkeys/challenge")).json["challenge"]
    with held(passkeys_lock(deployment)) as lock:
        coming = asyncio.create_task(thief.says("passkeys", thief.device.makes(asked)))
        await lock.awaited_by(1)
        signs_out_elsewhere(deployment)
        lock.release()
        answer = await coming
    assert (answer.status, answer.json["code"]) == (401, "not_signed_in")
    assert not passkeys_file(deployment).exists()


@pytest.mark.parametrize("target", ["passkeys/challenge", "sign-in-links", "reception-links"])
async def test_who_is_signed_out_while_redis_is_asked_gets_nothing(
    node: Node, deployment: Deployment, redis_server: RedisServer, target: str
) -> None:
    _, thief = await pair(node, deployment)
    pool = node.redis.connection_pool
    redis_server.stop()
    try:
        before = len(pool._in_use_connections)
        coming = asyncio.create_task(thief.says(target))
        await until(lambda: len(pool._in_use_connections) > before)
        signs_out_elsewhere(deployment)
    finally:
        redis_server.cont()
    answer = await coming
    assert (answer.status, answer.json["code"]) == (401, "not_signed_in")


async def test_a_passkey_added_and_cleared_at_once_is_not_there_in_either_order(
    node: Node, deployment: Deployment
) -> None:
    for _ in range(4):
        deployment.clock.advance(2)
        victim, thief = await pair(node, deployment)
        asked = (await thief.says("passkeys/challenge")).json["challenge"]
        made = thief.device.makes(asked)
        with held(passkeys_lock(deployment)) as lock:
            out = asyncio.create_task(victim.says("sign-out", ALL))
            await lock.awaited_by(1)
            adding = asyncio.create_task(thief.says("passkeys", made))
            lock.release()
            assert (await out).status == 200
            assert (await adding).status in (201, 401)
        assert not passkeys_file(deployment).exists()


async def test_links_made_while_the_disk_is_slow_are_void(
    node: Node, deployment: Deployment
) -> None:
    victim, thief = await pair(node, deployment)
    with held(deployment.state_dir / "providers.lock") as lock:
        out = asyncio.create_task(victim.says("sign-out", {"everywhere": True}))
        await lock.awaited_by(1)
        deployment.clock.advance(2)
        link = (await thief.says("sign-in-links")).json["token"]
        reception = (await thief.says("reception-links")).json["token"]
        lock.release()
        assert (await out).status == 200
    other = await Desk(node, deployment).signs_in(link)
    assert (other.status, other.json["code"]) == (401, "token_revoked")
    looks = await ask(node, "/api/v1/reception", reception)
    assert (looks.status, looks.json["code"]) == (401, "token_revoked")


async def test_a_link_that_is_being_used_during_the_sign_out_signs_nobody_in(
    node: Node, deployment: Deployment, slow_disk: Callable[[], SlowDisk]
) -> None:
    victim, thief = await pair(node, deployment)
    links = [(await thief.says("sign-in-links")).json["token"] for _ in range(2)]
    late = Desk(node, deployment)
    disk = slow_disk()
    # Both were found to be good; whether they were used is to be seen on the disk.
    coming = asyncio.create_task(late.signs_in(links[0]))
    given = {"Authorization": f"Bearer {links[1]}"}
    making = asyncio.create_task(
        Desk(node, deployment).post("/api/v1/reception-links", b"{}", **given)
    )
    await disk.awaited_by(2)
    out = asyncio.create_task(victim.says("sign-out", {"everywhere": True}))
    await disk.awaited_by(3)
    deployment.clock.advance(5)
    disk.release()
    await asyncio.gather(coming, making, out)
    assert out.result().status == 200
    assert coming.result().status == 200, "it was good when it was looked at"
    assert not await is_signed_in(node, deployment, late.cookie)
    looks = await ask(node, "/api/v1/reception", making.result().json["token"])
    assert (looks.status, looks.json["code"]) == (401, "token_revoked")


async def test_a_passkey_file_that_is_damaged_keeps_nobody_signed_in(
    node: Node, deployment: Deployment
) -> None:
    victim, _ = await pair(node, deployment)
    cookie = victim.cookie
    await victim.adds()
    passkeys_file(deployment).write_text("{")
    answer = await victim.says("sign-out", ALL)
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
    assert not await is_signed_in(node, deployment, cookie)


async def test_a_providers_file_that_cannot_be_locked_is_said(
    node: Node, deployment: Deployment
) -> None:
    victim, _ = await pair(node, deployment)
    lock = deployment.state_dir / "providers.lock"
    lock.unlink()
    lock.mkdir()
    answer = await victim.says("sign-out", {"everywhere": True})
    assert (answer.status, answer.json["code"]) == (503, "store_unavailable")


async def test_a_cookie_made_anew_during_the_sign_out_ends_before_it_is_forgotten(
    node: Node, deployment: Deployment, redis_server: RedisServer
) -> None:
    victim, thief = await pair(node, deployment)
    deployment.clock.advance(RENEWED_AFTER_S + 100)
    victim.cookie = thief.cookie
    asked = (await thief.says("passkeys/challenge")).json["challenge"]
    thief.cookie = victim.cookie
    made = thief.device.makes(asked)
    with held(passkeys_lock(deployment)) as lock:
        coming = asyncio.create_task(thief.says("passkeys", made))
        await lock.awaited_by(1)
        signed_out_at = deployment.clock.wall()
        assert (await victim.says("sign-out")).status == 200
        deployment.clock.advance(120)
        lock.release()
        assert (await coming).status == 201
    with redis_server.admin() as redis:
        [key] = [key for key in redis.keys("*") if key.endswith(b":signed_out")]
        assert redis.pttl(key) <= 3_600_000
    sealed = thief.cookie.split(".")[1]
    ends_at = json.loads(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))["exp"]
    assert thief.cookie != victim.cookie, "it was made anew"
    assert ends_at <= signed_out_at + REMEMBERED_S - 30, "with room for clocks that differ"
