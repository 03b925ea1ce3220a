"""A server that lies can prevent a call. It can neither read one nor take part in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.e2e import attacks
from tests.e2e.hostile_proxy import Attack, Honest, HostileProxy
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host, Person
from tests.e2e.stage import Stage, session
from tests.ports import free_port


@session
async def lying_server(room_to_work: Path) -> AsyncIterator[tuple[HostileProxy, KonsilServer]]:
    proxy = HostileProxy(free_port())
    konsil = KonsilServer(room_to_work / "proxied", public_port=proxy.port)
    await konsil.start()
    await konsil.add_provider()
    await proxy.start(konsil.direct_url)
    yield proxy, konsil
    await proxy.stop()
    await konsil.stop()


@pytest.fixture
def proxied(
    lying_server: tuple[HostileProxy, KonsilServer],
) -> tuple[HostileProxy, KonsilServer]:
    """Konsil behind the lying proxy, which is honest until told otherwise."""
    lying_server[0].attack = Honest()
    return lying_server


async def _bring_together(stage: Stage, konsil: KonsilServer) -> tuple[Host, Client]:
    consultation = await konsil.invite()
    host, client = await stage.host(), await stage.client()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Dora")
    await host.sees_waiting("Dora")
    await host.admits("Dora")
    return host, client


async def test_through_an_honest_proxy_there_is_a_call(
    stage: Stage, proxied: tuple[HostileProxy, KonsilServer]
) -> None:
    """So that what the other tests see is the attack and not the proxy."""
    host, client = await _bring_together(stage, proxied[1])

    await host.sees_more_frames(10)
    await client.sees_more_frames(10)


async def _warned(person: Person) -> str:
    """Waits until the page says that something is wrong. Returns the refusal's code."""

    async def code() -> str:
        message = person.see("error-message").first
        if not await message.count() or not await message.is_visible():
            return ""
        assert len(await message.inner_text()) > 40, "in words that say what to do"
        return await message.get_attribute("data-code") or ""

    return await until(code, f"{type(person).__name__} is warned")


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (attacks.SwapFingerprint, "unsealing_failed"),
        pytest.param(attacks.SwapKey, "unsealing_failed", marks=pytest.mark.soak),
        pytest.param(attacks.SwapRevealedFingerprint, "commit_mismatch", marks=pytest.mark.soak),
        (attacks.SwapCommitment, "commit_mismatch"),
        (attacks.ManInTheMiddle, "unsealing_failed"),
        (attacks.Pretend, "secret_missing"),
        pytest.param(attacks.AlterSealed, "unsealing_failed", marks=pytest.mark.soak),
        (attacks.Replay, "replayed"),
        pytest.param(attacks.Reorder, "out_of_order", marks=pytest.mark.soak),
    ],
)
async def test_an_attack_is_refused_and_never_becomes_a_call(
    stage: Stage,
    proxied: tuple[HostileProxy, KonsilServer],
    attack: Callable[[], Attack],
    code: str,
) -> None:
    proxy, konsil = proxied
    proxy.attack = attack()

    host, client = await _bring_together(stage, konsil)

    assert await _warned(client) == code
    for person in (host, client):
        assert (await person.received()).frames == 0, "media from a refused exchange"
        assert await person.connections_open(used=True) == 0 or person is host
    assert await _warned(host)


async def test_after_a_refusal_only_the_person_starts_again(
    stage: Stage, proxied: tuple[HostileProxy, KonsilServer]
) -> None:
    proxy, konsil = proxied
    proxy.attack = attacks.SwapCommitment()
    _, client = await _bring_together(stage, konsil)
    await _warned(client)
    proxy.attack = attacks.AlterSealed()

    await client.see("retry-peer").click()
    assert await _warned(client) == "unsealing_failed"
