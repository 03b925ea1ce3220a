"""Link tokens: JWTs (RFC 7519) signed with Ed25519 (RFC 8037). Pure.

A token is accepted in one spelling only: the bytes that `mint` makes. Header and claims are
compared with what we would have written ourselves, so whatever a JSON or base64 parser might
forgive (blanks, duplicate members, padding, other headers, floats) is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import TokenError

ISSUER: Final = "konsil"
ALGORITHM: Final = "EdDSA"
TOKEN_MAX: Final = 2048  # characters
LIFETIME_MAX: Final = 31 * 24 * 3600  # seconds from nbf to exp

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Second = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class TokenType(StrEnum):
    PROVIDER = "provider"
    HOST = "host"
    CLIENT = "client"
    GUEST = "guest"
    RECEPTION = "reception"  # sees who waits for a provider, and is never part of a session


# Of a provider, and so of all of their rooms.
ROOMLESS: Final = frozenset({TokenType.PROVIDER, TokenType.RECEPTION})


class Came(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since when somebody waits, who has been passed on from another room of the same provider."""

    participant: _Text  # whom it is said of: their id in the room of the token
    at: _Second  # ms since 1970, by our own clock


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token says. Times are whole seconds since 1970.

    A token opens at `nbf` and closes at `exp`: it is good for `nbf <= now < exp`.
    """

    iss: _Text = ISSUER
    aud: _Text  # the origin of the public URL
    sub: _Text  # the provider's id
    typ: TokenType
    role: TokenType  # the same as `typ`
    room: Annotated[str, msgspec.Meta(max_length=64)]  # "" in those of ROOMLESS
    nbf: _Second
    exp: _Second
    jti: _Text
    epoch: _Second  # the provider's key epoch at the time of minting
    came: Came | msgspec.UnsetType = msgspec.UNSET

    @property
    def opens_at(self) -> int:
        return self.nbf

    @property
    def closes_at(self) -> int:
        return self.exp


class SigningKey(Protocol):
    @property
    def kid(self) -> str: ...
    @property
    def private(self) -> Ed25519PrivateKey: ...


class VerifyingKeys(Protocol):
    def find(self, kid: str, now: float) -> Ed25519PublicKey | None:
        """The public key of that id, if tokens signed with it may still be good at `now`."""


def mint(claims: Claims, key: SigningKey) -> str:
    """The token saying `claims`. Raises ValueError for claims that `verify` would refuse."""
    flaw = _flaw(claims)
    if flaw is not None:
        raise ValueError(flaw)
    token = _jws.encode(
        msgspec.json.encode(claims), key.private, ALGORITHM, {"kid": key.kid}, sort_headers=True
    )
    if len(token) > TOKEN_MAX:
        raise ValueError(f"the token would be longer than {TOKEN_MAX} characters")
    return token


def verify(
    token: str,
    ring: VerifyingKeys,
    now: float,
    *,
    audience: str,
    epochs: Callable[[str], int | None],
    issuer: str = ISSUER,
    grace: float = 0,
    allowed: Collection[TokenType] = tuple(TokenType),
) -> Claims:
    """The claims of a token that is good at `now` (seconds since 1970); else raises TokenError.

    `epochs` gives a provider's present epoch, None for one who is unknown or no longer active.
    `grace`: seconds after the close in which the token is still taken (a call under way runs on).
    `allowed`: the types taken; another one is `token_wrong_role`.
    """
    header, payload = _split(token)
    kid = _kid(header)
    public = ring.find(kid, now)
    if public is None:
        raise TokenError("token_invalid", "unknown_key")
    try:
        _jws.decode_complete(token, public, [ALGORITHM])
    except jwt.InvalidSignatureError:
        raise TokenError("token_invalid", "bad_signature") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenError("token_invalid", "malformed") from None

    claims = _claims(payload)
    if claims.aud != audience or claims.iss != issuer:
        raise TokenError("token_invalid", "wrong_audience")
    if claims.typ not in allowed:
        raise TokenError("token_wrong_role", detail=f"this is a link for a {claims.typ}")
    if epochs(claims.sub) != claims.epoch:
        raise TokenError("token_revoked", detail="the provider's links were voided")
    if now < claims.nbf:
        raise TokenError("token_not_open_yet", opens_at=claims.nbf, detail="not open yet")
    if now >= claims.exp + grace:
        raise TokenError("token_closed", detail="past the planned end")
    return claims


_jws: Final = jwt.PyJWS(algorithms=[ALGORITHM])


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Our whole header, in the order in which PyJWT writes it (sorted)."""

    alg: str
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    typ: str


