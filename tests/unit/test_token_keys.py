"""The key ring: made on first start, rotated with overlap, shared between processes."""

import stat
from pathlib import Path

import pytest

from waiting_room.errors import ConfigError, TokenError
from waiting_room.keys import KeyRing
from waiting_room.state_file import RETRY_SECONDS
from waiting_room.tokens import LIFETIME_MAX, Claims, TokenType, mint, verify

NOW = 1_800_000_000
AUDIENCE = "https://konsil.example"


def token(ring: KeyRing, now: int = NOW, lifetime: int = LIFETIME_MAX) -> str:
    claims = Claims(
        aud=AUDIENCE,
        sub="provider-id1",
        typ=TokenType.HOST,
        role=TokenType.HOST,
        room="r" * 22,
        nbf=now,
        exp=now + lifetime,
        jti="j",
        epoch=0,
    )
    return mint(claims, ring.current)


def reason(text: str, ring: KeyRing, now: float) -> str | None:
    """None for an accepted token."""
    try:
        verify(text, ring, now, audience=AUDIENCE, epochs=lambda _: 0)
    except TokenError as error:
        return error.reason or error.code
    return None


def test_first_start_makes_a_key_that_only_we_can_read(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path / "state", NOW)
    (file,) = (tmp_path / "state" / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert KeyRing.open(tmp_path / "state", NOW + 5).current.kid == ring.current.kid
    assert "private" not in repr(ring.current)


def test_another_ring_does_not_know_the_key(tmp_path: Path) -> None:
    one, other = KeyRing.open(tmp_path / "one", NOW), KeyRing.open(tmp_path / "other", NOW)
    assert reason(token(one), other, NOW) == "unknown_key"


def test_rotation_keeps_the_previous_key_until_its_last_token_has_expired(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW - 1000)
    before = ring.current
    last = token(ring, NOW)
    ring.rotate(NOW)
    assert ring.current.kid != before.kid
    assert len(list(ring)) == 2
    assert reason(last, ring, NOW) is None
    assert reason(last, ring, NOW + LIFETIME_MAX - 1) is None
    # From here on no token of that key can be good any more, and the key is not even looked at.
    assert reason(last, ring, NOW + LIFETIME_MAX) == "unknown_key"
    assert reason(token(ring, NOW + 5), ring, NOW + LIFETIME_MAX) is None


def test_rotation_removes_the_files_whose_time_is_over(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    ring.rotate(NOW + 10)
    ring.rotate(NOW + 20)
    assert len(list((tmp_path / "keys").iterdir())) == 3
    ring.rotate(NOW + 20 + LIFETIME_MAX)
    assert [key.since - NOW for key in ring] == [20, 20 + LIFETIME_MAX]
    assert len(list((tmp_path / "keys").iterdir())) == 2


def test_two_rotations_in_one_second_keep_their_order(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    kids = [ring.current.kid, *(ring.rotate(NOW).kid for _ in range(3))]
    assert [key.kid for key in KeyRing.open(tmp_path, NOW)] == kids


def test_a_rotation_by_another_process_is_seen(tmp_path: Path) -> None:
    server, command = KeyRing.open(tmp_path, NOW), KeyRing.open(tmp_path, NOW)
    command.rotate(NOW + 1)
    assert reason(token(command), server, NOW + 1) is None
    assert server.current.kid == command.current.kid


def test_a_key_taken_away_is_no_longer_trusted(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW - 1)
    before, text = ring.current, token(ring)
    ring.rotate(NOW)
    assert reason(text, ring, NOW) is None
    (tmp_path / "keys" / f"{before.since}-{before.kid}.pem").unlink()
    assert reason(text, ring, NOW) == "unknown_key"


def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    KeyRing.open(tmp_path, NOW)
    directory = tmp_path / "keys"
    (file,) = directory.iterdir()
    file.chmod(0o644)
    directory.chmod(0o755)
    KeyRing.open(tmp_path, NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_broken_key_file_stops_the_start(tmp_path: Path, content: bytes) -> None:
    KeyRing.open(tmp_path, NOW)
    (file,) = (tmp_path / "keys").iterdir()
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="KONSIL_STATE_DIR"):
        KeyRing.open(tmp_path, NOW)


def test_a_key_under_another_keys_name_stops_the_start(tmp_path: Path) -> None:
    KeyRing.open(tmp_path / "a", NOW)
    KeyRing.open(tmp_path / "b", NOW)
    (ours,), (theirs,) = ((tmp_path / name / "keys").iterdir() for name in "ab")
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(ConfigError, match="not the Ed25519 key"):
        KeyRing.open(tmp_path / "a", NOW)


def test_a_state_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="KONSIL_STATE_DIR"):
        KeyRing.open(tmp_path / "file", NOW)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    (tmp_path / "keys" / "README").write_text("ours")
    (tmp_path / "keys" / ".0123.tmp").write_text("half-written")
    ring.rotate(NOW + 1)
    assert len(list(ring)) == 2
    assert (tmp_path / "keys" / "README").exists()


def test_a_key_broken_later_takes_no_known_key_away(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    text = token(ring)
    (tmp_path / "keys" / f"{NOW + 1}-{'x' * 16}.pem").write_text("half-copied")
    assert reason(text, ring, NOW) is None
    assert reason(token(ring), ring, NOW) is None
    with pytest.raises(ConfigError):
        KeyRing.open(tmp_path, NOW)


def test_a_key_taken_away_is_not_missed_for_an_error_of_a_moment(tmp_path: Path) -> None:
    """Nothing about the directory changes when it can be read again."""
    now = 100.0
    ring = KeyRing.open(tmp_path, NOW, lambda: now)
    text = token(ring)
    (old,) = (tmp_path / "keys").iterdir()
    KeyRing.open(tmp_path, NOW).rotate(NOW + 1)
    old.unlink()
    (new,) = (tmp_path / "keys").iterdir()
    good = new.read_bytes()
    new.write_bytes(bytes(len(good)))
    assert reason(text, ring, NOW) is None, "what was read before stays in force"
    new.write_bytes(good)
    now += RETRY_SECONDS
    assert reason(text, ring, NOW) == "unknown_key"
