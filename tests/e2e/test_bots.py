"""A browser and a media bot in one group: each opens what the other has sealed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiortc import RTCPeerConnection

from loadtest import timecode
from loadtest.bots.connection import Connection
from loadtest.bots.media import now_ms
from loadtest.bots.page import BotError, opened
from loadtest.viewing import Viewing
from signaling.messages import Leave
from tests.e2e.groups import decodes_all, grouped
from tests.e2e.konsil_server import Consultation, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Host
from tests.e2e.stage import Stage, StartKonsil
from tests.ports import free_port

pytestmark = pytest.mark.timeout(90)
FPS = 10
# Of the picture that a browser shows: luma alone, as a time code is read from it.
LUMA = """([width, height]) => {
  const video = [...document.querySelectorAll("video[data-testid=remote-video]")].at(-1);
  if (!video || video.videoWidth === 0) return [];
  const canvas = Object.assign(document.createElement("canvas"), {width, height});
  const paint = canvas.getContext("2d");
  paint.drawImage(video, 0, 0);
  return [...paint.getImageData(0, 0, width, height).data].filter((_, at) => at % 4 === 1);
}"""


@contextlib.asynccontextmanager
async def bot(
    konsil: KonsilServer, host: Host, consultation: Consultation, name: str
) -> AsyncIterator[Connection]:
    """A client without a browser, admitted and in the call."""
    token, secret = urlsplit(consultation.client_url).fragment.split("~")
    async with (
        aiohttp.ClientSession() as session,
        opened(session, konsil.url, token, name) as page,
    ):
        await host.admits(name)
        await page.until(lambda: page.view is not None and page.view.media.mode == "sfu")
        viewing = Viewing(now_ms(), FPS)
        room = consultation.room
        made = Connection(page, room, secret, "sfu", FPS, viewing, RTCPeerConnection())
        try:
            await made.offer_to_forwarder()
            yield made
            with contextlib.suppress(BotError):  # the answer may be the end of the socket
                await page.command(Leave)
        finally:
            await made.close()


@pytest.mark.soak
async def test_a_browser_opens_the_frames_of_bots_through_a_change_of_keys(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    settings = {
        "KONSIL_ROLES": "signaling,sfu",
        "KONSIL_SFU_PORT": str(free_port()),
        "KONSIL_MEDIA_TOPOLOGY": "sfu",
    }
    konsil = await start_konsil(settings=settings)
    consultation = await konsil.invite()
    host: Host = await grouped(stage, Host)
    await host.enter(consultation.host_url)

    async def read() -> timecode.TimeCode | None:
        luma = bytes(await host.page.evaluate(LUMA, [timecode.WIDTH, timecode.HEIGHT]))
        return timecode.read(luma, timecode.WIDTH)

    async with bot(konsil, host, consultation, "Bot") as first:
        code = await until(read, "the time code in the picture that the browser shows")
        assert 0 <= timecode.age_ms(code, now_ms()) < 10_000
        alone = first.epoch
        async with bot(konsil, host, consultation, "Newcomer"):
            await until(lambda: _has_changed(first, alone), "a new key when somebody has come")
            await decodes_all(host, 2)
            together = first.epoch
        await until(lambda: _has_changed(first, together), "a new key when somebody has left")
        await decodes_all(host, 1)
        figures = await first.figures()
        assert figures.unsealed_frames >= figures.audio_frames > 0


async def _has_changed(connection: Connection, epoch: int) -> bool:
    return connection.epoch > epoch
