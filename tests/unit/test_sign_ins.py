"""What the cookie of a signed-in provider says, how long, and what is no such cookie."""

from pathlib import Path

import msgspec
import pytest

from waiting_room.errors import Refused, StoreUnavailable
from waiting_room.invitations import provider_claims
from waiting_room.keys import KeyRing
from waiting_room.providers import Provider, Providers
from waiting_room.sign_ins import (
    IDLE_S,
    LONGEST_MS,
    RENEWED_AFTER_S,
    SignIn,
    begin,
    is_void,
    seal,
    unseal,
)
from waiting_room.tokens import Claims, mint
from waiting_room.used_links import USED_MAX, UsedLinks

NOW = 1_790_000_000
AUDIENCE = "https://consult.example"
PROVIDER = Provider("provider-id1", "Dr. Example", 3)


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.open(tmp_path, NOW)


def opened(
    value: str, ring: KeyRing, now: float = NOW, provider: Provider | None = PROVIDER
) -> SignIn | None:
    return unseal(value, ring, now, audience=AUDIENCE, find=lambda _: provider)


def made(now: float = NOW) -> SignIn:
    return begin(PROVIDER, audience=AUDIENCE, sid="s" * 22, now=now)


def test_a_sign_in_is_good_for_an_hour(ring: KeyRing) -> None:
    value = seal(made(), ring.current)
    assert opened(value, ring) == made()
    assert opened(value, ring, NOW + IDLE_S - 1) == made()
    assert opened(value, ring, NOW + IDLE_S) is None


def test_it_is_made_anew_while_used_but_not_for_ever(ring: KeyRing) -> None:
    sign_in, now = made(), float(NOW)
    assert not sign_in.is_due(now + RENEWED_AFTER_S - 1)
    assert sign_in.is_due(now + RENEWED_AFTER_S)
    while sign_in.is_due(now := now + IDLE_S / 2):
        assert opened(seal(sign_in, ring.current), ring, now) is not None
        sign_in = sign_in.renewed(now)
    assert sign_in.exp == NOW + LONGEST_MS // 1000
    assert opened(seal(sign_in, ring.current), ring, sign_in.exp) is None


def test_revoking_barring_and_signing_out_everywhere_end_it(ring: KeyRing) -> None:
    value = seal(made(), ring.current)
    for gone in (
        None,
        msgspec.structs.replace(PROVIDER, epoch=4),
        msgspec.structs.replace(PROVIDER, active=False),
        msgspec.structs.replace(PROVIDER, signed_out_at=NOW * 1000),
    ):
        assert opened(value, ring, provider=gone) is None
    before = msgspec.structs.replace(PROVIDER, signed_out_at=NOW * 1000 - 1)
    assert opened(value, ring, provider=before) is not None


def test_only_our_own_spelling_with_our_own_key(ring: KeyRing, tmp_path: Path) -> None:
    value = seal(made(), ring.current)
    stranger = KeyRing.open(tmp_path / "other", NOW)
    assert opened(seal(made(), stranger.current), ring) is None
    for index, character in enumerate(value):
        changed = value[:index] + ("A" if character != "A" else "B") + value[index + 1 :]
        assert opened(changed, ring) is None, index
    for changed in ("", ".", "..", value + "=", value + ".", value[:-1], "é" * 80, "x" * 5000):
        assert opened(changed, ring) is None
    assert unseal(value, ring, NOW, audience="http://other", find=lambda _: PROVIDER) is None


def test_a_link_is_no_cookie_and_a_cookie_no_link(ring: KeyRing) -> None:
    claims = provider_claims("provider-id1", 3, audience=AUDIENCE, jti="j", now=NOW)
    assert opened(mint(claims, ring.current), ring) is None


