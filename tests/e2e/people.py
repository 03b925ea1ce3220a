"""Host and client as tests see them: a browser context of their own, and what they can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Locator, Page, TimeoutError

from tests.e2e.patience import until

STORY = 60  # video frames; more than that is a call and not a first flash


@dataclass(frozen=True, slots=True)
class Received:
    """What has come in since the page was loaded."""

    frames: int
    audio_bytes: int
    audio_energy: float
    states: tuple[str, ...]


class Person:
    """One page of Konsil in one browser context."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.attend(page)

    def attend(self, page: Page) -> None:
        """Notes what goes wrong on a page and what it asks the network for."""
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.faults.append(f"console: {message.text}")
                if message.type == "error" and not _network_noise(message.text)
                else None
            ),
        )
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))

    def see(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    async def shows(self, test_id: str, *, seconds: float = 15) -> Locator:
        """Waits until it is to be seen."""
        found = self.see(test_id).first
        await found.wait_for(state="visible", timeout=seconds * 1000)
        return found

    async def received(self) -> Received:
        raw: dict[str, Any] = await self.page.evaluate("konsilProbe.received()")
        return Received(raw["frames"], raw["audioBytes"], raw["audioEnergy"], tuple(raw["states"]))

    async def sees_more_frames(self, count: int = STORY, *, seconds: float = 20) -> None:
        """Waits until `count` more remote pictures have been decoded and shown from now on."""
        before = (await self.received()).frames
        shown = await self._pictures_shown()

        async def enough() -> bool:
            return (
                await self.received()
            ).frames > before + count and await self._pictures_shown() > shown

        await until(enough, f"{type(self).__name__} sees {count} more frames", seconds=seconds)

    async def _pictures_shown(self) -> int:
        """By the elements on the page, not by the statistics of the connection."""
        return int(
            await self.page.evaluate(
                """() => [...document.querySelectorAll('video[data-testid="remote-video"]')]
                    .reduce((n, v) => n + v.getVideoPlaybackQuality().totalVideoFrames, 0)"""
            )
        )

    async def hears_more(self, *, seconds: float = 15) -> None:
        """Waits until sound has come in from now on, and not silence."""
        before = await self.received()

        async def heard() -> bool:
            now = await self.received()
            return (
                now.audio_bytes > before.audio_bytes + 1000
                and now.audio_energy > before.audio_energy
            )

        await until(heard, f"{type(self).__name__} hears the other one", seconds=seconds)

    async def sees_muted(self, *, seconds: float = 15) -> None:
        """Waits until the other one's microphone is shown as switched off."""
        await self.shows("remote-muted", seconds=seconds)

    async def told(self, test_id: str, code: str, *, seconds: float = 15) -> None:
        """Waits until the page says what has happened, in words and with this code."""

        async def said() -> bool:
            found = self.see(test_id).first
            return bool(
                await found.count()
                and await found.is_visible()
                and await found.get_attribute("data-code") == code
                and len(await found.inner_text()) > 20
            )

        await until(said, f"{type(self).__name__} is told {code}", seconds=seconds)

    async def mark(self) -> None:
        await self.page.evaluate("konsilProbe.mark()")

    async def longest_gap(self) -> float:
        """Milliseconds without a new remote picture, at worst, since `mark`."""
        return float(await self.page.evaluate("konsilProbe.longestGap()"))

    async def kept_connections(self) -> bool:
        """Whether the connections in use are those of `mark`, none closed, none made anew."""
        return bool(await self.page.evaluate("konsilProbe.kept()"))

    async def tracks(self) -> list[str]:
        return list(await self.page.evaluate("konsilProbe.tracks()"))

    async def connections_open(self, *, used: bool = False, media: bool = False) -> int:
        """RTCPeerConnections not closed; `used`: only those that have been given a description of
        the other side; `media`: only those that are not for data alone."""
        return int(
            await self.page.evaluate(
                "([used, media]) => konsilProbe.open(used, media)", [used, media]
            )
        )

    async def devices_off(self) -> None:
        """Waits until every track got from a device has ended: the camera's light is off."""

        async def off() -> bool:
            return all(state == "ended" for state in await self.tracks())

        await until(off, f"{type(self).__name__}'s devices are off")

    async def foreign_requests(self) -> list[str]:
        """Requests to any other origin than the page's own (its WebSocket counts as its own)."""
        own = urlsplit(self.page.url).netloc
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own
        ]


class Host(Person):
    async def enter(self, url: str) -> None:
        """Opens the room: the host's link leads straight to the desk."""
        await self.page.goto(url)
        await self.shows("end-consultation")

    async def ends(self) -> None:
        """Ends for all, and means it."""
        await self.see("end-consultation").click()
        await self.see("end-confirm").click()

    async def admits(self, name: str) -> None:
        await self._decides(name, "admit-button")

    async def declines(self, name: str) -> None:
        await self._decides(name, "decline-button")

    async def _decides(self, name: str, button: str) -> None:
        """Once more, as a person would, where the list had just moved: then it takes no press."""
        entry = self.see("waiting-entry").filter(has_text=name)
        await entry.get_by_test_id(button).click()
        try:
            await entry.wait_for(state="detached", timeout=2000)
        except TimeoutError:
            if await entry.count():
                await entry.get_by_test_id(button).click()

    async def sees_waiting(self, *names: str, seconds: float = 15) -> None:
        """Waits until exactly these wait, in this order."""

        async def line() -> bool:
            entries = await self.see("waiting-entry").all_inner_texts()
            return len(entries) == len(names) and all(
                name in entry for name, entry in zip(names, entries, strict=True)
            )

        await until(line, f"the waiting list is {names}", seconds=seconds)


class Client(Person):
    async def knocks(self, url: str, name: str) -> None:
        """From the link to the waiting room."""
        await self.page.goto(url)
        await self.joins(name)
        await self.shows("waiting-status")

    async def joins(self, name: str) -> None:
        field = await self.shows("name-input")
        await field.fill(name)
        consent = self.see("consent-checkbox")
        if await consent.count():
            await consent.check()
        await self.see("join-button").click()


def _network_noise(text: str) -> bool:
    """The browser's own lines about a server that is away; tests take it away on purpose."""
    return "Failed to load resource" in text or "WebSocket connection to" in text
