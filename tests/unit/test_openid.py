"""OpenID Connect: what is asked, what is believed, and what an attacker would have us believe."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from waiting_room import openid
from waiting_room.errors import Refused
from waiting_room.keys import KeyRing
from waiting_room.openid import LEEWAY_S, REQUEST_S, Client, Metadata
from waiting_room.providers import Provider
from waiting_room.sign_ins import begin, seal

NOW = 1_900_000_000
ISSUER = "https://login.example/realm"
CLIENT = Client(
    issuer=ISSUER,
    client_id="konsil-client",
    redirect_uri="https://consult.example/provider",
    audience="https://consult.example",
)
NONCE = "n" * 22
VERIFIER = "v" * 43
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.example/auth?tenant=1",
    "token_endpoint": "https://login.example/token",
    "jwks_uri": "https://keys.example/jwks",
    "response_types_supported": ["code", "id_token"],
    "code_challenge_methods_supported": ["S256"],
    "scopes_supported": ["openid"],
}


def challenge(verifier: str = VERIFIER) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def metadata(**more: Any) -> Metadata:
    return openid.read_metadata(json.dumps({**DOCUMENT, **more}).encode(), ISSUER)


def keys() -> KeySet:
    listed = [key.as_dict(private=False) for key in (RSA, EC, ED)]
    return openid.read_keys(json.dumps({"keys": listed}).encode())


def claims(**more: Any) -> dict[str, Any]:
    good = {"iss": ISSUER, "sub": "ada", "aud": CLIENT.client_id, "nonce": NONCE}
    made = {**good, "iat": NOW, "exp": NOW + 300, **more}
    return {name: value for name, value in made.items() if value is not ...}


def token(key: Any = RSA, alg: str = "RS256", **more: Any) -> str:
    header = {"alg": alg, "kid": key.kid}
    return jwt.encode(header, claims(**more), key, algorithms=[alg])


def believed(text: str, client: Client = CLIENT, nonce: str = NONCE) -> str:
    return openid.identity(text, keys(), client, nonce=nonce, now=NOW)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        act()
    assert caught.value.code == "openid_refused"
    return str(caught.value.extra["reason"])


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.open(tmp_path_factory.mktemp("keys"), NOW)


# --- ID tokens ---


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")]
)
def test_a_good_token_says_who_it_is(key: Any, alg: str) -> None:
    assert believed(token(key, alg)) == "ada"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://login.example/other"},
        {"iss": ISSUER + "/"},
        {"iss": [ISSUER]},
        {"iss": ...},
        {"aud": "somebody-else"},
        {"aud": []},
        {"aud": ...},
        {"aud": [CLIENT.client_id, "somebody-else"]},  # without azp
        {"aud": [CLIENT.client_id, "somebody-else"], "azp": "somebody-else"},
        {"azp": "somebody-else"},
        {"nonce": "m" * 22},
        {"nonce": ...},
        {"nonce": None},
        {"exp": NOW - LEEWAY_S - 1},
        {"exp": ...},
        {"exp": "tomorrow"},
        {"iat": NOW + LEEWAY_S + 1},
        {"iat": ...},
        {"nbf": NOW + LEEWAY_S + 1},
        {"sub": ...},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_refused(wrong: dict[str, Any]) -> None:
    assert refusal(lambda: believed(token(**wrong))) == "id_token"


def test_clocks_may_differ_a_little() -> None:
    assert believed(token(exp=NOW - LEEWAY_S + 1)) == "ada"
    assert believed(token(iat=NOW + LEEWAY_S - 1)) == "ada"
    several = token(aud=[CLIENT.client_id, "somebody-else"], azp=CLIENT.client_id)
    assert believed(several) == "ada"


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    parts = (json.dumps(header), json.dumps(claims()))
    body = ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts)
    return f"{body}.{signature}"


def test_no_signature_is_none() -> None:
    for alg in ("none", "None", "NONE", "", None):
        for header in ({"alg": alg}, {"alg": alg, "kid": "rsa"}):
            assert refusal(lambda h=header: believed(unsigned(h))) == "id_token"
    assert refusal(lambda: believed(unsigned({"alg": "RS256", "kid": "rsa"}))) == "id_token"
    assert refusal(lambda: believed(unsigned({}))) == "id_token"


def test_the_public_key_is_no_shared_secret() -> None:
    assert not any(alg.startswith("HS") or alg.lower() == "none" for alg in openid.ALGORITHMS)
    pem = RSA.as_pem(private=False)
    for secret in (pem, pem.strip(), RSA.as_der(private=False), b"konsil-client"):
        forger = OctKey.import_key(base64.urlsafe_b64encode(secret).rstrip(b"=").decode())
        for kid in ("rsa", "ec", None):
            header = {"alg": "HS256"} if kid is None else {"alg": "HS256", "kid": kid}
            made = jwt.encode(header, claims(), forger, algorithms=["HS256"])
            assert refusal(lambda m=made: believed(m)) == "id_token"


def test_a_key_in_the_token_itself_is_not_believed() -> None:
    own = RSAKey.generate_key(2048, {"kid": "rsa"})
    for more in (
        {"jwk": own.as_dict(private=False)},
        {"jku": "https://evil.example/jwks"},
        {"kid": "of-the-attacker"},
        {},
    ):
        header = {"alg": "RS256", "kid": "rsa", **more}
        made = jwt.encode(header, claims(), own, algorithms=["RS256"])
        assert refusal(lambda m=made: believed(m)) == "id_token"


def test_a_key_signs_in_its_own_way_only() -> None:
    made = token(EC, "ES256").split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"ec"}').rstrip(b"=").decode()
    assert refusal(lambda: believed(".".join([head, *made[1:]]))) == "id_token"


def test_every_changed_character_is_refused() -> None:
    made = token(EC, "ES256")
    for index in range(0, len(made), 7):
        other = "A" if made[index] != "A" else "B"
        altered = made[:index] + other + made[index + 1 :]
        assert refusal(lambda c=altered: believed(c)) == "id_token", index


@given(st.text(max_size=200))
def test_whatever_comes_is_refused_and_nothing_else(text: str) -> None:
    assert refusal(lambda: believed(text)) == "id_token"
    openid.key_id(text)


def test_the_claim_that_was_set_names_the_provider() -> None:
    by_mail = changed(claim="email")
    good = token(email="ada@clinic.example", email_verified=True)
    assert believed(good, by_mail) == "ada@clinic.example"
    for verified in (False, None, "true", ...):
        unproved = token(email="ada@clinic.example", email_verified=verified)
        assert refusal(lambda t=unproved: believed(t, by_mail)) == "email_not_verified"
    for value in (..., "", 7, ["ada"], "x" * 257):
        odd = token(email=value, email_verified=True)
        assert refusal(lambda t=odd: believed(t, by_mail)) == "claim"


def changed(**changes: Any) -> Client:
    return dataclasses.replace(CLIENT, **changes)


# --- metadata and keys ---


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"issuer": "https://login.example"}, "another name"),
        ({"issuer": ISSUER + "/"}, "another name"),
        ({"token_endpoint": "http://login.example/token"}, "not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not https"),
        ({"authorization_endpoint": "https://"}, "not https"),
        ({"response_types_supported": ["id_token"]}, "code flow"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"token_endpoint": 7}, "no metadata"),
    ],
    ids=str,
)
def test_an_issuer_that_cannot_be_used_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        metadata(**wrong)
    with pytest.raises(ValueError, match="no metadata"):
        openid.read_metadata(b"<html>", ISSUER)


def test_on_loopback_http_will_do() -> None:
    local = "http://127.0.0.1:9"
    assert openid.is_trustworthy("http://127.0.0.1:9/x", local)
    assert not openid.is_trustworthy("http://127.0.0.1:9/x", ISSUER)
    assert not openid.is_trustworthy("ftp://127.0.0.1:9/x", local)
    assert openid.well_known(ISSUER + "/") == ISSUER + "/.well-known/openid-configuration"


def test_only_keys_that_everybody_may_know_are_taken() -> None:
    secret = OctKey.generate_key(256, {"kid": "secret"}).as_dict(private=True)
    sealing = {**RSA.as_dict(private=False), "kid": "sealing", "use": "enc"}
    strange = {"kty": "PQ", "kid": "strange"}
    listed = {"keys": [secret, sealing, strange, EC.as_dict(private=False)]}
    assert [key.kid for key in openid.read_keys(json.dumps(listed).encode()).keys] == ["ec"]
    for bad in (b"", b"[]", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [7]}', b'{"keys": [{}]}'):
        with pytest.raises(ValueError, match="no keys"):
            openid.read_keys(bad)


def test_the_key_id_is_read_of_anything() -> None:
    assert openid.key_id(token()) == "rsa"
    for text in ("", ".", "!", "e30.x.y", "W10.x.y", "bnVsbA.x.y", "eyJraWQiOjd9.x.y"):
        assert openid.key_id(text) is None


# --- going there and coming back ---


def asks(ring: KeyRing, found: Metadata, client: Client = CLIENT) -> tuple[dict[str, str], str]:
    url, state = openid.ask(
        client, found, challenge(), new_id="r" * 22, nonce=NONCE, key=ring.current, now=NOW
    )
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://login.example/auth"
    return {name: values[0] for name, values in parse_qs(parts.query).items()}, state


def test_what_is_asked(ring: KeyRing) -> None:
    query, state = asks(ring, metadata())
    assert query == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT.client_id,
        "redirect_uri": CLIENT.redirect_uri,
        "scope": "openid",
        "state": state,
        "nonce": NONCE,
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
    }
    # In the fragment where that is offered: it reaches no access log.
    query, _ = asks(ring, metadata(response_modes_supported=["query", "fragment"]))
    assert query["response_mode"] == "fragment"


def test_only_the_tab_that_went_comes_back_in_time(ring: KeyRing, tmp_path: Path) -> None:
    found = metadata()
    _, state = asks(ring, found)

    def back(
        *,
        state: str = state, verifier: str = VERIFIER, issuer: str = "", now: float = NOW,
        found: Metadata = found, client: Client = CLIENT,
    ) -> openid.Request:  # fmt: skip
        return openid.returned(
            client, found, state=state, verifier=verifier, issuer=issuer, ring=ring, now=now
        )

    assert back(now=NOW + REQUEST_S - 1).nonce == NONCE
    assert refusal(lambda: back(now=NOW + REQUEST_S)) == "too_late"
    assert refusal(lambda: back(verifier="w" * 43)) == "state"
    assert refusal(lambda: back(verifier=challenge())) == "state"
    for wrong in ("", "x", state + "x", state.replace(".", "", 1), state[:-3] + "AAA"):
        assert refusal(lambda w=wrong: back(state=w)) == "state"
    stranger = KeyRing.open(tmp_path, NOW)
    _, forged = asks(stranger, found)
    assert refusal(lambda: back(state=forged)) == "state"
    # Asked of another issuer, or for another server with the same keys.
    for client in (
        changed(issuer="https://evil.example"),
        changed(audience="https://other.example"),
    ):
        assert refusal(lambda c=client: back(client=c)) == "state"

    # RFC 9207: an answer of another issuer is none, nor one that hides who it is of.
    assert back(issuer=ISSUER).id == "r" * 22
    assert refusal(lambda: back(issuer="https://evil.example")) == "issuer"
    says_so = metadata(authorization_response_iss_parameter_supported=True)
    assert refusal(lambda: back(found=says_so)) == "issuer"
    assert back(found=says_so, issuer=ISSUER).id == "r" * 22


def test_a_cookie_is_no_state(ring: KeyRing) -> None:
    provider = Provider("provider-id1", "Dr. One")
    cookie = seal(begin(provider, audience=CLIENT.audience, sid="s" * 22, now=NOW), ring.current)
    assert (
        refusal(
            lambda: openid.returned(
                CLIENT, metadata(), state=cookie, verifier=VERIFIER, issuer="", ring=ring, now=NOW
            )
        )
        == "state"
    )
