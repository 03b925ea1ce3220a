"""Appointments: their bounds, and when which link opens."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting_room.errors import Refused, TokenError
from waiting_room.invitations import Invitation, claims_for, issue, plan, provider_claims
from waiting_room.keys import KeyRing
from waiting_room.tokens import LIFETIME_MAX, TokenType, mint, verify

NOW = 1_800_000_000
DAY = 24 * 3600
AUDIENCE = "https://konsil.example"


def planned(**changed: Any) -> Invitation:
    values: dict[str, Any] = {
        "provider": "provider-id1",
        "epoch": 2,
        "room": "r" * 22,
        "starts_at": NOW + DAY,
        "minutes": 50,
        "now": NOW,
    }
    return plan(**{**values, **changed})


def test_the_clients_link_opens_a_quarter_of_an_hour_ahead() -> None:
    invitation = planned()
    assert invitation.opens_at == NOW + DAY - 15 * 60
    assert invitation.closes_at == NOW + DAY + 50 * 60
    assert planned(opens_before=0).opens_at == NOW + DAY


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("minutes", [5, 480], [4, 481, 0, -5, 10**400]),
        ("opens_before", [0, 60], [-1, 61]),
        ("starts_at", [NOW - 120, NOW, NOW + 30 * DAY], [NOW - 121, NOW + 30 * DAY + 1, -1, 0]),
    ],
)
def test_bounds(field: str, good: list[int], bad: list[int]) -> None:
    for value in good:
        assert planned(**{field: value})
    for value in bad:
        with pytest.raises(Refused) as caught:
            planned(**{field: value})
        assert caught.value.code == "bad_request"
        assert caught.value.extra == {"field": field}


def test_both_links(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    ids = (f"jti-{n}" for n in itertools.count())
    links = issue(planned(), ring.current, audience=AUDIENCE, new_id=lambda: next(ids), now=NOW)

    def claims(token: str, now: float) -> Any:
        return verify(token, ring, now, audience=AUDIENCE, epochs=lambda _: 2)

    host = claims(links.host_token, NOW)
    assert (host.typ, host.opens_at, host.closes_at) == (TokenType.HOST, NOW, NOW + DAY + 3000)
    with pytest.raises(TokenError) as early:
        claims(links.client_token, NOW)
    assert early.value.opens_at == NOW + DAY - 900
    client = claims(links.client_token, NOW + DAY)
    assert (client.room, client.sub, client.jti) == ("r" * 22, "provider-id1", "jti-1")
    assert host.room == client.room


def test_a_host_never_comes_later_than_the_client() -> None:
    invitation = planned(starts_at=NOW + 60)
    assert invitation.opens_at < NOW
    for typ in (TokenType.HOST, TokenType.CLIENT, TokenType.GUEST):
        claims = claims_for(invitation, typ, audience=AUDIENCE, jti="j", now=NOW)
        assert claims.nbf == invitation.opens_at


@given(st.integers(NOW - 120, NOW + 30 * DAY), st.integers(5, 480), st.integers(0, 60))
def test_every_plan_within_bounds_can_be_signed(
    starts_at: int, minutes: int, opens_before: int
) -> None:
    invitation = planned(starts_at=starts_at, minutes=minutes, opens_before=opens_before)
    for typ in (TokenType.HOST, TokenType.CLIENT):
        claims = claims_for(invitation, typ, audience=AUDIENCE, jti="j", now=NOW)
        assert 0 < claims.exp - claims.nbf <= LIFETIME_MAX
        # What the key ring counts on: nothing outlives its signing by more than that.
        assert claims.exp - NOW <= LIFETIME_MAX


def test_sign_in(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path, NOW)
    token = mint(
        provider_claims("provider-id1", 2, audience=AUDIENCE, jti="j", now=NOW + 0.9), ring.current
    )
    found = verify(token, ring, NOW, audience=AUDIENCE, epochs=lambda _: 2)
    assert (found.typ, found.room, found.closes_at) == (TokenType.PROVIDER, "", NOW + LIFETIME_MAX)