_decode_header: Final = msgspec.json.Decoder(_Header).decode
_decode_claims: Final = msgspec.json.Decoder(Claims).decode
_decode_loosely: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# msgspec raises these two on any input (the second on depth); UnicodeError on bad UTF-8 in names.
_PARSE_ERRORS: Final = (msgspec.MsgspecError, RecursionError, UnicodeError)


def _split(token: str) -> tuple[bytes, bytes]:
    if len(token) > TOKEN_MAX:
        raise TokenError("token_invalid", "malformed", detail="too long")
    segments = token.split(".")
    if len(segments) != 3:
        raise TokenError("token_invalid", "malformed", detail="not three parts")
    header, payload, _signature = map(_unbase64, segments)
    return header, payload


def _unbase64(segment: str) -> bytes:
    """RFC 7515 section 2: base64url without padding, in the one canonical spelling."""
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):  # ValueError: not ASCII
        raise TokenError("token_invalid", "malformed", detail="not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != segment:
        raise TokenError("token_invalid", "malformed", detail="not canonical base64url")
    return raw


def _kid(raw: bytes) -> str:
    """The key id of a header exactly as we write it."""
    try:
        header = _decode_header(raw)
    except _PARSE_ERRORS:
        # Not our header; say so if at least its algorithm can be made out.
        raise TokenError(
            "token_invalid", "malformed" if _alg(raw) in (ALGORITHM, None) else "wrong_algorithm"
        ) from None
    if header.alg != ALGORITHM:
        raise TokenError("token_invalid", "wrong_algorithm")
    if msgspec.json.encode(header) != raw or header.typ != "JWT":
        raise TokenError("token_invalid", "malformed", detail="not our header")
    return header.kid


def _alg(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(_decode_loosely(raw).get("alg", b"null"))
    except _PARSE_ERRORS:
        return None


def _claims(raw: bytes) -> Claims:
    try:
        claims = _decode_claims(raw)
    except _PARSE_ERRORS:
        raise TokenError("token_invalid", _why(raw), detail="not our claims") from None
    if msgspec.json.encode(claims) != raw:
        raise TokenError("token_invalid", "malformed", detail="not our spelling")
    flaw = _flaw(claims)
    if flaw is not None:
        raise TokenError("token_invalid", "malformed", detail=flaw)
    return claims


def _why(raw: bytes) -> str:
    """`wrong_type` for claims whose only fault may be a `typ` that we do not have."""
    try:
        typ = msgspec.json.decode(_decode_loosely(raw).get("typ", b"null"))
    except _PARSE_ERRORS:
        return "malformed"
    return "wrong_type" if isinstance(typ, str) and typ not in set(TokenType) else "malformed"


def _flaw(claims: Claims) -> str | None:
    """What is wrong with well-typed claims, whenever they are looked at."""
    if not claims.nbf < claims.exp <= claims.nbf + LIFETIME_MAX:
        return "the lifetime is out of bounds"
    if claims.role is not claims.typ:
        return "role and type differ"
    if (claims.room == "") is not (claims.typ in ROOMLESS):
        return "a provider's and a reception's token have no room, every other one has"
    if claims.came is not msgspec.UNSET and claims.typ is not TokenType.CLIENT:
        return "nobody but a client is passed on"
    return None
