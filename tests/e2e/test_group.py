"""Three and more in a call: through the forwarder, which can read nothing of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.e2e.groups import (
    PATIENCE,
    all_decode_all,
    decodes_all,
    goes_by,
    group_of,
    grouped,
    joined,
    participants,
    seen_by,
)
from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host, Person
from tests.e2e.stage import Stage, StartKonsil, session
from tests.ports import free_port

pytestmark = pytest.mark.timeout(150)

SOUND_LOST = 1000  # ms, the most that a move may cost
TOO_BUSY = 0.1  # a share of all sound; a machine that loses it anyway says nothing about moves
# A share of all sound: as much more may be lost when another page has come.
STUMBLES = 0.05
BACK = 5.0  # s, until everybody sees everybody after a forwarder has died
# Seconds as a page has them: where it comes to nothing, as three software encoders begin anew, they
# are longer.
BEAT_MS = 50
PULSE = f"() => {{ window.beats = 0; setInterval(() => {{ window.beats += 1; }}, {BEAT_MS}); }}"


def settings() -> dict[str, str]:
    return {"KONSIL_ROLES": "signaling,sfu", "KONSIL_SFU_PORT": str(free_port())}


@session
async def house(room_to_work: Path) -> AsyncIterator[KonsilServer]:
    """A server with a forwarder, for all tests that do not break it."""
    server = KonsilServer(room_to_work / "house", settings=settings())
    await server.start()
    await server.add_provider()
    yield server
    await server.stop()


async def test_three_see_and_hear_one_another_and_the_end_leaves_nothing(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, clients = await group_of(stage, house, "Charlie", "Dora")
    everybody = [host, *clients]
    await goes_by(everybody, "sfu")
    for person in everybody:
        assert await person.see("remote-video").count() == 2
        for code in await person.see("security-code").all():
            assert await code.get_attribute("data-verified") == "link"
        for one in (await seen_by(person)).values():
            assert one.energy > 0
    await host.ends()
    for person in everybody:
        await person.told("call-ended", "ended")
        await person.devices_off()
        assert await person.connections_open() == 0


@pytest.mark.soak
async def test_whoever_could_not_load_what_a_group_needs_comes_back_with_it_by_itself(
    stage: Stage, house: KonsilServer
) -> None:
    refused: list[str] = []

    async def once(route: Route) -> None:
        refused.append(route.request.url)
        await (route.abort() if len(refused) <= 2 else route.continue_())

    consultation, host, [charlie] = await group_of(stage, house, "Charlie")
    await charlie.page.route("**/static/js/group.js", once)
    dora = await joined(stage, host, consultation, "Dora")
    await all_decode_all([host, charlie, dora])
    # Chromium asks for a module that did not come once more by now; other browsers do not.
    assert len(refused) == 3
    kind = "performance.getEntriesByType('navigation')[0].type"
    assert await charlie.page.evaluate(kind) == "reload"
    await expect(charlie.see("page-part-missing")).to_be_hidden()


@pytest.mark.soak
async def test_moving_to_the_forwarder_and_back_costs_no_sound_worth_mentioning(
    stage: Stage, house: KonsilServer
) -> None:
    consultation, host, [charlie] = await group_of(stage, house, "Charlie")
    await goes_by([host, charlie], "direct")
    ears = (
        Ear(host, (await participants(host))["Charlie"]),
        Ear(charlie, (await participants(charlie))[PROVIDER]),
    )
    dora: Client = await grouped(stage, Client)
    await dora.knocks(consultation.client_url, "Dora")
    await _used_to(ears)

    await _listen(ears)
    await host.admits("Dora")
    await goes_by([host, charlie], "sfu")
    await asyncio.gather(decodes_all(host, 2, count=5), decodes_all(charlie, 2, count=5))
    await _lost_little(ears, "to the forwarder")
    await _one_way(host, charlie)

    await _used_to(ears)
    await _listen(ears)
    await dora.see("leave-button").click()
    await goes_by([host, charlie], "direct")
    await asyncio.gather(decodes_all(host, 1, count=5), decodes_all(charlie, 1, count=5))
    await _lost_little(ears, "back again")
    await _one_way(host, charlie)


@dataclass(slots=True)
class Ear:
    """One who listens to one other, and how much is lost of that while nothing happens (a share):
    software encoders of several people on few processors stumble by themselves."""

    person: Person
    other: str
    usual: float = 0.0

    async def lost(self) -> tuple[float, float]:
        """Since `_listen`: ms, and ms of that without sound of the other."""
        found = await self.person.page.evaluate("id => konsilGroup.lost(id)", self.other)
        return found["time"], found["lost"]


async def _one_way(*people: Person) -> None:
    """Waits until what was there before a move is given up."""

    async def so() -> bool:
        return all([await p.page.evaluate("konsilGroup.forMedia()") == 1 for p in people])

    await until(so, "one connection for picture and sound is left", seconds=PATIENCE)


async def _listen(ears: Sequence[Ear]) -> None:
    for ear in ears:
        await ear.person.page.evaluate("id => konsilGroup.listen(id)", ear.other)


async def _used_to(ears: Sequence[Ear]) -> None:
    """Finds out how much is lost while nothing happens."""
    await _listen(ears)
    await asyncio.gather(*(ear.person.sees_more_frames(30, seconds=PATIENCE) for ear in ears))
    for ear in ears:
        time_passed, lost = await ear.lost()
        ear.usual = lost / time_passed
        if ear.usual > TOO_BUSY:
            pytest.skip(f"{ear.usual:.0%} of all sound is lost while nothing happens")


async def _lost_little(ears: Sequence[Ear], where: str) -> None:
    """Beyond what is usual hardly any of the other's sound was lost since `_listen`."""
    for ear in ears:
        time_passed, lost = await ear.lost()
        most = SOUND_LOST + (STUMBLES + 1.5 * ear.usual) * time_passed
        assert lost < most, (
            f"{type(ear.person).__name__}, {where}: {lost:.0f} of {time_passed:.0f} ms"
        )


