"""Passkeys: what is accepted of an authenticator, what is kept of it, and for how long."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.soft_authenticator import UP, UV, Authenticator, b64
from waiting_room import passkeys, signatures
from waiting_room.errors import ConfigError, Refused
from waiting_room.keys import KeyRing
from waiting_room.passkey_files import PASSKEYS_MAX, PasskeyFiles
from waiting_room.passkeys import CHALLENGE_S, Assertion, NewPasskey, Passkey, RelyingParty
from waiting_room.providers import Provider
from waiting_room.sign_ins import begin, seal

NOW = 1_900_000_000
ORIGIN = "https://consult.example"
PARTY = RelyingParty.of(ORIGIN)
PROVIDER = Provider("provider-id1", "Dr. One", epoch=3)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.open(tmp_path_factory.mktemp("keys"), NOW)


def authenticator() -> Authenticator:
    return Authenticator(ORIGIN, "consult.example", PROVIDER.id)


def asked(ring: KeyRing, use: passkeys.Use = "sign_in", provider: str = "") -> str:
    return passkeys.challenge(use, provider, PARTY, new_id="c" * 22, key=ring.current, now=NOW)


def makes(device: Authenticator, ring: KeyRing, **more: str) -> Passkey:
    given = msgspec.convert(device.makes(asked(ring, "add", PROVIDER.id), **more), NewPasskey)
    return passkeys.added(given, PARTY, PROVIDER, NOW)


def signs(device: Authenticator, ring: KeyRing, passkey: Passkey) -> int:
    given = msgspec.convert(device.signs(asked(ring)), Assertion)
    return passkeys.signed(given, PARTY, passkey)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.code == "passkey_refused"
    return str(caught.value.extra["reason"])


def test_what_was_made_signs_in_and_the_count_grows(ring: KeyRing) -> None:
    device = authenticator()
    kept = makes(device, ring)
    assert (kept.epoch, kept.added, kept.count) == (3, "2030-03-17", 0)
    assert signs(device, ring, kept) == 1
    later = msgspec.structs.replace(kept, count=7)
    device.count = 7
    assert signs(device, ring, later) == 8
    # One whose count does not grow may be a copy.
    device.count = 6
    assert refusal(lambda: signs(device, ring, later)) == "not_verified"


def test_a_synced_passkey_does_not_count(ring: KeyRing) -> None:
    device = authenticator()
    device.counts = False
    kept = makes(device, ring)
    assert signs(device, ring, kept) == 0
    assert signs(device, ring, kept) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://consult.example:8443"},
        {"origin": "http://consult.example"},
        {"rp_id": "example"},
        {"flags": UP},  # nobody was asked for finger, face or PIN
        {"flags": UV},  # nobody was there
        {"typ": "webauthn.get"},
        {"typ": "payment.get"},
        {"algorithm": -65535},  # RS1
    ],
    ids=str,
)
def test_a_wrong_answer_adds_no_passkey(ring: KeyRing, fault: dict[str, object]) -> None:
    device = authenticator()
    for name, value in fault.items():
        setattr(device, name, value)
    assert refusal(lambda: makes(device, ring)) == "not_verified"


@pytest.mark.parametrize(
    "fault",
    [
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": UP},
        {"flags": UV},
        {"typ": "webauthn.create"},
    ],
    ids=str,
)
def test_a_wrong_answer_does_not_sign_in(ring: KeyRing, fault: dict[str, object]) -> None:
    device = authenticator()
    kept = makes(device, ring)
    for name, value in fault.items():
        setattr(device, name, value)
    assert refusal(lambda: signs(device, ring, kept)) == "not_verified"


def test_another_key_or_a_changed_byte_does_not_sign_in(ring: KeyRing) -> None:
    device, other = authenticator(), authenticator()
    kept = makes(device, ring)
    other.credential = device.credential
    assert refusal(lambda: signs(other, ring, kept)) == "not_verified"
    for part in ("client_data", "authenticator_data", "signature"):
        answer = device.signs(asked(ring))
        raw = bytearray(signatures.from_base64url(answer[part]) or b"")
        raw[-1] ^= 1
        answer[part] = b64(bytes(raw))
        given = msgspec.convert(answer, Assertion)
        assert refusal(lambda g=given: passkeys.signed(g, PARTY, kept)) == "not_verified"


def test_the_key_of_another_passkey_is_not_taken_for_this_one(ring: KeyRing) -> None:
    device = authenticator()
    kept = msgspec.structs.replace(makes(device, ring), id=b64(b"another"))
    assert refusal(lambda: signs(device, ring, kept)) == "not_verified"


def test_a_challenge_is_ours_for_one_use_and_for_a_while(ring: KeyRing, tmp_path: Path) -> None:
    device = authenticator()

    def look(text: str, use: passkeys.Use = "sign_in", now: float = NOW) -> passkeys.Challenge:
        return passkeys.challenge_of(device.signs(text)["client_data"], use, PARTY, ring, now)

    good = asked(ring)
    assert look(good, now=NOW + CHALLENGE_S - 1).id == "c" * 22
    assert refusal(lambda: look(good, now=NOW + CHALLENGE_S)) == "too_late"
    assert refusal(lambda: look(good, "add")) == "not_ours"
    assert refusal(lambda: look(asked(ring, "add", PROVIDER.id))) == "not_ours"
    stranger = KeyRing.open(tmp_path, NOW)
    assert refusal(lambda: look(asked(stranger))) == "not_ours"
    elsewhere = passkeys.challenge(
        "sign_in", "", RelyingParty.of("https://other.example"),
        new_id="c" * 22, key=ring.current, now=NOW,
    )  # fmt: skip
    assert refusal(lambda: look(elsewhere)) == "not_ours"
    # A cookie is signed with the same key, and no challenge.
    cookie = seal(begin(PROVIDER, audience=ORIGIN, sid="s" * 22, now=NOW), ring.current)
    assert refusal(lambda: look(cookie)) == "not_ours"


@given(st.binary(max_size=300), st.binary(max_size=200), st.binary(max_size=100))
def test_whatever_comes_is_refused_and_nothing_else(
    ring: KeyRing, one: bytes, two: bytes, three: bytes
) -> None:
    texts = [b64(raw) or "A" for raw in (one, two, three)]
    kept = makes(authenticator(), ring)
    new = NewPasskey(texts[0], texts[1], texts[2])
    assertion = Assertion(kept.id, "x", texts[0], texts[1], texts[2])
    refusal(lambda: passkeys.added(new, PARTY, PROVIDER, NOW))
    refusal(lambda: passkeys.signed(assertion, PARTY, kept))
    refusal(lambda: passkeys.challenge_of(texts[0], "sign_in", PARTY, ring, NOW))


@given(st.binary(max_size=400))
def test_whatever_an_authenticator_attests_is_refused(ring: KeyRing, garbage: bytes) -> None:
    answer = authenticator().makes(asked(ring, "add", PROVIDER.id))
    answer["attestation"] = b64(garbage) or "A"
    new = msgspec.convert(answer, NewPasskey)
    refusal(lambda: passkeys.added(new, PARTY, PROVIDER, NOW))


def test_an_attestation_that_we_did_not_ask_for_is_refused_when_it_is_wrong(ring: KeyRing) -> None:
    for fmt in ("packed", "tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "x"):
        assert refusal(lambda f=fmt: makes(authenticator(), ring, fmt=f)) == "not_verified"


def test_passkeys_belong_to_names() -> None:
    assert RelyingParty.of("https://consult.example:8443").id == "consult.example"
    assert RelyingParty.of("http://localhost:8080").id == "localhost"
    for address in ("https://192.0.2.1", "https://[2001:db8::1]:8443"):
        with pytest.raises(ConfigError, match="KONSIL_PASSKEYS"):
            RelyingParty.of(address)


def entry(number: int, epoch: int = 3) -> Passkey:
    return Passkey(id=b64(bytes([number])), key="AAAA", epoch=epoch, added="2026-11-22")


def test_files_are_private_and_bounded_and_go_with_the_last_passkey(tmp_path: Path) -> None:
    files = PasskeyFiles(tmp_path)
    assert files.list(PROVIDER) == ()
    for number in range(PASSKEYS_MAX):
        files.add(PROVIDER, entry(number))
    with pytest.raises(Refused) as caught:
        files.add(PROVIDER, entry(99))
    assert caught.value.code == "passkeys_full"
    with pytest.raises(Refused) as caught:
        files.add(PROVIDER, entry(0))
    assert caught.value.code == "already_used"
    [path] = (tmp_path / "passkeys").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(PasskeyFiles(tmp_path).list(PROVIDER)) == PASSKEYS_MAX

    files.remove(PROVIDER, entry(4).handle)
    with pytest.raises(Refused) as caught:
        files.remove(PROVIDER, entry(4).handle)
    assert caught.value.code == "not_found"
    assert entry(4) not in files.list(PROVIDER)
    assert files.clear(PROVIDER) == PASSKEYS_MAX - 1
    assert not path.exists()
    other = Provider("provider-id2", "Dr. Two")
    assert files.list(other) == ()


def test_a_new_epoch_voids_them_and_makes_room(tmp_path: Path) -> None:
    files, revoked = PasskeyFiles(tmp_path), msgspec.structs.replace(PROVIDER, epoch=4)
    for number in range(PASSKEYS_MAX):
        files.add(PROVIDER, entry(number))
    assert files.list(revoked) == ()
    assert refusal(lambda: files.use(revoked, entry(0).id, lambda _: 1)) == "not_verified"
    files.add(revoked, entry(0, epoch=4))
    assert files.list(revoked) == (entry(0, epoch=4),)
    assert files.list(PROVIDER) == (), "what was void is gone"


def test_a_count_is_kept_and_used_by_one_at_a_time(tmp_path: Path) -> None:
    files = PasskeyFiles(tmp_path)
    files.add(PROVIDER, entry(1))
    files.add(PROVIDER, entry(2))
    inside: list[int] = []

    def once_more(passkey: Passkey) -> int:
        inside.append(1)
        assert len(inside) == 1, "alone"
        inside.pop()
        return passkey.count + 1

    threads = [
        threading.Thread(target=PasskeyFiles(tmp_path).use, args=(PROVIDER, entry(1).id, once_more))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.count for one in files.list(PROVIDER)] == [20, 0]

    def fails(_: Passkey) -> int:
        raise passkeys.unknown()

    assert refusal(lambda: files.use(PROVIDER, entry(1).id, fails)) == "not_verified"
    assert refusal(lambda: files.use(PROVIDER, entry(9).id, lambda p: p.count)) == "not_verified"
    assert [one.count for one in files.list(PROVIDER)] == [20, 0]


def test_a_file_that_cannot_be_read_is_said_and_not_overwritten(tmp_path: Path) -> None:
    files = PasskeyFiles(tmp_path)
    files.add(PROVIDER, entry(1))
    path = tmp_path / "passkeys" / "provider-id1.json"
    path.write_text("{}}")
    for act in (
        lambda: files.list(PROVIDER),
        lambda: files.add(PROVIDER, entry(2)),
        lambda: files.use(PROVIDER, entry(1).id, lambda _: 0),
    ):
        with pytest.raises(ConfigError, match="KONSIL_STATE_DIR"):
            act()
    assert path.read_text() == "{}}"
