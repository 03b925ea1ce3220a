"""The providers file: shared, private, and never half-written."""

import concurrent.futures
import json
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waiting_room.errors import ConfigError, Refused
from waiting_room.providers import Provider, Providers


def test_no_file_is_nobody(tmp_path: Path) -> None:
    providers = Providers(tmp_path / "not-there")
    assert providers.list() == ()
    assert providers.get("provider-id1") is None
    assert providers.epoch("provider-id1") is None


def test_added_and_found_again(tmp_path: Path) -> None:
    added = Providers(tmp_path / "state").add("  Dr. Müller ")
    assert added == Provider(added.id, "Dr. Müller", 0, True)
    assert len(added.id) == 12
    again = Providers(tmp_path / "state")
    assert again.list() == (added,)
    assert again.get(added.id) == again.named("Dr. Müller") == added
    assert again.named("Dr. Mu\u0308ller") == added  # the same name in another normal form
    mode = stat.S_IMODE((tmp_path / "state" / "providers.json").stat().st_mode)
    assert mode == 0o600


def test_a_name_is_there_once(tmp_path: Path) -> None:
    providers = Providers(tmp_path)
    providers.add("Dr. Who")
    with pytest.raises(Refused) as caught:
        providers.add("Dr. Who")
    assert caught.value.code == "already_used"


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\nb", "a\x00b", "a\u202eb", "a\ud800"])
def test_names_that_cannot_be_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused) as caught:
        Providers(tmp_path).add(name)
    assert caught.value.code == "bad_name"
    assert list(tmp_path.iterdir()) == []


def test_revoking_raises_the_epoch_for_every_process(tmp_path: Path) -> None:
    command, server = Providers(tmp_path), Providers(tmp_path)
    one, other = command.add("One"), command.add("Other")
    assert server.epoch(one.id) == 0
    assert command.revoke("One").epoch == 1
    assert server.epoch(one.id) == 1
    assert server.epoch(other.id) == 0
    assert command.revoke(one.id).epoch == 2
    with pytest.raises(Refused) as caught:
        command.revoke("Nobody")
    assert caught.value.code == "not_found"


def test_one_who_is_not_active_has_no_epoch(tmp_path: Path) -> None:
    providers = Providers(tmp_path)
    added = providers.add("One")
    path = tmp_path / "providers.json"
    path.write_text(path.read_text().replace("true", "false"))
    assert providers.get(added.id) == Provider(added.id, "One", 0, False)
    assert providers.epoch(added.id) is None


GOOD = {"id": "abcdefghijkl", "name": "One", "epoch": 0, "active": True}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        '{"version": 2, "providers": []}',
        '{"version": 1}',
        '{"version": 1, "providers": [], "more": 1}',
        "[" * 100_000,
        "\x00",
        json.dumps({"version": 1, "providers": [GOOD, GOOD]}),
        json.dumps({"version": 1, "providers": [GOOD, {**GOOD, "id": "abcdefghijkm"}]}),
        json.dumps({"version": 1, "providers": [{**GOOD, "id": "short"}]}),
        json.dumps({"version": 1, "providers": [{**GOOD, "epoch": -1}]}),
        json.dumps({"version": 1, "providers": [{**GOOD, "epoch": "0"}]}),
        json.dumps({"version": 1, "providers": [{**GOOD, "active": 1}]}),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "providers.json").write_text(content)
    with pytest.raises(ConfigError, match=r"KONSIL_STATE_DIR: .*providers\.json"):
        Providers(tmp_path)


def test_a_file_broken_later_changes_nothing_and_is_not_overwritten(tmp_path: Path) -> None:
    providers = Providers(tmp_path)
    added = providers.add("One")
    path = tmp_path / "providers.json"
    good = path.read_text()
    path.write_text("half-edi")
    assert providers.get(added.id) == added
    with pytest.raises(ConfigError, match="not a providers file"):
        providers.add("Two")
    assert path.read_text() == "half-edi"
    path.write_text(good.replace("One", "Uno"))
    assert providers.named("Uno")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_file_is_read_or_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "providers.json").write_bytes(content)
    with pytest.raises(ConfigError):
        Providers(tmp_path)


def test_two_at_once_lose_nobody(tmp_path: Path) -> None:
    def add(number: int) -> str:
        return Providers(tmp_path).add(f"Provider {number}").id

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(add, range(40)))
    assert {p.id for p in Providers(tmp_path).list()} == ids
    assert len(ids) == 40
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"providers.json", "providers.lock"}


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="KONSIL_STATE_DIR"):
        Providers(tmp_path / "file").add("One")
