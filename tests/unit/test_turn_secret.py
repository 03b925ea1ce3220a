"""The relay's secret in the state directory: made once, rotated with overlap, never half read."""

import stat
from pathlib import Path

import pytest

from konsil.errors import StartError
from konsil.secret import Secret
from konsil.turn_secret import (
    CREDENTIAL_SECONDS,
    SETTLE_SECONDS,
    KeptSecrets,
    SetSecrets,
    secrets_file,
)


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


def test_a_first_start_makes_one_and_the_next_finds_it(tmp_path: Path) -> None:
    clock = Clock()
    made = KeptSecrets.open(tmp_path, clock)
    assert made.accepted() == (made.current(),)
    assert len(made.current().reveal()) >= 43  # 256 bits
    assert KeptSecrets.open(tmp_path, clock).current() == made.current()
    assert stat.S_IMODE(secrets_file(tmp_path).stat().st_mode) == 0o600


def test_a_new_one_is_accepted_before_it_is_used(tmp_path: Path) -> None:
    clock = Clock()
    relay, issuer = KeptSecrets.open(tmp_path, clock), KeptSecrets.open(tmp_path, clock)
    former = issuer.current()
    since = KeptSecrets.open(tmp_path, clock).rotate()
    assert since == clock.time + SETTLE_SECONDS
    newest, second = relay.accepted()
    assert second == former != newest
    assert issuer.current() == former
    clock.time = since - 1
    assert issuer.current() == former
    clock.time = since
    assert issuer.current() == newest


def test_a_former_one_is_accepted_until_its_last_password_has_expired(tmp_path: Path) -> None:
    clock = Clock()
    relay = KeptSecrets.open(tmp_path, clock)
    former = relay.current()
    since = KeptSecrets.open(tmp_path, clock).rotate()
    # The last password of the former one was made just before, for as long as one may be.
    clock.time = since + CREDENTIAL_SECONDS - 1
    assert former in relay.accepted()
    clock.time += 1
    assert former not in relay.accepted()
    assert relay.accepted() == (relay.current(),)
    KeptSecrets.open(tmp_path, clock).rotate()
    assert former.reveal() not in secrets_file(tmp_path).read_text()


def test_rotations_in_a_row_keep_their_order(tmp_path: Path) -> None:
    clock = Clock()
    kept = KeptSecrets.open(tmp_path, clock)
    times = [kept.rotate() for _ in range(3)]
    assert times == sorted(set(times))
    assert len(kept.accepted()) == 4
    clock.time = times[-1]
    assert kept.current() == kept.accepted()[0]


@pytest.mark.parametrize("content", ["", "nonsense\n", "1800000000 short\n", "x y z\n"])
def test_a_damaged_file_stops_the_start_but_no_relay_that_runs(
    tmp_path: Path, content: str
) -> None:
    clock = Clock()
    running = KeptSecrets.open(tmp_path, clock)
    before = running.current()
    secrets_file(tmp_path).write_text(content)
    with pytest.raises(StartError, match="remove it") as caught:
        KeptSecrets.open(tmp_path, clock)
    assert "\n" not in str(caught.value)
    assert running.current() == before
    secrets_file(tmp_path).unlink()
    assert running.accepted() == (before,)


def test_those_that_are_set() -> None:
    present, former = Secret("new"), Secret("old")
    assert SetSecrets(present).accepted() == (present,)
    both = SetSecrets(present, former)
    assert both.current() == present
    assert both.accepted() == (present, former)
