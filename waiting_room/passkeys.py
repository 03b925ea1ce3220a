"""Passkeys of providers: challenges, and what an authenticator answers. Pure.

Web Authentication Level 3, sections 7.1 and 7.2, by way of py_webauthn; user verification is always
required, attestation is not asked for. A challenge is a signed statement, so that nobody can fill
anything by asking for many; that it is good once is for `once.py`. See docs/adr/0014.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from . import signatures
from .errors import ConfigError, Refused
from .providers import Provider
from .tokens import SigningKey, VerifyingKeys

CHALLENGE_S: Final = 300  # a challenge is good for so long: people look for their telephone
ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # all that some of Windows' TPMs have
)
ID_MAX: Final = 1364  # base64url characters of a credential id of 1023 bytes (section 4)
KEY_MAX: Final = 2048  # base64url characters of a public key; RSA of 8192 bits takes 1400

_LABEL: Final = "passkey-challenge"
_CHALLENGE_MAX: Final = 1024  # characters
_Base64url = r"^[A-Za-z0-9_-]+\Z"
_Id = Annotated[str, msgspec.Meta(pattern=_Base64url, max_length=ID_MAX)]
_Data = Annotated[str, msgspec.Meta(pattern=_Base64url, max_length=16_384)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Text = Annotated[str, msgspec.Meta(max_length=256)]

Use = Literal["add", "sign_in"]


class Passkey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of one. The private key is in the authenticator, and never here."""

    id: _Id  # the credential's, base64url
    key: Annotated[str, msgspec.Meta(pattern=_Base64url, max_length=KEY_MAX)]  # COSE, base64url
    epoch: _Moment  # of the provider when it was added: `provider revoke` voids it
    count: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0  # signatures it has told of
    added: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d\Z")]  # the day, UTC

    @property
    def handle(self) -> str:
        """Eight digits that name it among a provider's, for people and requests."""
        return hashlib.sha256(self.id.encode("ascii")).hexdigest()[:8]


class Challenge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an authenticator is asked to sign."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{22}\Z")]
    use: Use
    aud: _Text  # our origin
    sub: _Text  # the provider who adds a passkey; "" when somebody wants to sign in
    exp: _Moment  # s since 1970


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.create()` gave, base64url."""

    id: _Id
    client_data: _Data
    attestation: _Data


class Assertion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.get()` gave, base64url; `user` is the provider's id, as text."""

    id: _Id
    user: _Text
    client_data: _Data
    authenticator_data: _Data
    signature: _Data


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who we are to an authenticator."""

    id: str  # the host name of the public URL
    origin: str  # as browsers write it

    @staticmethod
    def of(origin: str) -> RelyingParty:
        """Raises ConfigError for an address: passkeys belong to names (section 5.1.3)."""
        host = urlsplit(origin).hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return RelyingParty(host, origin)
        raise ConfigError(
            "KONSIL_PASSKEYS: browsers have passkeys for host names only, and the public URL is an "
            "address: set KONSIL_PUBLIC_URL to a name"
        )


_challenge: Final = msgspec.json.Decoder(Challenge).decode


def challenge(
    use: Use, provider: str, party: RelyingParty, *, new_id: str, key: SigningKey, now: float
) -> str:
    """A text whose UTF-8 bytes are the challenge."""
    made = Challenge(id=new_id, use=use, aud=party.origin, sub=provider, exp=int(now) + CHALLENGE_S)
    return signatures.seal(_LABEL, msgspec.json.encode(made), key)


def challenge_of(
    client_data: str, use: Use, party: RelyingParty, ring: VerifyingKeys, now: float
) -> Challenge:
    """The challenge of ours that an authenticator has signed. Raises Refused `passkey_refused`."""
    try:
        raw = parse_client_data_json(_bytes(client_data)).challenge
        body = signatures.unseal(_LABEL, raw.decode("ascii"), ring, now, most=_CHALLENGE_MAX)
        found = None if body is None else _challenge(body)
    except Exception as error:  # the library lets through whatever a stranger's JSON breaks in it
        raise _refused("not_ours") from error
    if found is None or found.use != use or found.aud != party.origin:
        raise _refused("not_ours")
    if not now < found.exp:
        raise _refused("too_late")
    return found


def added(answer: NewPasskey, party: RelyingParty, provider: Provider, now: float) -> Passkey:
    """The passkey that was made (section 7.1). The caller has looked at its challenge.

    Raises Refused `passkey_refused`.
    """
    credential = RegistrationCredential(
        id=answer.id,
        raw_id=_bytes(answer.id),
        response=AuthenticatorAttestationResponse(
            client_data_json=_bytes(answer.client_data),
            attestation_object=_bytes(answer.attestation),
        ),
    )
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=_signed_challenge(answer.client_data),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except Exception as error:  # as above: CBOR, ASN.1 and keys of a stranger's making
        raise _refused("not_verified") from error
    key = signatures.to_base64url(verified.credential_public_key)
    if verified.credential_id != credential.raw_id or len(key) > KEY_MAX:
        raise _refused("not_verified")
    return Passkey(
        id=answer.id,
        key=key,
        epoch=provider.epoch,
        count=verified.sign_count,
        added=datetime.fromtimestamp(now, UTC).date().isoformat(),
    )


def signed(answer: Assertion, party: RelyingParty, passkey: Passkey) -> int:
    """The new count of signatures, of an assertion that is good (section 7.2).

    The caller has looked at its challenge. Raises Refused `passkey_refused`; also where the count
    does not grow, since then there may be two of this passkey.
    """
    credential = AuthenticationCredential(
        id=answer.id,
        raw_id=_bytes(answer.id),
        response=AuthenticatorAssertionResponse(
            client_data_json=_bytes(answer.client_data),
            authenticator_data=_bytes(answer.authenticator_data),
            signature=_bytes(answer.signature),
        ),
    )
    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=_signed_challenge(answer.client_data),
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=_bytes(passkey.key),
            credential_current_sign_count=passkey.count,
            require_user_verification=True,
        )
    except Exception as error:  # as above
        raise _refused("not_verified") from error
    if passkey.id != answer.id:
        raise _refused("not_verified")
    return verified.new_sign_count


def unknown() -> Refused:
    """For a passkey that is not known here, or no longer: told as one that is wrong."""
    return _refused("not_verified")


def used() -> Refused:
    return _refused("used")


def _signed_challenge(client_data: str) -> bytes:
    return parse_client_data_json(_bytes(client_data)).challenge


def _bytes(text: str) -> bytes:
    found = signatures.from_base64url(text)
    if found is None:
        raise _refused("malformed")
    return found


def _refused(reason: str) -> Refused:
    return Refused("passkey_refused", "this passkey does not sign in here", {"reason": reason})
