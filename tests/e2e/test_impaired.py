"""One subscriber on a bad network: what it still gets, and that others notice nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from sfu.control import Answer, Offer, Source, SourceRef, Tile, Track, Want
from tests.e2e.apart import browsers_in
from tests.e2e.legs import BAD, GOOD, Legs
from tests.e2e.lone_sfu import LoneSfu
from tests.e2e.patience import until
from tests.e2e.stage import in_session, session
from tests.spaces import unable

UNABLE = unable("tc")
pytestmark = [
    pytest.mark.skipif(bool(UNABLE), reason=UNABLE or "possible"),
    pytest.mark.soak,
    pytest.mark.timeout(180),
]

SCRIPT = (Path(__file__).parent / "lone_page.js").read_text()
FRAMES_KEPT = 0.90
FALLS_WITHIN = 5.0  # s
CLIMBS_WITHIN = 60.0  # s


@session
async def network() -> AsyncIterator[Legs]:
    made = Legs()
    try:
        made.build()
        yield made
    finally:
        made.remove()


@session
async def homes(network: Legs, room_to_work: Path) -> AsyncIterator[dict[str, Browser]]:
    flag = "--autoplay-policy=no-user-gesture-required"
    # What is measured is the network, not who else uses the processor.
    async with browsers_in(network.homes, room_to_work, flag, nice=-10) as started:
        yield started


@dataclass
class Participant:
    """One page and its connection."""

    name: str
    page: Page
    sfu: LoneSfu
    tracks: list[Track] = field(default_factory=list)

    async def begin(self, *, publish: bool) -> None:
        await self.page.evaluate("publish => begin(publish)", publish)
        if publish:
            self.tracks += [Track("?", send=Source.MICROPHONE), Track("?", send=Source.CAMERA)]

    async def subscribe(self, to: str) -> None:
        for source in (Source.MICROPHONE, Source.CAMERA):
            await self.page.evaluate("kind => receive(kind)", source.kind)
            self.tracks.append(Track("?", receive=SourceRef(to, source)))

    async def join(self) -> None:
        offer = await self.page.evaluate("offer()")
        self.tracks = [
            Track(mid, send=track.send, receive=track.receive)
            for track, mid in zip(self.tracks, offer["mids"], strict=True)
        ]
        result = await self.sfu.handle(Offer("room", self.name, 1, offer["sdp"], self.tracks))
        assert isinstance(result, Answer), result
        await self.page.evaluate("sdp => answer(sdp)", result.sdp)

    async def want(self, of: str, width: int, height: int) -> None:
        tile = Tile(of, Source.CAMERA, width, height)
        await self.sfu.handle(Want("room", self.name, 1, [tile]))

    async def numbers(self) -> Any:
        return await self.page.evaluate("numbers()")

    async def sees(self, height: int, within: float) -> None:
        """Waits for pictures of that height."""

        async def look() -> bool:
            seen.append(await self.numbers())
            return bool(seen[-1].get("height") == height)

        seen: list[Any] = []
        try:
            await until(look, f"{self.name} sees {height} lines", seconds=within)
        except AssertionError:
            raise AssertionError(f"{self.name} sees {seen[-1]}, not {height} lines") from None


@dataclass
class Trio:
    publisher: Participant
    near: Participant
    far: Participant

    async def settle(self, height: int) -> None:
        """Waits until both subscribers have pictures of that height."""
        for one in (self.near, self.far):
            await one.sees(height, within=60)


async def _page(browser: Browser) -> Page:
    page = await browser.new_page()
    # Secure, as devices want it, and asked of nobody: there is no network to ask.
    await page.route(
        "**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    await page.goto("https://page.example/")
    await page.add_script_tag(content=SCRIPT)
    return page


async def _trio(sfu: LoneSfu, homes: dict[str, Browser]) -> Trio:
    pages = [await _page(homes[side]) for side in ("good", "good", "bad")]
    names = ("publisher", "near", "far")
    made = [Participant(name, page, sfu) for name, page in zip(names, pages, strict=True)]
    trio = Trio(*made)
    await trio.publisher.begin(publish=True)
    await trio.publisher.join()
    for one in (trio.near, trio.far):
        await one.begin(publish=False)
        await one.subscribe("publisher")
        await one.join()
        await one.want("publisher", 960, 540)
    return trio


@in_session
async def trio_at(network: Legs, homes: dict[str, Browser]) -> AsyncIterator[Any]:
    """Makes three participants of a forwarder whose bad leg is late by so many seconds."""
    made: list[tuple[LoneSfu, Trio]] = []

    async def make(late: float = 0.0) -> Trio:
        if late:
            sfu = LoneSfu(network.server, (GOOD,), (BAD, late))
        else:
            sfu = LoneSfu(network.server, (GOOD, BAD))
        await sfu.start()
        trio = await _trio(sfu, homes)
        made.append((sfu, trio))
        return trio

    yield make
    network.lose(0)
    for sfu, trio in made:
        for one in (trio.publisher, trio.near, trio.far):
            await one.page.close()
        await sfu.stop()


async def test_loss_and_delay_on_one_leg(trio_at: Any, network: Legs) -> None:
    trio = await trio_at(late=0.04)
    await trio.settle(540)
    network.lose(5)
    await asyncio.sleep(2)
    everybody = (trio.publisher, trio.near, trio.far)
    before = await asyncio.gather(*(one.numbers() for one in everybody))
    await asyncio.sleep(20)
    after = await asyncio.gather(*(one.numbers() for one in everybody))
    sent = after[0]["sent"] - before[0]["sent"]
    near, far = (
        {key: after[n][key] - before[n][key] for key in ("received", "frames")} for n in (1, 2)
    )
    print(f"sent {sent}, near {near}, far {far}", before[2], after[2])
    assert sent > 100
    # Held against a good leg, not against what was encoded: how much a busy machine gets to encode,
    # forward and decode is no matter of the network.
    for what in ("received", "frames"):
        assert far[what] >= FRAMES_KEPT * near[what]
    assert _untouched(before[1], after[1])
    assert after[2]["nacks"] - before[2]["nacks"] > 10, "nothing was lost, nothing is proven"


async def test_a_narrow_leg_falls_to_a_lower_layer_and_climbs_back(
    trio_at: Any, network: Legs
) -> None:
    trio = await trio_at()
    await trio.settle(540)
    await asyncio.sleep(3)
    before = await trio.near.numbers()

    network.limit(300)
    began = time.monotonic()
    falls: float | None = None
    sound, least = (await trio.far.numbers())["sound"], 1000
    for _ in range(12):
        await asyncio.sleep(1)
        far = await trio.far.numbers()
        least, sound = min(least, far["sound"] - sound), far["sound"]
        if falls is None and far["height"] < 540:
            falls = time.monotonic() - began
    print(f"fell after {falls}, least sound {least} packets a second")
    assert falls is not None
    assert falls <= FALLS_WITHIN + 1  # a look a second
    assert least >= 25, "sound stopped"

    network.unlimit()
    began = time.monotonic()
    await trio.far.sees(540, within=CLIMBS_WITHIN)
    print(f"climbed after {time.monotonic() - began:.1f}")
    assert _untouched(before, await trio.near.numbers())


async def test_where_no_udp_gets_through_media_comes_over_tcp(trio_at: Any, network: Legs) -> None:
    network.lose(100)
    trio = await trio_at()
    await trio.settle(540)
    before = await trio.far.numbers()
    assert before["protocol"] == "tcp"

    async def flows() -> bool:
        after = await trio.far.numbers()
        return bool(
            after["frames"] >= before["frames"] + 30 and after["sound"] >= before["sound"] + 100
        )

    await until(flows, "pictures and sound come over TCP", seconds=30)


def _untouched(before: Any, after: Any) -> bool:
    """Whether everything came at the first attempt."""
    return all(before[what] == after[what] for what in ("lost", "nacks"))
