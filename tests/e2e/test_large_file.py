"""A file as large as people send them: through the pages to the disk, in nobody's memory."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from tests.e2e.chromium import CHROMIUM, FAKE_DEVICES, FLAGS
from tests.e2e.konsil_server import KonsilServer
from tests.e2e.people import Client
from tests.e2e.stage import HERE, Stage
from tests.e2e.writing import MIB, Memory, is_through, made_file, open_chat, sends_file

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1500)]
SIZE = 1024 * MIB


def _private_memory(profile: Path) -> int:
    """Bytes that all processes of the browser with this profile have for themselves."""
    parents: dict[int, int] = {}
    family: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_text().split("\0")
            stat = (process / "stat").read_text()
        except OSError:
            continue
        pid = int(process.name)
        parents[pid] = int(stat.rpartition(")")[2].split()[1])
        if f"--user-data-dir={profile}" in arguments:
            family.add(pid)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(map(_private, family))


def _private(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def _most(profile: Path) -> int:
    """Looks until it is cancelled."""
    most = 0
    try:
        while True:
            most = max(most, await asyncio.to_thread(_private_memory, profile))
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        return most


async def test_a_gibibyte_arrives_whole_in_bounded_memory(
    stage: Stage, konsil: KonsilServer, tmp_path: Path
) -> None:
    """What one receives with is no private window: in one the browser keeps all of it in memory."""
    profile = tmp_path / "profile"
    source = tmp_path / "series.bin"
    digest = await asyncio.to_thread(made_file, source, SIZE)
    consultation = await konsil.invite()
    host = await stage.host()
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, *FAKE_DEVICES],
            locale="en-GB",
            permissions=["camera", "microphone"],
        )
        await context.add_init_script(path=HERE / "probe.js")
        client = Client(context, await context.new_page())
        await host.enter(consultation.host_url)
        await client.knocks(consultation.client_url, "Charlie")
        await host.admits("Charlie")
        await asyncio.gather(host.sees_more_frames(), client.sees_more_frames())
        await open_chat(host, client)
        before = _private_memory(profile)
        assert before > 0, "these are not its processes"
        watching = asyncio.create_task(_most(profile))

        async with Memory(host) as sending, Memory(client) as receiving:
            began = time.monotonic()
            await sends_file(host, client, source)
            await is_through(client, seconds=900)
            took = time.monotonic() - began
            await is_through(host, seconds=60)
        watching.cancel()
        browser_growth = await watching - before
        print(
            f"{took:.0f} s, {SIZE / MIB / took:.1f} MiB/s; sender +{sending.growth / MIB:.0f} MiB,"
            f" receiver +{receiving.growth / MIB:.0f} MiB,"
            f" all of its browser +{browser_growth / MIB:.0f} MiB"
        )
        assert receiving.growth < 40 * MIB, f"{receiving.growth / MIB:.0f} MiB more at the receiver"
        assert sending.growth < 40 * MIB, f"{sending.growth / MIB:.0f} MiB more at the sender"
        assert browser_growth < SIZE / 2, "the receiver's browser holds it in memory"

        async with client.page.expect_download() as download:
            await client.see("file-link").click()
        await (await download.value).save_as(tmp_path / "saved")
        await context.close()
    assert not client.faults, "something went wrong on a page"
    with (tmp_path / "saved").open("rb") as file:
        arrived = sha256()
        while piece := file.read(MIB):
            arrived.update(piece)
    assert arrived.hexdigest() == digest
