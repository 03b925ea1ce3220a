"""Before the call: too early, waiting, not let in, and what a reload or a second tab does."""

from __future__ import annotations

from datetime import timedelta

from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client
from tests.e2e.stage import Stage


async def test_a_link_too_early_counts_down_and_opens_by_itself(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite(opens_in=timedelta(seconds=8))
    client = await stage.client()

    await client.page.goto(consultation.client_url)

    await client.told("error-message", "token_not_open_yet")
    assert ":" in await (await client.shows("countdown")).inner_text()
    await client.joins("Early Bird")
    await client.shows("waiting-status")


async def test_a_host_may_come_before_the_link_of_the_client_opens(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite(opens_in=timedelta(minutes=30))
    host = await stage.host()

    await host.enter(consultation.host_url)


async def test_nobody_is_in_a_call_whom_the_host_has_not_admitted(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await client.knocks(consultation.client_url, "Dora")
    assert await client.see("waiting-status").get_attribute("data-host-present") == "false"

    await host.enter(consultation.host_url)

    await host.sees_waiting("Dora")
    await client.page.locator('[data-testid="waiting-status"][data-host-present="true"]').wait_for()
    for person in (host, client):
        assert (await person.received()).frames == 0
        assert await person.connections_open(used=True) == 0, "negotiated before admission"


async def test_who_is_declined_is_told_so_and_cannot_come_back(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")

    await host.declines("Dora")

    await client.told("error-message", "declined")
    await client.devices_off()
    await host.sees_waiting()
    await client.page.reload()
    await client.joins("Dora")
    await client.told("error-message", "not_allowed")


async def test_a_locked_room_takes_nobody_new(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    host, first, second = await stage.host(), await stage.client(), await stage.client()
    await host.enter(consultation.host_url)
    await first.knocks(consultation.client_url, "First")
    await host.sees_waiting("First")

    await host.see("lock-room").click()
    await host.page.locator('[data-testid="lock-room"][aria-pressed="true"]').wait_for()

    await second.page.goto(consultation.client_url)
    await second.joins("Second")
    await second.told("error-message", "room_locked")
    await host.sees_waiting("First")

    await host.see("lock-room").click()
    await host.page.locator('[data-testid="lock-room"][aria-pressed="false"]').wait_for()
    await second.see("remedy-button").click()
    await second.joins("Second")
    await host.sees_waiting("First", "Second")


async def test_a_second_tab_takes_over_from_the_first(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")

    # A window opened by the page has a copy of its session storage, as a duplicated tab has.
    async with client.context.expect_page() as opened:
        await client.page.evaluate("url => { window.open(url); }", consultation.client_url)
    second = Client(client.context, await opened.value)
    stage.people.append(second)

    await second.shows("waiting-status")
    await client.told("call-ended", "taken_over")
    await client.devices_off()
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    await second.sees_more_frames(10)


async def test_leaving_the_waiting_room_takes_one_off_the_list(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")

    await client.see("leave-waiting").click()

    await client.told("call-ended", "left")
    await client.devices_off()
    await host.sees_waiting()


async def test_a_reload_keeps_the_place_in_line(stage: Stage, konsil: KonsilServer) -> None:
    consultation = await konsil.invite()
    host, first, second = await stage.host(), await stage.client(), await stage.client()
    await host.enter(consultation.host_url)
    await first.knocks(consultation.client_url, "First")
    await second.knocks(consultation.client_url, "Second")
    await host.sees_waiting("First", "Second")

    await first.page.reload()
    await first.page.locator('[data-testid="waiting-status"][data-place="1"]').wait_for()
    await second.page.locator('[data-testid="waiting-status"][data-place="2"]').wait_for()

    await host.page.reload()
    await host.sees_waiting("First", "Second")
    await host.admits("First")
    await second.page.locator('[data-testid="waiting-status"][data-place="1"]').wait_for()
    await first.sees_more_frames(10)


async def test_who_is_sent_back_waits_again_and_who_is_removed_is_out(
    stage: Stage, konsil: KonsilServer
) -> None:
    host, client = await stage.call(await konsil.invite(), "Dora")

    await host.see("back-button").click()

    await client.shows("waiting-status")
    await host.sees_waiting("Dora")
    assert await client.connections_open(used=True) == 0

    await host.admits("Dora")
    await client.sees_more_frames()
    await host.see("remove-button").click()
    await client.told("call-ended", "removed")
    await client.devices_off()


PRESSED_AGAIN = """
new MutationObserver(() => {
  for (const press of [
    () => document.querySelector('[data-testid="admit-button"]')?.click(),
    () => document.activeElement.click(),
  ]) press();
  document.documentElement.dataset.pressed = "";
}).observe(document.querySelector('[data-testid="waiting-list"]'), { childList: true });
"""


async def test_the_second_half_of_a_double_press_admits_nobody(
    stage: Stage, konsil: KonsilServer
) -> None:
    consultation = await konsil.invite()
    host, first, second = await stage.host(), await stage.client(), await stage.client()
    await host.enter(consultation.host_url)
    await first.knocks(consultation.client_url, "First")
    await second.knocks(consultation.client_url, "Second")
    await host.sees_waiting("First", "Second")
    # By pointer and by key, at the earliest moment: when the next one has just slid there.
    await host.page.evaluate(PRESSED_AGAIN)

    await host.see("admit-button").first.focus()
    await host.page.keyboard.down("Enter")
    await host.sees_waiting("Second")
    await host.page.locator("html[data-pressed]").wait_for()
    await host.page.keyboard.down("Enter")
    await host.page.keyboard.up("Enter")

    # What comes after it on the same socket has been done, so it would have been.
    await host.see("lock-room").evaluate("button => button.click()")
    await host.page.locator('[data-testid="lock-room"][aria-pressed="true"]').wait_for()
    await host.sees_waiting("Second")
    focus = "document.activeElement.dataset.testid"
    assert await host.page.evaluate(focus) == "waiting-entry", "the keyboard's place"

    await host.page.keyboard.press("Tab")
    assert await host.page.evaluate(focus) == "admit-button"

    async def admitted() -> bool:
        await host.page.keyboard.press("Enter")
        return await host.see("waiting-entry").count() == 0

    await until(admitted, "one after another by keyboard")
    await second.shows("leave-button")
