"""Receipts verify as they were written, and in no other way."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from konsil import cli
from waiting_room.errors import ConfigError
from waiting_room.keys import KeyRing
from waiting_room.public_keys import PublicKeys
from waiting_room.receipts import (
    DELETED,
    RECEIPT_MAX,
    Receipt,
    ReceiptError,
    Verified,
    encode,
    time_of,
    verify,
)
from waiting_room.signatures import is_signed
from waiting_room.tokens import LIFETIME_MAX

NOW = 1_790_000_000
CONSENT = Receipt(
    konsil_receipt="consent",
    server="https://consult.example",
    provider="Dr. Müller",
    session="R" * 22,
    at=time_of(NOW),
    participant="P" * 22,
    language="de",
    text="Bild und Ton …\nIch stimme zu.",
    text_sha256="0" * 64,
)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.open(tmp_path_factory.mktemp("state"), NOW)


def check(file: bytes, ring: KeyRing) -> Verified:
    return verify(file, ring.public_keys.find)


def test_what_was_signed_is_read_again(ring: KeyRing) -> None:
    found = check(encode(CONSENT, ring.current), ring)
    assert found.ours
    assert msgspec.structs.replace(found.receipt, kid="", public_key="", signature="") == CONSENT
    deletion = Receipt(
        konsil_receipt="deletion",
        server="https://consult.example",
        provider="",
        session="R" * 22,
        at=time_of(NOW),
        statement=DELETED,
    )
    file = encode(deletion, ring.current)
    assert check(file, ring).receipt.statement == DELETED
    assert "participant" not in json.loads(file)


def test_no_byte_may_be_changed_added_or_missing(ring: KeyRing) -> None:
    file = encode(CONSENT, ring.current)
    for index in range(len(file)):
        for changed in (
            file[:index] + bytes([file[index] ^ 1]) + file[index + 1 :],
            file[:index] + file[index + 1 :],
            file[:index] + b" " + file[index:],
            file[:index],
        ):
            with pytest.raises(ReceiptError):
                check(changed, ring)
    for changed in (
        file + b"\n",
        file.replace(b"\n", b"\r\n"),
        json.dumps(json.loads(file)).encode(),
    ):
        with pytest.raises(ReceiptError):
            check(changed, ring)


@given(st.binary(max_size=300))
def test_anything_else_is_no_receipt(file: bytes) -> None:
    with pytest.raises(ReceiptError):
        verify(file, lambda _: None)


def test_depth_and_length_are_bounded() -> None:
    for file in (b"[" * 16_000, b'{"a":' * 3000, b" " * (RECEIPT_MAX + 1)):
        with pytest.raises(ReceiptError):
            verify(file, lambda _: None)


def test_another_servers_key_is_not_ours(ring: KeyRing, tmp_path: Path) -> None:
    stranger = KeyRing.open(tmp_path, NOW)
    file = encode(CONSENT, stranger.current)
    assert not check(file, ring).ours
    # Nor does it help to claim the id of ours.
    ours = json.loads(encode(CONSENT, ring.current))
    forged = file.replace(stranger.current.kid.encode(), ours["kid"].encode())
    with pytest.raises(ReceiptError):
        check(forged, ring)


def test_a_receipt_outlives_the_key_that_signed_it(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    file = encode(CONSENT, ring.current)
    ring.rotate(NOW + 1)
    ring.rotate(NOW + LIFETIME_MAX + 10)
    assert ring.find(json.loads(file)["kid"], NOW + LIFETIME_MAX + 20) is None, "signs no link"
    assert check(file, KeyRing.open(tmp_path)).ours
    assert len(PublicKeys(tmp_path).all()) == 3


def test_keys_made_before_their_public_halves_were_kept(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    for file in (tmp_path / "public-keys").iterdir():
        file.unlink()
    assert PublicKeys(tmp_path).find(ring.current.kid) is None
    KeyRing.open(tmp_path, NOW)
    assert PublicKeys(tmp_path).find(ring.current.kid) == ring.current.public


def test_a_swapped_public_key_is_none(tmp_path: Path) -> None:
    one, other = KeyRing.open(tmp_path / "a", NOW), KeyRing.open(tmp_path / "b", NOW)
    [file] = (tmp_path / "a" / "public-keys").iterdir()
    [foreign] = (tmp_path / "b" / "public-keys").iterdir()
    file.write_bytes(foreign.read_bytes())
    assert one.public_keys.find(one.current.kid) is None
    for kid in ("", "../../keys/x", "x" * 16, other.current.kid):
        assert one.public_keys.find(kid) is None


def test_a_receipt_is_signed_as_nothing_else(ring: KeyRing) -> None:
    receipt = check(encode(CONSENT, ring.current), ring).receipt
    body = msgspec.json.encode(msgspec.structs.replace(receipt, signature=""))
    for signature in (b"", b"\0" * 64, b"x" * 63):
        assert not is_signed("receipt", body, signature, ring.current.public)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    ring = KeyRing.open(state, NOW)
    file = tmp_path / "receipt.json"
    file.write_bytes(encode(CONSENT, ring.current))

    def run(*more: str, state_dir: Path = state) -> tuple[int, str]:
        code = cli.main(["verify-receipt", str(file), "--state-dir", str(state_dir), *more])
        return code, capsys.readouterr().out

    code, said = run()
    assert code == 0
    assert "VERIFIED" in said
    assert "Dr. Müller" in said
    assert "Bild und Ton … Ich stimme zu." in said
    code, said = run(state_dir=elsewhere)
    assert code == 2
    assert ring.current.kid in said
    assert not elsewhere.exists(), "looking makes nothing"
    assert run("--trust", ring.current.kid, state_dir=elsewhere)[0] == 0
    file.write_bytes(file.read_bytes().replace(b"consent", b"Consent"))
    code, said = run()
    assert code == 1
    assert said.startswith("NOT VERIFIED")
    file.unlink()
    assert run()[0] == 1


def test_who_may_only_read_the_keys_can_still_sign(tmp_path: Path) -> None:
    KeyRing.open(tmp_path, NOW)
    for file in (tmp_path / "public-keys").iterdir():
        file.unlink()
    (tmp_path / "public-keys").rmdir()
    (tmp_path / "public-keys").write_text("in the way")
    assert KeyRing.open(tmp_path, NOW).current.kid
    with pytest.raises(ConfigError):
        KeyRing.open(tmp_path, NOW).rotate(NOW + 1)
