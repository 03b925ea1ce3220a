"""No page or state that people see has a fault that axe-core can find, in any language."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.axe import is_accessible
from tests.e2e.konsil_server import PROVIDER, KonsilServer
from tests.e2e.people import Person
from tests.e2e.stage import Stage
from tests.e2e.test_pages import DESKTOP, PHONE

pytestmark = pytest.mark.timeout(180)  # a story with a look at every stop
languages = pytest.mark.parametrize(
    ("locale", "size"),
    [
        pytest.param("en-GB", DESKTOP, id="en-desktop"),
        pytest.param("de-DE", PHONE, id="de-phone", marks=pytest.mark.soak),
        pytest.param("fr-FR", PHONE, id="fr-phone", marks=pytest.mark.soak),
    ],
)


@languages
async def test_pages_without_a_link(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    visitor = await stage.person(Person, locale=locale, viewport=size)
    for path, test_id in (
        ("/", None),
        ("/help", "help"),
        ("/nothing-here", "error-message"),
        ("/join", "code-input"),
        ("/join#broken", "error-message"),
        ("/host", "error-message"),
        ("/provider", "error-message"),
    ):
        await visitor.page.goto("about:blank")
        await visitor.page.goto(konsil.url + path)
        await visitor.page.locator("html[data-ready]").wait_for()
        if test_id is not None:
            await visitor.shows(test_id)
        await is_accessible(visitor, path)
    await visitor.page.goto(f"{konsil.url}/join")
    await visitor.see("code-input").fill("1")
    await visitor.see("code-button").click()
    await expect(visitor.see("code-fault")).not_to_be_empty()
    await is_accessible(visitor, "a wrong code")


@languages
async def test_the_providers_desk(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    provider = await stage.person(Person, locale=locale, viewport=size)
    await provider.page.goto((await konsil.command("provider", "link", PROVIDER)).strip())
    await provider.shows("new-consultation")
    for summary in await provider.page.locator("summary").all():
        await summary.click()
    await is_accessible(provider, "form")
    await provider.see("minutes").fill("1")
    await provider.see("create-button").click()
    await provider.shows("error-message")
    await is_accessible(provider, "form with a fault")
    await provider.see("minutes").fill("30")
    await provider.see("links").fill("2")
    await provider.see("create-button").click()
    await provider.shows("host-link")
    for summary in await provider.page.locator("details:not([open]) > summary").all():
        await summary.click()
    await is_accessible(provider, "links")
    await provider.see("another-button").click()
    await provider.shows("own-entry")
    await provider.see("next-link-button").click()
    await provider.shows("next-link")
    await is_accessible(provider, "list")
    await provider.see("sign-out").click()
    await provider.told("error-message", "signed_out")
    await is_accessible(provider, "signed out")


@languages
async def test_a_consultation(
    stage: Stage, konsil: KonsilServer, locale: str, size: dict[str, int]
) -> None:
    consultation = await konsil.invite()
    host = await stage.host(locale=locale, viewport=size)
    client = await stage.client(locale=locale, viewport=size)
    await host.enter(consultation.host_url)
    await host.see("code-make").scroll_into_view_if_needed()
    await host.see("code-make").click()
    await host.shows("code-digits")
    await host.see("tell-open").click()
    await host.shows("tell-send")
    await is_accessible(host, "empty desk with its tools")

    await client.page.goto(consultation.client_url)
    await client.shows("name-input")
    await is_accessible(client, "before joining")
    await client.see("join-button").click()
    await is_accessible(client, "before joining, with faults")
    await client.joins("Dora")
    await client.shows("waiting-status")
    await host.sees_waiting("Dora")
    await host.see("tell-minutes").select_option("10")
    await host.see("tell-text").fill("Bitte noch etwas Geduld.")
    await host.see("tell-send").click()
    await client.shows("waiting-told")
    await is_accessible(client, "waiting room")
    await is_accessible(host, "desk with somebody waiting")
    await host.admits("Dora")
    await client.sees_more_frames(10)
    await host.sees_more_frames(10)
    await is_accessible(client, "call, client")
    await is_accessible(host, "call, host")
    await host.see("end-consultation").click()
    await host.shows("end-confirm")
    await is_accessible(host, "question before the end")
    await host.see("end-confirm").click()
    for person in (host, client):
        await person.told("call-ended", "ended")
        await is_accessible(person, "end")


# Each place of the keyboard in a call, what lies hidden until it is needed as well: which rings
# have less contrast to what is around the control than WCAG 1.4.11 asks for.
FAINT_RINGS = """() => {
  const dot = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (colours) => {
    dot.fillStyle = "#000";
    for (const colour of colours) {
      dot.fillRect(0, 0, 1, 1);
      dot.fillStyle = colour;
    }
    dot.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...dot.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) =>
      part <= 10 ? part / 255 / 12.92 : ((part / 255 + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const around = (element) => {
    const grounds = [];
    for (let at = element.parentElement; at; at = at.parentElement)
      grounds.unshift(getComputedStyle(at).backgroundColor);
    return grounds;
  };
  const places = {};
  const faint = [];
  for (const part of document.querySelectorAll(".call [hidden]")) part.hidden = false;
  for (const control of document.querySelectorAll(".call :is(button, select, input, summary)")) {
    if (control.disabled || !control.checkVisibility({ visibilityProperty: true })) continue;
    control.focus();
    if (document.activeElement !== control) continue;
    const { outlineColor, outlineStyle } = getComputedStyle(control);
    const ground = around(control);
    const [ring, plain] = [paint([...ground, outlineColor]), paint(ground)];
    const contrast = (Math.max(ring, plain) + .05) / (Math.min(ring, plain) + .05);
    const of = [
      ".dialog", ".compare", ".tile-alert", ".notice", ".banner.calm", ".banner", ".chat", ".bar",
    ].find((name) => control.closest(name)) ?? ".stage";
    places[of] = (places[of] ?? 0) + 1;
    if (outlineStyle !== "solid" || contrast < 3)
      faint.push(`${of} ${control.dataset.testid ?? control.tagName}: ${contrast.toFixed(2)}`);
  }
  return [places, faint];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_keyboards_place_is_seen_on_every_ground_of_a_call(
    stage: Stage, konsil: KonsilServer, scheme: str
) -> None:
    consultation = await konsil.invite()
    host = await stage.host()
    client = await stage.client(color_scheme=scheme, viewport=DESKTOP)
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Emil")
    await host.admits("Emil")
    await client.sees_more_frames(10)
    await client.shows("hand-button")
    await client.shows("chat-input")
    # What is focused without a press of the mouse before it shows a ring.
    await client.page.keyboard.press("Tab")
    in_call, faint = await client.page.evaluate(FAINT_RINGS)
    assert faint == []
    grounds = {".stage", ".compare", ".tile-alert", ".notice", ".banner", ".chat", ".bar"}
    assert grounds <= {*in_call}
    await client.see("settings-button").click()
    await client.shows("keys-check")
    await client.page.keyboard.press("Tab")
    in_dialog, faint = await client.page.evaluate(FAINT_RINGS)
    assert faint == []
    assert in_dialog[".dialog"] > 5
