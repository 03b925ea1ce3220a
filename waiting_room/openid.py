"""Signing in by way of an OpenID provider: what is asked of it, and what is believed. Pure.

OpenID Connect Core 1.0 section 3.1 (code flow), with PKCE (RFC 7636), the issuer's name in its
answer (RFC 9207) and the advice of RFC 9700. The page holds the code verifier, so that a code is
good in the tab that asked for it and nowhere else; no cookie is needed. See docs/adr/0014.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from . import signatures
from .errors import Refused
from .tokens import SigningKey, VerifyingKeys

REQUEST_S: Final = 600  # from asking to coming back: a second factor takes its time
LEEWAY_S: Final = 60  # by which the issuer's clock and ours may differ
KEYS_MAX: Final = 64  # of one issuer
VALUE_MAX: Final = 256  # characters of a claim
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512",
                     "RS256", "RS384", "RS512")  # fmt: skip
"""Asymmetric ones: with any other, whoever knows the public key or nothing at all could sign."""

_LABEL: Final = "openid-request"
_STATE_MAX: Final = 2048  # characters
_ASYMMETRIC: Final = frozenset({"RSA", "EC", "OKP"})
_Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]
_Text = Annotated[str, msgspec.Meta(max_length=1024)]
_Url = Annotated[str, msgspec.Meta(max_length=2048)]

Challenge = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]  # S256 of the verifier
Verifier = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}\Z")
]  # RFC 7636 section 4.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who we are to the issuer, and what we want to know of it."""

    issuer: str
    client_id: str
    redirect_uri: str
    audience: str  # our origin
    claim: str = "sub"  # whose value says which provider it is
    scope: str = "openid"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer says of itself (Discovery 1.0 section 3), as far as we need it."""

    issuer: _Url
    authorization_endpoint: _Url
    token_endpoint: _Url
    jwks_uri: _Url
    response_types_supported: tuple[str, ...]
    response_modes_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `state` says: a request of ours that somebody has gone to the issuer with."""

    id: _Id
    aud: _Text  # our origin
    iss: _Url  # who was asked
    nonce: _Id
    challenge: Challenge
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]  # s since 1970


_request: Final = msgspec.json.Decoder(Request).decode
_metadata: Final = msgspec.json.Decoder(Metadata).decode


def well_known(issuer: str) -> str:
    """Where an issuer's metadata is (Discovery 1.0 section 4)."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def read_metadata(data: bytes, issuer: str) -> Metadata:
    """Raises ValueError, with a text for the operator, for an issuer that cannot be used."""
    try:
        found = _metadata(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise ValueError("gives no metadata of an OpenID provider") from None
    if found.issuer != issuer:
        # Section 4.3: else one issuer could speak for another.
        raise ValueError("calls itself by another name: KONSIL_OIDC_ISSUER must be that, exactly")
    for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        if not is_trustworthy(url, issuer):
            raise ValueError("names an address that is not https")
    if "code" not in found.response_types_supported:
        raise ValueError("does not offer the code flow")
    if "S256" not in found.code_challenge_methods_supported:
        raise ValueError("does not offer PKCE with S256")
    return found


def is_trustworthy(url: str, issuer: str) -> bool:
    """https; http only for an issuer that is itself on http, which settings allow on loopback."""
    try:
        parts = urlsplit(url)
        insecure = urlsplit(issuer).scheme == "http"
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (insecure and parts.scheme == "http")
    )


def read_keys(data: bytes) -> KeySet:
    """The issuer's keys, those for signatures that everybody can check. Raises ValueError."""
    try:
        listed = json.loads(data)["keys"]
        wanted = [
            key
            for key in listed[:KEYS_MAX]
            if key.get("kty") in _ASYMMETRIC and key.get("use", "sig") == "sig"
        ]
        return KeySet.import_key_set({"keys": wanted})
    except Exception as error:  # keys of any form and none: the library raises what it meets
        raise ValueError("gives no keys to check signatures with") from error


def ask(
    client: Client,
    metadata: Metadata,
    challenge: str,
    *,
    new_id: str,
    nonce: str,
    key: SigningKey,
    now: float,
) -> tuple[str, str]:
    """Where to send the browser, and the state that it must come back with."""
    made = Request(
        id=new_id,
        aud=client.audience,
        iss=client.issuer,
        nonce=nonce,
        challenge=challenge,
        exp=int(now) + REQUEST_S,
    )
    state = signatures.seal(_LABEL, msgspec.json.encode(made), key)
    url: str = prepare_grant_uri(
        metadata.authorization_endpoint,
        client.client_id,
        "code",
        redirect_uri=client.redirect_uri,
        scope=client.scope,
        state=state,
        nonce=nonce,
        code_challenge=challenge,
        code_challenge_method="S256",
        # A fragment is in nobody's access log, ours and a proxy's included.
        response_mode="fragment" if "fragment" in metadata.response_modes_supported else None,
    )
    return url, state


def returned(
    client: Client,
    metadata: Metadata,
    *,
    state: str,
    verifier: str,
    issuer: str,
    ring: VerifyingKeys,
    now: float,
) -> Request:
    """The request that a page has come back from. Raises Refused `openid_refused`.

    `issuer`: the answer's `iss`, "" without one.
    """
    body = signatures.unseal(_LABEL, state, ring, now, most=_STATE_MAX)
    try:
        found = None if body is None else _request(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        found = None
    if found is None or found.aud != client.audience or found.iss != client.issuer:
        raise refused("state")
    if not now < found.exp:
        raise refused("too_late")
    if not hmac.compare_digest(_s256(verifier), found.challenge):
        raise refused("state")  # of another tab, or another browser
    required = metadata.authorization_response_iss_parameter_supported
    if (issuer or required) and issuer != client.issuer:
        raise refused("issuer")  # RFC 9207 section 2.4
    return found


def key_id(id_token: str) -> str | None:
    """Which key it says it is signed with; believed only as to which keys to look for."""
    head = signatures.from_base64url(id_token.partition(".")[0])
    try:
        kid = json.loads(head or b"{}").get("kid")
    except (ValueError, AttributeError, RecursionError):
        return None
    return kid if isinstance(kid, str) else None


def identity(id_token: str, keys: KeySet, client: Client, *, nonce: str, now: float) -> str:
    """The value of the wanted claim, out of an ID token that is good (Core section 3.1.3.7).

    Raises Refused `openid_refused`.
    """
    try:
        token = jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": client.issuer},
                "aud": {"essential": True, "value": client.client_id},
            },
            params={"nonce": nonce, "client_id": client.client_id},
        )
        claims.validate(now=int(now), leeway=LEEWAY_S)
    except Exception as error:  # JoseError, or what a claim of an odd type breaks in the library
        raise refused("id_token") from error
    # Said once more, so that it does not hang on what a library makes of odd types.
    audience: Any = claims["aud"]
    audiences = audience if isinstance(audience, list) else [audience]
    if claims["iss"] != client.issuer or client.client_id not in audiences:
        raise refused("id_token")
    return _value(claims, client.claim)


def _value(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= VALUE_MAX:
        raise refused("claim")
    if name == "email" and claims.get("email_verified") is not True:
        # Where people may enter any address, it says nothing of who they are.
        raise refused("email_not_verified")
    return value


def refused(reason: str) -> Refused:
    return Refused("openid_refused", "this sign-in was not accepted", {"reason": reason})


def _s256(verifier: str) -> str:
    made: str = create_s256_code_challenge(verifier)
    return made
