"""The providers file: shared, private, and never half-written."""

import concurrent.futures
import json
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waiting_room.errors import ConfigError, Refused
from waiting_room.providers import Provider, Providers
from waiting_room.state_file import RETRY_SECONDS, StateFile


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


class Still:
    """A clock that stands."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_revocation_is_not_missed_for_an_error_of_a_moment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing about the file changes when it can be read again."""
    clock = Still()
    command, server = Providers(tmp_path), Providers(tmp_path, clock)
    one = command.add("One")
    assert server.epoch(one.id) == 0
    command.revoke("One")
    path = tmp_path / "providers.json"
    good, since = path.read_bytes(), path.stat().st_mtime_ns

    def put(data: bytes) -> None:
        path.write_bytes(data)
        os.utime(path, ns=(since, since))

    put(bytes(len(good)))
    with caplog.at_level(logging.ERROR, "waiting_room"):
        for _ in range(3):
            assert server.epoch(one.id) == 0
            clock.now += RETRY_SECONDS
            assert server.epoch(one.id) == 0
    assert len(caplog.records) == 1, "said once, however often it is looked at"
    put(good)
    assert server.epoch(one.id) == 0, "not at every call"
    clock.now += RETRY_SECONDS
    assert server.epoch(one.id) == 1


class Slow(StateFile):
    """A disk that is slow to give what it has read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reading, self.go_on = threading.Event(), threading.Event()
        self._first = True

    def read(self) -> bytes | None:
        data, first = super().read(), self._first
        self._first = False
        if first:
            self.reading.set()
            self.go_on.wait(10)
        return data


def test_what_a_thread_has_read_earlier_is_not_taken_for_what_is_there(tmp_path: Path) -> None:
    command, server = Providers(tmp_path), Providers(tmp_path)
    one = command.add("One")
    slow = server._file = Slow(tmp_path / "providers.json")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        earlier = pool.submit(server.epoch, one.id)
        assert slow.reading.wait(10)
        command.revoke("One")
        later = pool.submit(server.epoch, one.id)
        # It may have to wait for the earlier one; where it does not, it is through by then.
        concurrent.futures.wait([later], timeout=0.3)
        slow.go_on.set()
        assert earlier.result(10) in (0, 1)
        assert later.result(10) == 1
    assert server.epoch(one.id) == 1


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
