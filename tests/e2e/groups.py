"""People of a group call: what each sees of every other one, sender by sender."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.konsil_server import Consultation, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Client, Host, Person
from tests.e2e.stage import Stage

PROBE = Path(__file__).resolve().parent / "group_probe.js"
STORY = 20  # video frames of one sender
PATIENCE = 45  # s; five software encoders and more share the processors of a test machine


@dataclass(frozen=True, slots=True)
class Seen:
    """What has come from one sender, in the element that shows it."""

    track: str
    frames: int
    packets: int
    width: int
    energy: float


async def grouped(stage: Stage, kind: type[Person], **options: Any) -> Any:
    """A person whose page tells what it gets from whom."""
    person = await stage.person(kind, **options)
    await person.context.add_init_script(path=PROBE)
    return person


async def seen_by(person: Person, *, screens: bool = False) -> dict[str, Seen]:
    """What `person` has of each other one, by participant."""
    shown: list[dict[str, Any]] = await person.page.evaluate("konsilGroup.shown()")
    return {
        one["participant"]: Seen(
            one["track"], one["frames"], one["packets"], one["width"], one["energy"]
        )
        for one in shown
        if one["screen"] is screens
    }


async def decodes_all(
    person: Person, others: int, *, count: int = STORY, seconds: float = PATIENCE
) -> None:
    """Waits until `count` more pictures of each of `others` senders have been decoded."""
    last = before = await seen_by(person)
    floor = {who: one.frames for who, one in before.items()}

    async def enough() -> bool:
        nonlocal last
        now = await seen_by(person)
        for who, one in now.items():
            was = last.get(who)
            if was is None or one.track != was.track or one.frames < was.frames:
                # Comes over another connection, or from another load of the page: counted anew.
                floor[who] = 0
        last = now
        return len(now) == others and all(
            one.frames >= floor[who] + count for who, one in now.items()
        )

    try:
        await until(enough, f"each of {others} others is seen", seconds=seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {before} -> {last}") from None


async def all_decode_all(people: Sequence[Person], *, seconds: float = PATIENCE) -> None:
    await asyncio.gather(
        *(decodes_all(person, len(people) - 1, seconds=seconds) for person in people)
    )


async def paths(person: Person) -> list[str]:
    """Which way the media of everybody takes, as the page says."""
    found = await person.page.eval_on_selector_all(
        "[data-testid=connection-path]", "all => all.map(e => e.dataset.path)"
    )
    return list(found)


async def goes_by(people: Sequence[Person], path: str, *, seconds: float = PATIENCE) -> None:
    async def so() -> bool:
        said = [await paths(person) for person in people]
        return all(all(one == path for one in some) and some for some in said)

    await until(so, f"all media goes by {path}", seconds=seconds)


async def participants(person: Person) -> dict[str, str]:
    """Participant ids by the name that the page shows."""
    found: dict[str, str] = await person.page.eval_on_selector_all(
        "article.tile:not(.screen)",
        "all => Object.fromEntries(all.map(e => [e.getAttribute('aria-label'),"
        " e.dataset.participant]))",
    )
    return found


async def group_of(
    stage: Stage, konsil: KonsilServer, *names: str, **options: Any
) -> tuple[Consultation, Host, list[Client]]:
    """A host and these clients, all of whom decode one another."""
    consultation = await konsil.invite()
    host: Host = await grouped(stage, Host, **options)
    await host.enter(consultation.host_url)
    clients = [await joined(stage, host, consultation, name, **options) for name in names]
    await all_decode_all([host, *clients])
    return consultation, host, clients


async def joined(
    stage: Stage, host: Host, consultation: Consultation, name: str, **options: Any
) -> Client:
    """One more client, knocked and admitted."""
    client: Client = await grouped(stage, Client, **options)
    await client.knocks(consultation.client_url, name)
    await host.admits(name)
    await client.shows("leave-button")
    return client
