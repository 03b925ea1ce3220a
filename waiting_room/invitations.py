"""Invitations: an appointment, written into two signed links and kept nowhere. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from .errors import Refused
from .tokens import LIFETIME_MAX, Came, Claims, SigningKey, TokenType, mint

MINUTES_MIN: Final = 5
MINUTES_MAX: Final = 480
OPENS_BEFORE_DEFAULT: Final = 15  # minutes
OPENS_BEFORE_MAX: Final = 60  # minutes
LINKS_MAX: Final = 8  # clients' links of one consultation: with the host, nine people
RECEPTION_HOURS_DEFAULT: Final = 12  # a day's work
RECEPTION_HOURS_MAX: Final = LIFETIME_MAX // 3600
AHEAD_MAX: Final = 30 * 24 * 3600  # seconds
PAST_MAX: Final = 120  # seconds: "now" in a form that knows minutes only, and a slow click


@dataclass(frozen=True, slots=True)
class Invitation:
    """One planned consultation. Times in whole seconds since 1970."""

    provider: str  # the provider's id
    epoch: int  # and key epoch
    room: str
    starts_at: int
    opens_at: int  # when the client's link opens
    closes_at: int


@dataclass(frozen=True, slots=True)
class Links:
    host_token: str
    client_token: str
    more: tuple[str, ...] = ()  # further clients' tokens, where each of a group gets one

    @property
    def client_tokens(self) -> tuple[str, ...]:
        return self.client_token, *self.more


def plan(
    *,
    provider: str,
    epoch: int,
    room: str,
    starts_at: int,
    minutes: int,
    opens_before: int = OPENS_BEFORE_DEFAULT,
    now: float,
) -> Invitation:
    """An invitation within the bounds above; else raises Refused `bad_request` with the `field`."""
    if not MINUTES_MIN <= minutes <= MINUTES_MAX:
        raise _refused("minutes", f"must be from {MINUTES_MIN} to {MINUTES_MAX}")
    if not 0 <= opens_before <= OPENS_BEFORE_MAX:
        raise _refused("opens_before", f"must be from 0 to {OPENS_BEFORE_MAX} minutes")
    if starts_at < now - PAST_MAX:
        raise _refused("starts_at", "is in the past")
    if starts_at > now + AHEAD_MAX:
        raise _refused("starts_at", f"is more than {AHEAD_MAX // 86400} days ahead")
    return Invitation(
        provider=provider,
        epoch=epoch,
        room=room,
        starts_at=starts_at,
        opens_at=starts_at - opens_before * 60,
        closes_at=starts_at + minutes * 60,
    )


def claims_for(
    invitation: Invitation, typ: TokenType, *, audience: str, jti: str, now: float
) -> Claims:
    """The claims of a host's, client's or guest's token to this consultation.

    A host may come in at once, to see that all is well; the others when the room opens.
    """
    opens_at = min(int(now), invitation.opens_at) if typ is TokenType.HOST else invitation.opens_at
    return Claims(
        aud=audience,
        sub=invitation.provider,
        typ=typ,
        role=typ,
        room=invitation.room,
        nbf=opens_at,
        exp=invitation.closes_at,
        jti=jti,
        epoch=invitation.epoch,
    )


def issue(
    invitation: Invitation,
    key: SigningKey,
    *,
    audience: str,
    new_id: Callable[[], str],
    now: float,
    clients: int = 1,
) -> Links:
    """The host's token and those of `clients`, signed with `key` (`ring.current`).

    `new_id` makes each `jti`. Raises Refused `bad_request` for too many links, or none.
    """
    if not 1 <= clients <= LINKS_MAX:
        raise _refused("links", f"must be from 1 to {LINKS_MAX}")
    host, client, *more = (
        mint(claims_for(invitation, typ, audience=audience, jti=new_id(), now=now), key)
        for typ in (TokenType.HOST, *[TokenType.CLIENT] * clients)
    )
    return Links(host, client, tuple(more))


def guest_claims(
    provider: str,
    epoch: int,
    room: str,
    *,
    audience: str,
    jti: str,
    now: float,
    closes_at: int,
    typ: TokenType = TokenType.GUEST,
    came: Came | msgspec.UnsetType = msgspec.UNSET,
) -> Claims:
    """The claims of a guest's token to a consultation under way: from now on for the rest of it.

    Or of a client's, for one whom the reception has passed on, who may have `came` before.

    Raises Refused `token_closed` where there is no rest.
    """
    if now >= closes_at:
        raise Refused("token_closed", "past the planned end")
    return Claims(
        aud=audience,
        sub=provider,
        typ=typ,
        role=typ,
        room=room,
        nbf=int(now),
        exp=closes_at,
        jti=jti,
        epoch=epoch,
        came=came,
    )


def provider_claims(
    provider: str, epoch: int, *, audience: str, jti: str, now: float, lifetime: int = LIFETIME_MAX
) -> Claims:
    """The claims of a provider's sign-in token, good from now on for `lifetime` seconds."""
    return Claims(
        aud=audience,
        sub=provider,
        typ=TokenType.PROVIDER,
        role=TokenType.PROVIDER,
        room="",
        nbf=int(now),
        exp=int(now) + lifetime,
        jti=jti,
        epoch=epoch,
    )


def reception_claims(
    provider: str, epoch: int, *, audience: str, jti: str, now: float, hours: int
) -> Claims:
    """The claims of a reception's token to all of a provider's rooms, good from now on.

    Raises Refused `bad_request` for hours out of bounds.
    """
    if not 1 <= hours <= RECEPTION_HOURS_MAX:
        raise _refused("hours", f"must be from 1 to {RECEPTION_HOURS_MAX}")
    return Claims(
        aud=audience,
        sub=provider,
        typ=TokenType.RECEPTION,
        role=TokenType.RECEPTION,
        room="",
        nbf=int(now),
        exp=int(now) + hours * 3600,
        jti=jti,
        epoch=epoch,
    )


def _refused(field: str, detail: str) -> Refused:
    return Refused("bad_request", f"{field} {detail}", {"field": field})
