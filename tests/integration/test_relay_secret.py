"""The relay's secret: made once, private, rotated with an overlap, or set by the operator."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from konsil.secret import Secret
from konsil.turn_secret import KeptSecrets
from tests.integration.conftest import until
from tests.integration.served import Served, konsil
from tests.integration.test_relay_serve import RELAY, plain_port
from turn import credentials
from turn.five_tuple import Transport
from turn.probe import ProbeError, probe


async def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "turn" / "secrets"
    async with Served(STATE_DIR=tmp_path, **RELAY) as server:
        first = file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        await server.stop()
        assert first.split()[-1] not in await server.log()
    async with Served(STATE_DIR=tmp_path, **RELAY):
        assert file.read_text() == first


async def test_rotation_overlaps(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path, **RELAY) as server:
        (former,) = KeptSecrets.open(tmp_path, time.time).accepted()
        code, out, err = await konsil("rotate-turn-secret", STATE_DIR=tmp_path)
        assert (code, err) == (0, "")
        assert "used in 15 seconds" in out
        newest, second = KeptSecrets.open(tmp_path, time.time).accepted()
        assert second == former != newest
        assert newest.reveal() not in out

        async def works(secret: Secret) -> bool:
            made = credentials.issue(secret.reveal(), "test", int(time.time()) + 60)
            try:
                await probe(Transport.UDP, "127.0.0.1", plain_port(server), *made)
            except ProbeError:
                return False
            return True

        await until(lambda: works(newest), within=15)
        assert await works(former)


async def test_a_secret_that_is_set_is_not_rotated_by_us(tmp_path: Path) -> None:
    code, _, err = await konsil("rotate-turn-secret", STATE_DIR=tmp_path, TURN_SECRET="theirs-4711")
    assert code == 2
    assert "KONSIL_TURN_FORMER_SECRET" in err
    assert "4711" not in err
    assert not (tmp_path / "turn").exists()


async def test_the_former_secret_that_is_set_is_accepted(tmp_path: Path) -> None:
    settings = {"TURN_SECRET": "new", "TURN_FORMER_SECRET": "old", "ROLES": "turn"}
    async with Served(STATE_DIR=tmp_path, **RELAY | settings) as server:
        for secret in ("new", "old"):
            made = credentials.issue(secret, "test", int(time.time()) + 60)
            await probe(Transport.UDP, "127.0.0.1", plain_port(server), *made)
        made = credentials.issue("older", "test", int(time.time()) + 60)
        with pytest.raises(ProbeError, match="401"):
            await probe(Transport.UDP, "127.0.0.1", plain_port(server), *made)
