"""What a call offers beyond picture, sound and chat: hands, warnings, sound only, keys, leaving."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.groups import group_of, participants
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.writing import open_chat, says

# A tone without a pause in the place of a fake device's short beeps: speech to whoever measures it.
SPEAKS = """
const devices = navigator.mediaDevices;
const open = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  const [microphone] = stream.getAudioTracks();
  if (!microphone) return stream;
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 220 });
  const end = context.createMediaStreamDestination();
  tone.connect(end);
  tone.start();
  setInterval(() => context.resume(), 500);
  window.spokenInto = [context, microphone];
  stream.removeTrack(microphone);
  stream.addTrack(end.stream.getAudioTracks()[0]);
  return stream;
};
"""
CANARY = "Quetzalcoatl-7141"
TRACES = """() => JSON.stringify([
  document.documentElement.outerHTML, {...sessionStorage}, document.title,
  [...document.querySelectorAll("video, audio")].map((e) => e.srcObject && "media"),
])"""

LIVE_SOUND = "konsilProbe.tracks('audio').filter((state) => state === 'live').length"


async def _announced(person: Person, words: str) -> None:
    async def said() -> bool:
        return any(words in text for text in await person.page.evaluate("konsilProbe.announced"))

    await until(said, f"it is said: {words}")


async def test_two_people_with_hands_a_thin_line_and_a_muted_microphone(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await client.context.add_init_script(SPEAKS)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Charlie")
    await host.admits("Charlie")
    await host.sees_more_frames(10)
    for person in (host, client):
        await person.shows("hand-button")
        await person.page.evaluate("konsilProbe.listen()")
    keys = client.page.keyboard

    # A hand, by key; the host sees it, by name and in the list, and takes it down.
    await client.page.locator("h1").focus()
    await keys.press("h")
    await expect(client.see("hand-button")).to_have_attribute("aria-pressed", "true")
    await host.shows("remote-hand")
    await _announced(host, "Charlie has raised the hand.")
    await expect(host.see("hand-list").locator("li")).to_contain_text("1. Charlie")
    await host.see("lower-hand").click()
    await expect(client.see("hand-button")).to_have_attribute("aria-pressed", "false")
    await expect(host.see("remote-hand")).to_be_hidden()
    await _announced(client, "has taken your hand down")

    # The other one's picture in a window of its own, by key, and back.
    floating = client.see("floating-button")
    await keys.press("p")
    await expect(floating).to_have_attribute("aria-pressed", "true")
    assert await client.page.evaluate("document.pictureInPictureElement.videoWidth") > 0
    await keys.press("p")
    await expect(floating).to_have_attribute("aria-pressed", "false")

    # Somebody goes on talking with the microphone off.
    await keys.press("m")
    warning = await client.shows("voice-warning")
    assert await warning.get_attribute("data-warning") == "muted"
    assert await _sent_is_silent(client), "the copy that is measured goes nowhere"
    await is_accessible(client, "warning of a microphone that is off")
    await client.see("voice-do").click()
    await expect(warning).to_be_hidden()
    await host.hears_more()

    # Sound only by choice, in both directions, and back.
    await client.see("settings-button").click()
    await client.see("sound-only-check").check()
    await is_accessible(client, "settings of a call")
    await client.page.keyboard.press("Escape")
    await client.shows("thin-line")
    await host.page.locator('.tile[data-video="false"]').wait_for()
    await expect(host.page.locator(".tile-blank")).to_contain_text("by choice")
    await client.page.locator('.tile[data-video="false"]').wait_for()
    await host.hears_more()
    await client.see("picture-again").click()
    await host.sees_more_frames(10)
    await client.sees_more_frames(10)

    # Back in the waiting room nothing of the call goes on.
    await client.page.locator("h1").focus()
    await keys.press("p")
    await expect(floating).to_have_attribute("aria-pressed", "true")
    listening = await client.page.evaluate(LIVE_SOUND)
    await host.see("back-button").click()
    await client.shows("waiting-status")

    async def quiet() -> bool:
        small = await client.page.evaluate("document.pictureInPictureElement !== null")
        return not small and await client.page.evaluate(LIVE_SOUND) < listening

    await until(quiet, "the small window is closed and nobody listens")


async def _sent_is_silent(person: Person) -> bool:
    """Whether every track of sound that a connection sends is switched off."""
    return bool(await person.page.evaluate("konsilProbe.soundSent().every((on) => !on)"))


# The note is what lies uppermost where it stands, and what is said can be heard.
NOTE_ON_TOP = """() => {
  const note = document.querySelector(".note");
  const { x, y, width, height } = note.getBoundingClientRect();
  const heard = document.querySelector("[aria-live=polite]").parentElement === note.parentElement;
  return heard && document.elementFromPoint(x + width / 2, y + height / 2) === note;
}"""


async def test_a_note_is_seen_in_full_screen_and_over_a_dialog(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await open_chat(host, client)
    await client.see("chat-close").click()
    await client.shows("hand-button")
    note = client.page.locator(".note")

    async def stands(where: str, what: str) -> None:
        await until(lambda: client.page.evaluate(f"{where} !== null"), what)

    async def sees(line: str) -> None:
        await says(host, line)
        await expect(note).to_contain_text(line)
        await until(lambda: client.page.evaluate(NOTE_ON_TOP), f"{line} is seen")

    await sees("Before")
    await client.see("fullscreen-button").click()
    # What was there before comes along.
    await stands("(document.fullscreenElement ?? document.head).querySelector('.note')", "it came")
    await sees("In full screen")
    await client.see("settings-button").click()
    await client.shows("keys-check")
    await sees("Over a dialog")
    await client.page.keyboard.press("Escape")
    await stands("document.querySelector('.call > .note')", "it does not go with the dialog")
    await sees("Without it")
    await client.see("fullscreen-button").click()
    await stands("document.querySelector('body > .note')", "it does not go with the full screen")
    await sees("Afterwards")


@pytest.mark.soak
async def test_letters_can_be_switched_off_and_leaving_clears_the_page(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite())
    await client.shows("hand-button")
    await client.see("settings-button").click()
    await client.page.locator("summary", has_text="Keys").click()
    assert "Microphone on or off" in await client.see("key-list").inner_text()
    # Letters mean nothing under an open dialog.
    await client.page.keyboard.press("v")
    await client.see("keys-check").uncheck()
    await client.page.keyboard.press("Escape")
    await client.page.locator("h1").focus()
    await client.page.keyboard.press("m")
    await expect(client.see("mic-button")).to_have_attribute("aria-pressed", "true")
    await expect(client.see("camera-button")).to_have_attribute("aria-pressed", "true")

    await client.see("chat-input").fill(CANARY)
    await client.see("chat-input").press("Enter")
    await expect(host.see("chat-message")).to_contain_text(CANARY)
    await client.see("leave-button").click()

    # At once, without a question; nothing of the conversation stays on the page or in the tab.
    await client.told("call-ended", "left")
    await client.devices_off()
    left = str(await client.page.evaluate(TRACES))
    assert CANARY not in left
    assert '"media"' not in left
    assert await client.connections_open() == 0

    # And on a device that others use, too, not even the link.
    await client.see("forget-button").click()
    await client.page.wait_for_url(f"{konsil.url}/")
    await client.page.locator("html[data-ready]").wait_for()
    assert await client.page.evaluate("sessionStorage.length") == 0
    await client.page.go_back(wait_until="commit")
    assert "/join" not in client.page.url


@pytest.mark.soak
async def test_hands_in_a_group_are_in_order_and_survive_a_reload_of_the_host(
    stage: Stage, konsil: KonsilServer
) -> None:
    _, host, (dora, emil) = await group_of(stage, konsil, "Dora", "Emil")
    await emil.see("hand-button").click()
    await expect(host.see("hand-list").locator("li")).to_have_count(1)
    await dora.see("hand-button").click()
    items = host.see("hand-list").locator("li strong")
    await expect(items).to_have_text(["1. Emil", "2. Dora"])
    ids = await participants(emil)
    tile = emil.page.locator(f'[data-participant="{ids["Dora"]}"]')
    await expect(tile.get_by_test_id("remote-hand")).to_be_visible()

    # Sound only: what others send is not asked for, nor sent to oneself.
    await emil.see("settings-button").click()
    await emil.see("sound-only-check").check()
    await emil.page.keyboard.press("Escape")
    await expect(tile.locator(".tile-blank")).to_contain_text("your line is spared")
    seen = dora.page.locator(f'[data-participant="{(await participants(dora))["Emil"]}"]')
    await expect(seen.locator(".tile-blank")).to_contain_text("by choice")

    async def still() -> bool:
        before = await _video_packets(emil)
        await asyncio.sleep(1)
        return await _video_packets(emil) == before

    await until(still, "no pictures come any more")
    await emil.see("picture-again").click()
    await emil.sees_more_frames(10)
    await dora.sees_more_frames(10)

    await host.page.reload()
    await expect(items).to_have_text(["1. Emil", "2. Dora"], timeout=30_000)


async def _video_packets(person: Person) -> int:
    return int(await person.page.evaluate("konsilProbe.videoPackets()"))
