"""The pictures of the help page are made by playing what they show: `make pictures` keeps them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.help_pictures import (
    WORDS,
    Theatre,
    play,
    public_server,
    start_browser,
    wanted_pictures,
)
from tests.e2e.people import Person
from tests.e2e.stage import Launch, Stage, session

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180)]
MOST_BYTES = 40_000


@session
async def theatre(launch: Launch, room_to_work: Path) -> AsyncIterator[Theatre]:
    server = public_server(room_to_work / "theatre")
    await server.start()
    await server.add_provider()
    doctors, clients = [
        await start_browser(launch, server, face, room_to_work) for face in ("doctor", "client")
    ]
    yield Theatre(server, doctors, clients)
    for browser in (doctors, clients):
        await browser.close()
    await server.stop()


@pytest.mark.parametrize("language", WORDS)
async def test_the_story_that_the_pictures_show_can_be_played(
    stage: Stage, theatre: Theatre, language: str, tmp_path: Path
) -> None:
    """Where KONSIL_PICTURES names a folder, what is made is kept there."""
    made = await play(stage, theatre, language, tmp_path)

    visitor = await stage.person(Person, browser=theatre.clients)
    sizes = {name: size_of(picture) for name, picture in made.items()}
    assert sizes == await wanted_pictures(visitor, theatre.server.url)
    assert {name: len(picture) for name, picture in made.items() if len(picture) > MOST_BYTES} == {}
    assert len(set(made.values())) == len(made)
    if place := os.environ.get("KONSIL_PICTURES"):
        folder = Path(place) / language
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in made.items():
            (folder / f"{name}.webp").write_bytes(picture)


def size_of(webp: bytes) -> tuple[int, int]:
    """Pixels of a WebP file in the extended format, as Chromium writes it (RFC 9649)."""
    assert webp[:4] == b"RIFF"
    assert webp[8:16] == b"WEBPVP8X"
    width, height = (int.from_bytes(webp[at : at + 3], "little") + 1 for at in (24, 27))
    return width, height