def test_signing_out_everywhere_voids_links_made_before(tmp_path: Path) -> None:
    providers = Providers(tmp_path)
    one, other = providers.add("One"), providers.add("Other")
    claims = provider_claims(one.id, 0, audience=AUDIENCE, jti="j", now=NOW)
    assert not is_void(claims, one)
    providers.sign_out(one.id, lambda: NOW * 1000 + 1)
    assert is_void(claims, Providers(tmp_path).get(one.id))
    assert not is_void(claims, providers.get(other.id))
    later = provider_claims(one.id, 0, audience=AUDIENCE, jti="j", now=NOW + 1)
    assert not is_void(later, providers.get(one.id))
    assert is_void(later, None)
    # Clocks of nodes differ: the later word stands.
    providers.sign_out(one.id, lambda: 5)
    assert is_void(claims, providers.get(one.id))
    assert providers.epoch(one.id) == 0, "links to consultations stay good"


def test_revoking_helps_where_the_clock_was_ahead(tmp_path: Path, ring: KeyRing) -> None:
    providers = Providers(tmp_path)
    one = providers.add("One")
    providers.sign_out(one.id, lambda: (NOW + 30 * 86_400) * 1000)

    def signs_in() -> bool:
        provider = providers.get(one.id)
        assert provider is not None
        cookie = begin(provider, audience=AUDIENCE, sid="s" * 22, now=NOW)
        link = provider_claims(one.id, provider.epoch, audience=AUDIENCE, jti="j", now=NOW)
        good = opened(seal(cookie, ring.current), ring, provider=provider) is not None
        assert good is not is_void(link, provider)
        return good

    assert not signs_in()
    providers.revoke("One")
    assert signs_in()


def test_a_link_is_used_once_by_all_nodes_and_after_restarts(tmp_path: Path) -> None:
    claims = provider_claims("provider-id1", 0, audience=AUDIENCE, jti="j", now=NOW)
    other = provider_claims("provider-id1", 0, audience=AUDIENCE, jti="k", now=NOW)
    links = UsedLinks(tmp_path)
    assert not links.is_used(claims)
    assert links.use(claims, NOW)
    again = UsedLinks(tmp_path)
    assert again.is_used(claims)
    assert not again.use(claims, NOW + 30 * 86_400)
    assert again.use(other, NOW)
    for file in (tmp_path / "used-links").glob("*/*"):
        assert file.stat().st_size == 0
        assert claims.jti not in file.name.split("-", 1)[1].split("-")
    # Long expired: forgotten, and only then.
    late = provider_claims("provider-id1", 0, audience=AUDIENCE, jti="l", now=NOW + 33 * 86_400)
    assert again.use(late, NOW + 33 * 86_400)
    assert len(list((tmp_path / "used-links").glob("*/*"))) == 1


def test_used_links_are_bounded_for_each_provider_and_epoch(tmp_path: Path) -> None:
    links = UsedLinks(tmp_path)

    def claims(jti: str, provider: str = "provider-id1", epoch: int = 0) -> Claims:
        return provider_claims(provider, epoch, audience=AUDIENCE, jti=jti, now=NOW)

    for number in range(USED_MAX):
        assert links.use(claims(str(number)), NOW)
    with pytest.raises(Refused) as caught:
        links.use(claims("one more"), NOW)
    assert caught.value.code == "slow_down"
    assert links.use(claims("theirs", provider="provider-id2"), NOW), "nobody else is locked out"
    assert links.use(claims("later", epoch=1), NOW), "the operator can help"
    assert links.use(claims("one more"), NOW + 40 * 86_400)
    assert len(list((tmp_path / "used-links").glob("*/*"))) == 1


def test_a_state_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "used-links").write_text("a file, no directory")
    claims = provider_claims("provider-id1", 0, audience=AUDIENCE, jti="j", now=NOW)
    for question in (
        lambda: UsedLinks(tmp_path).use(claims, NOW),
        lambda: UsedLinks(tmp_path).is_used(claims),
    ):
        with pytest.raises(StoreUnavailable, match="KONSIL_STATE_DIR"):
            question()
