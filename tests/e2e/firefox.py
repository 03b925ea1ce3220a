"""One person in Debian's Firefox. A browser each: pages in the background are slowed down there."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from tests.e2e.patience import until

HERE = Path(__file__).resolve().parent
FIREFOX = os.environ.get("KONSIL_FIREFOX", "/usr/bin/firefox-esr")
ORDER_LIMIT = 30.0  # seconds for one order; Firefox starts slowly on a busy machine

# Statistics count what is decoded; this counts what is shown. totalVideoFrames stays at nought for
# streams in Firefox, so it is the place in each that must move on, and none may be black.
SHOWN = """() => [...document.querySelectorAll('[data-testid="remote-video"]')].map((video) => {
  if (video.readyState < 2 || video.paused || !video.videoWidth) return 0;
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 18 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 32, 18);
  const bright = context.getImageData(0, 0, 32, 18).data.some((v, i) => i % 4 !== 3 && v > 40);
  return bright ? video.currentTime : 0;
})"""


class FirefoxPerson:
    """Drives one page; see firefox.mjs for the orders."""

    def __init__(self, *, width: int = 1280, height: int = 800) -> None:
        self._size = (width, height)
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ready: asyncio.Future[str] | None = None
        self._next = 0
        self.faults: list[str] = []

    async def start(self) -> None:
        self._ready = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(HERE / "firefox.mjs"),
            FIREFOX,
            *map(str, self._size),
            stdin=PIPE,
            stdout=PIPE,
            limit=16 << 20,
        )
        self._reader = asyncio.create_task(self._read())
        await asyncio.wait_for(self._ready, ORDER_LIMIT)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._ready is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "fault" in said:
                self.faults.append(said["fault"])
            elif "ready" in said:
                self._ready.set_result(said["ready"])
            elif "error" in said:
                self._answers.pop(said["id"]).set_exception(RuntimeError(said["error"]))
            else:
                self._answers.pop(said["id"]).set_result(said["value"])
        for answer in (self._ready, *self._answers.values()):
            if not answer.done():
                answer.set_exception(RuntimeError("Firefox is gone"))

    async def order(self, do: str, **details: object) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._next += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._next] = answer
        self._process.stdin.write(
            json.dumps({"id": self._next, "do": do, **details}).encode() + b"\n"
        )
        return await asyncio.wait_for(answer, ORDER_LIMIT)

    async def close(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 15)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    # --- what a person does and sees ---

    async def evaluate(self, function: str) -> Any:
        return await self.order("evaluate", expression=f"({function})()")

    async def click(self, test_id: str) -> None:
        await self.order("click", testid=test_id)

    async def shows(self, test_id: str, *, seconds: float = 20) -> None:
        look = (
            f"""() => [...document.querySelectorAll('[data-testid="{test_id}"]')]"""
            ".some((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))"
        )

        async def visible() -> bool:
            return bool(await self.evaluate(look))

        await until(visible, f"Firefox shows {test_id}", seconds=seconds)

    async def attribute(self, test_id: str, name: str) -> str | None:
        value: str | None = await self.evaluate(
            f"""() => document.querySelector('[data-testid="{test_id}"]')?.getAttribute('{name}')"""
        )
        return value

    async def enter(self, url: str) -> None:
        """As a host."""
        await self.order("goto", url=url)
        await self.shows("end-consultation")

    async def knocks(self, url: str, name: str) -> None:
        """As a client, from the link to the waiting room."""
        await self.order("goto", url=url)
        await self.shows("name-input")
        await self.order("fill", testid="name-input", text=name)
        if await self.evaluate(
            """() => !!document.querySelector('[data-testid="consent-checkbox"]')"""
        ):
            await self.click("consent-checkbox")
        await self.click("join-button")
        await self.shows("waiting-status")

    async def opens_chat(self) -> None:
        """Waits until it can be written in."""
        await self.shows("chat-button")
        open_now = """() => document.querySelector('[data-testid="chat-panel"]')
            ?.checkVisibility({ visibilityProperty: true }) === true"""
        if not await self.evaluate(open_now):
            await self.click("chat-button")
        await self.shows("chat-input")

        async def enabled() -> bool:
            return await self.attribute("chat-input", "disabled") is None

        await until(enabled, "Firefox can write", seconds=20)

    async def says(self, text: str) -> None:
        await self.order("fill", testid="chat-input", text=text)
        await self.click("chat-send")

    async def reads(self, *texts: str) -> None:
        """Waits until exactly these lines are to be read, in this order."""
        look = """() => [...document.querySelectorAll('[data-testid="chat-message"]')]
            .map((e) => e.textContent)"""

        async def all_there() -> bool:
            return bool(await self.evaluate(look) == list(texts))

        await until(all_there, f"Firefox reads {texts}", seconds=30)

    async def received(self) -> dict[str, Any]:
        got: dict[str, Any] = await self.evaluate("() => konsilProbe.received()")
        return got

    async def sees_and_hears_more(
        self, frames: int = 60, *, of: int = 1, seconds: float = 30
    ) -> None:
        """Waits for `frames` more decoded, `of` remote pictures that move, and sound."""
        before, shown = await self.received(), await self.evaluate(SHOWN)

        async def more() -> bool:
            now, moved = await self.received(), await self.evaluate(SHOWN)
            return (
                now["frames"] > before["frames"] + frames
                and now["audioBytes"] > before["audioBytes"] + 1000
                and sum(a > 0 and a not in shown for a in moved) >= of
            )

        await until(more, f"Firefox sees and hears {of} more", seconds=seconds)
