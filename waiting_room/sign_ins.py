"""A provider who has signed in: what the cookie APPSESSION says. Pure.

The cookie is a signed statement, so that a restart of Redis or of the server signs nobody out who
could not come back (sign-in links work once). It is good for 59 minutes and made anew while it is
used, but never past `LONGEST_MS` after the sign-in. See docs/adr/0006.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from . import signatures
from .providers import Provider
from .tokens import Claims, SigningKey, VerifyingKeys

COOKIE: Final = "APPSESSION"
# A cookie not used for so long is void: a minute before its sign-out is forgotten (sign_outs.py),
# as clocks of nodes differ.
IDLE_S: Final = 3540
RENEWED_AFTER_S: Final = 300  # one older than this is made anew when it is used
LONGEST_MS: Final = 12 * 3600 * 1000  # since the sign-in, whatever happens
VALUE_MAX: Final = 1024  # characters

_LABEL: Final = "sign-in"
_Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sign-in in one browser."""

    aud: _Text  # the origin of the public URL
    sub: _Text  # the provider's id
    epoch: _Moment  # and key epoch
    sid: _Text  # names the sign-in, so that it can be ended
    since: _Moment  # ms since 1970
    exp: _Moment  # s since 1970

    @property
    def ends_at(self) -> int:
        """When it ends even if it is used all the time; ms since 1970."""
        return self.since + LONGEST_MS

    def is_due(self, now: float) -> bool:
        """Whether the cookie should be made anew."""
        return now >= self.exp - IDLE_S + RENEWED_AFTER_S and self._expiry(now) > self.exp

    def renewed(self, now: float) -> SignIn:
        return msgspec.structs.replace(self, exp=self._expiry(now))

    def _expiry(self, now: float) -> int:
        return min(int(now) + IDLE_S, self.ends_at // 1000)


_decode: Final = msgspec.json.Decoder(SignIn).decode


def begin(provider: Provider, *, audience: str, sid: str, now: float) -> SignIn:
    return SignIn(
        aud=audience,
        sub=provider.id,
        epoch=provider.epoch,
        sid=sid,
        since=int(now * 1000),
        exp=int(now) + IDLE_S,
    )


def seal(sign_in: SignIn, key: SigningKey) -> str:
    """The cookie's value."""
    return signatures.seal(_LABEL, msgspec.json.encode(sign_in), key)


def unseal(
    value: str,
    ring: VerifyingKeys,
    now: float,
    *,
    audience: str,
    find: Callable[[str], Provider | None],
) -> SignIn | None:
    """The sign-in of a cookie that is good at `now` (seconds since 1970); None for all others.

    `find` gives a provider by id.
    """
    body = signatures.unseal(_LABEL, value, ring, now, most=VALUE_MAX)
    if body is None:
        return None
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    if found.aud != audience or not now < found.exp or now * 1000 >= found.ends_at:
        return None
    return found if is_good(found, find(found.sub)) else None


def is_good(sign_in: SignIn, provider: Provider | None) -> bool:
    """Whether its provider is still one, and has not been revoked or signed out everywhere since.

    For a cookie that has been unsealed, and may have been overtaken by a sign-out meanwhile.
    """
    return (
        provider is not None
        and provider.active
        and provider.epoch == sign_in.epoch
        and sign_in.since > provider.signed_out_at
    )


def is_void(claims: Claims, provider: Provider | None) -> bool:
    """Whether a sign-in link, or a reception's, is older than the last sign-out everywhere."""
    return provider is None or claims.nbf * 1000 <= provider.signed_out_at