async def test_a_reload_returns_to_the_group_by_itself(stage: Stage, house: KonsilServer) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    await dora.page.reload()
    await dora.shows("leave-button")
    await all_decode_all([host, charlie, dora])


@pytest.mark.soak
async def test_who_comes_later_and_who_leaves_disturbs_nobody(
    stage: Stage, house: KonsilServer
) -> None:
    consultation, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    of_dora = (await participants(charlie))["Dora"]
    ears = (Ear(charlie, of_dora),)
    await _used_to(ears)
    await _listen(ears)
    emil = await joined(stage, host, consultation, "Emil")
    await all_decode_all([host, charlie, dora, emil])
    await emil.see("leave-button").click()
    await emil.told("call-ended", "left")
    await all_decode_all([host, charlie, dora])
    await _lost_little(ears, "through comings and goings")


SCREEN = """
navigator.mediaDevices.getDisplayMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
  const pen = canvas.getContext("2d");
  let turn = 0;
  setInterval(() => {
    pen.fillStyle = `hsl(${(turn += 7)} 80% 50%)`;
    pen.fillRect(0, 0, 1280, 720);
  }, 100);
  return window.shownScreen = canvas.captureStream(10);
};
"""


@pytest.mark.soak
async def test_a_screen_is_shown_beside_the_face_and_goes_again(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    await dora.page.evaluate(SCREEN)
    of_dora = (await participants(host))["Dora"]

    await dora.see("screen-button").click()

    async def arrives() -> bool:
        for person in (host, charlie):
            screen = (await seen_by(person, screens=True)).get(of_dora)
            if screen is None or screen.frames < 10 or screen.width != 1280:
                return False
        return True

    await until(arrives, "host and Charlie see the screen", seconds=PATIENCE)
    await all_decode_all([host, charlie, dora])
    assert await dora.see("screen-button").get_attribute("aria-pressed") == "true"
    # So that the forwarder has less to send of it than all or nothing.
    assert (await dora.page.evaluate("konsilGroup.layering()"))["1280"] == "L1T3"

    # Ended by the browser's own button, as most people do.
    await dora.page.evaluate("shownScreen.getTracks()[0].dispatchEvent(new Event('ended'))")
    await host.see("remote-screen").wait_for(state="detached")
    await charlie.see("remote-screen").wait_for(state="detached")
    await dora.see("screen-button").click()
    await until(arrives, "the screen is there a second time", seconds=PATIENCE)


@pytest.mark.soak
async def test_devices_are_switched_without_a_word_to_the_forwarder(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    of_dora = (await participants(host))["Dora"]
    tile = host.page.locator(f"article.tile[data-participant='{of_dora}']")
    await dora.see("mic-button").click()
    await dora.see("camera-button").click()
    await tile.get_by_test_id("remote-muted").wait_for(state="visible")
    await until(lambda: _is(tile, "data-video", "false"), "the camera is shown as switched off")
    await dora.see("mic-button").click()
    await dora.see("camera-button").click()
    await until(lambda: _is(tile, "data-video", "true"), "the camera is back")
    await all_decode_all([host, charlie, dora])


async def _is(element: object, name: str, value: str) -> bool:
    return bool(await element.get_attribute(name) == value)  # type: ignore[attr-defined]


# A page that has agreed on everything but is told no keys of frames.
KEYLESS = """
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...more) {
  if (message?.type !== "open") post.call(this, message, ...more);
};
"""


async def test_who_has_no_key_decodes_nothing(stage: Stage, house: KonsilServer) -> None:
    consultation, host, [charlie] = await group_of(stage, house, "Charlie")
    spy: Client = await grouped(stage, Client)
    await spy.context.add_init_script(KEYLESS)
    await spy.knocks(consultation.client_url, "Spy")
    await host.admits("Spy")
    await all_decode_all_but(host, charlie)

    async def packets_come() -> bool:
        incoming = await spy.page.evaluate("konsilGroup.incoming()")
        return bool(sum(one["packets"] for one in incoming if one["kind"] == "video") > 100)

    await until(packets_come, "packets come to the one without keys", seconds=PATIENCE)
    incoming = await spy.page.evaluate("konsilGroup.incoming()")
    assert [one["frames"] for one in incoming] == [0] * len(incoming)


async def all_decode_all_but(host: Host, charlie: Client) -> None:
    """Both see one another and the third."""
    await asyncio.gather(decodes_all(host, 2), decodes_all(charlie, 2))


OPEN_WITH = """
async ([sealing, known]) => {
  const { contextOf, openFrame, sealFrame } = await import("/static/js/frames.js");
  const key = (text) => crypto.subtle.importKey(
    "raw", Uint8Array.from(text.split("."), Number), { name: "AES-GCM" }, false,
    ["encrypt", "decrypt"]);
  const context = contextOf({ room: "r", sender: "s", source: "microphone" });
  const as = { context, kind: "audio" };
  const frame = await sealFrame(
    await key(sealing), { ...as, stream: 0, epoch: 1, counter: 1 }, Uint8Array.of(1, 2, 3));
  let opened = 0;
  for (const text of known) {
    await openFrame(await key(text), as, frame).then(() => { opened += 1; }, () => {});
  }
  return opened;
}
"""


async def test_after_a_removal_no_old_key_opens_anything(stage: Stage, house: KonsilServer) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    known = await dora.page.evaluate("konsilGroup.keys.open")
    before = [(await p.page.evaluate("konsilGroup.keys.seal"))[-1] for p in (host, charlie)]
    for sealing in before:
        assert await dora.page.evaluate(OPEN_WITH, [sealing, known]) == 1

    entry = host.see("call-list").locator("li").filter(has_text="Dora")
    await entry.get_by_test_id("remove-button").click()
    await dora.told("call-ended", "removed")

    async def renewed() -> bool:
        now = [(await p.page.evaluate("konsilGroup.keys.seal"))[-1] for p in (host, charlie)]
        return all(new != old for new, old in zip(now, before, strict=True))

    await until(renewed, "both who stay have new keys")
    known = await dora.page.evaluate("konsilGroup.keys.open")
    for person in (host, charlie):
        sealing = (await person.page.evaluate("konsilGroup.keys.seal"))[-1]
        assert await dora.page.evaluate(OPEN_WITH, [sealing, known]) == 0
    await all_decode_all([host, charlie])


def forwarder_pid(konsil: KonsilServer) -> int:
    """The process of the forwarder, a child of the server's."""
    todo = [konsil.pid]
    while todo:
        pid = todo.pop()
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                if b"sfu" in words:
                    return int(child)
                todo.append(int(child))
    raise AssertionError("no forwarder among the server's processes")


@pytest.mark.soak
async def test_a_killed_forwarder_is_replaced_without_a_click(
    stage: Stage, start_konsil: StartKonsil
) -> None:
    konsil = await start_konsil(settings=settings())
    _, host, [charlie, dora] = await group_of(stage, konsil, "Charlie", "Dora")
    everybody: list[Person] = [host, charlie, dora]
    before = [await seen_by(person) for person in everybody]
    for person in everybody:
        await person.page.evaluate(PULSE)

    os.kill(forwarder_pid(konsil), signal.SIGKILL)

    async def back() -> bool:
        """Pictures of everybody come over another connection."""
        now = [await seen_by(person) for person in everybody]
        return all(
            one[who].frames > 0 and one[who].track != had.track
            for one, was in zip(now, before, strict=True)
            for who, had in was.items()
        )

    await until(back, "everybody sees everybody again", seconds=PATIENCE)
    for person in everybody:
        assert await person.page.evaluate("window.beats") * BEAT_MS < BACK * 1000
    await all_decode_all(everybody)
    await goes_by(everybody, "sfu")


@pytest.mark.soak
async def test_the_host_asks_to_mute_and_nobody_is_muted_by_force(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    entry = host.see("call-list").locator("li").filter(has_text="Charlie")
    await entry.get_by_test_id("ask-mute").click()
    await charlie.shows("mute-asked")
    assert await charlie.see("mic-button").get_attribute("aria-pressed") == "true"
    assert not await dora.see("mute-asked").is_visible()
    await charlie.see("mute-later").click()
    await charlie.see("mute-asked").wait_for(state="hidden")
    await entry.get_by_test_id("ask-mute").click()
    await charlie.see("mute-now").click()
    await charlie.see("mute-asked").wait_for(state="hidden")
    assert await charlie.see("mic-button").get_attribute("aria-pressed") == "false"
    await entry.get_by_test_id("ask-mute").wait_for(state="hidden")


async def test_a_guest_comes_by_a_link_that_the_host_makes(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, [charlie] = await group_of(stage, house, "Charlie")
    await host.see("invite-guest").click()
    link = await (await host.shows("guest-link")).input_value()
    assert link.startswith(f"{house.url}/join#")
    assert "~" in link, "the link carries the secret that only pages know"
    guest: Client = await grouped(stage, Client)
    await guest.knocks(link, "Interpreter")
    await host.admits("Interpreter")
    await all_decode_all([host, charlie, guest])
    for code in await guest.see("security-code").all():
        assert await code.get_attribute("data-verified") == "link"


async def test_a_browser_that_cannot_seal_frames_is_told_so(
    stage: Stage, house: KonsilServer
) -> None:
    consultation, host, [charlie] = await group_of(stage, house, "Charlie")
    old: Client = await grouped(stage, Client)
    await old.context.add_init_script("delete window.RTCRtpScriptTransform")
    await old.knocks(consultation.client_url, "Old")
    await host.admits("Old")
    await old.told("error-message", "group_unsupported")
    await host.page.get_by_text("one after another").first.wait_for(state="visible")
    await asyncio.gather(decodes_all(host, 1), decodes_all(charlie, 1))


@pytest.mark.soak
async def test_who_is_pinned_is_large_for_the_one_who_pins(
    stage: Stage, house: KonsilServer
) -> None:
    _, host, [charlie, dora] = await group_of(stage, house, "Charlie", "Dora")
    of_dora = (await participants(host))["Dora"]
    tile = host.page.locator(f"article.tile[data-participant='{of_dora}']")
    await tile.hover()
    await tile.get_by_test_id("pin-button").click()

    async def larger() -> bool:
        boxes = await host.page.eval_on_selector_all(
            "article.tile", "all => all.map(e => [e.dataset.participant, e.clientWidth])"
        )
        width = dict(boxes)
        return bool(width[of_dora] > 2 * max(w for who, w in boxes if who != of_dora))

    await until(larger, "Dora is large")
    assert await tile.get_by_test_id("pin-button").get_attribute("aria-pressed") == "true"
    assert await dora.see("pin-button").first.get_attribute("aria-pressed") == "false"
    await all_decode_all([host, charlie, dora])


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_five_see_one_another(stage: Stage, house: KonsilServer) -> None:
    names = ("Charlie", "Dora", "Emil", "Fatima")
    _, host, clients = await group_of(stage, house, *names)
    await goes_by([host, *clients], "sfu")
    await clients[1].see("leave-button").click()
    staying = [host, clients[0], *clients[2:]]
    await all_decode_all(staying, seconds=60)
