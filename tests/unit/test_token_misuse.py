"""Every way of holding a token wrong has its code, and whatever is no token at all has one too."""

import base64
import hmac
import json
import string
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st

from waiting_room.errors import TokenError
from waiting_room.tokens import LIFETIME_MAX, TOKEN_MAX, Claims, TokenType, mint, verify

AUDIENCE = "https://konsil.example"
NOW = 1_800_000_000
SEED = bytes(range(32))


@dataclass(frozen=True)
class OneKey:
    """A key ring of a single key."""

    kid: str = "the-only-key-kid"
    private: Ed25519PrivateKey = field(
        default_factory=lambda: Ed25519PrivateKey.from_private_bytes(SEED)
    )

    def find(self, kid: str, now: float) -> Ed25519PublicKey | None:
        return self.private.public_key() if kid == self.kid else None


KEY = OneKey()
GOOD: dict[str, Any] = {
    "iss": "konsil",
    "aud": AUDIENCE,
    "sub": "provider-id1",
    "typ": "client",
    "role": "client",
    "room": "r" * 22,
    "nbf": NOW - 60,
    "exp": NOW + 60,
    "jti": "j" * 22,
    "epoch": 3,
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: bytes, payload: bytes) -> str:
    """A token of any header and claims, signed as it should be."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(KEY.private.sign(signed.encode()))}"


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


HEADER = compact({"alg": "EdDSA", "kid": KEY.kid, "typ": "JWT"})


def token(**changed: object) -> str:
    return sign(HEADER, compact({**GOOD, **changed}))


def without(name: str) -> str:
    return sign(HEADER, compact({key: value for key, value in GOOD.items() if key != name}))


def check(text: str, now: float = NOW, **changed: Any) -> Claims:
    arguments: dict[str, Any] = {"audience": AUDIENCE, "epochs": {"provider-id1": 3}.get}
    return verify(text, KEY, now, **{**arguments, **changed})


def refusal(text: str, now: float = NOW, **changed: Any) -> tuple[str, str | None]:
    with pytest.raises(TokenError) as caught:
        check(text, now, **changed)
    return caught.value.code, caught.value.reason


def test_what_is_minted_is_accepted_and_says_the_same() -> None:
    claims = msgspec.convert(GOOD, Claims)
    minted = mint(claims, KEY)
    assert minted == token()
    assert check(minted) == claims


def test_the_token_is_a_plain_jwt_to_others() -> None:
    public = KEY.private.public_key()
    assert jwt.decode(
        token(),
        public,
        ["EdDSA"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_nbf": False},
    ) == (GOOD)


def hs(algorithm: str, digest: str, secret: bytes) -> str:
    signed = (
        f"{b64(compact({'alg': algorithm, 'kid': KEY.kid, 'typ': 'JWT'}))}.{b64(compact(GOOD))}"
    )
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), digest))}"


RAW = KEY.private.public_key().public_bytes_raw()
PEM = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def header(**changed: object) -> str:
    return sign(compact({"alg": "EdDSA", "kid": KEY.kid, "typ": "JWT", **changed}), compact(GOOD))


MALFORMED, ALGORITHM, SIGNATURE = "malformed", "wrong_algorithm", "bad_signature"
HEADERS = {
    "alg none, no signature": (
        f"{b64(compact({'alg': 'none', 'typ': 'JWT'}))}.{b64(compact(GOOD))}.",
        ALGORITHM,
    ),
    "alg none, our kid": (header(alg="none"), ALGORITHM),
    "alg None": (header(alg="None"), ALGORITHM),
    "alg in lower case": (header(alg="eddsa"), ALGORITHM),
    "alg Ed25519 (RFC 9864)": (header(alg="Ed25519"), ALGORITHM),
    "alg null": (header(alg=None), MALFORMED),
    "alg a list": (header(alg=["EdDSA"]), ALGORITHM),
    "HS256 with the raw public key": (hs("HS256", "sha256", RAW), ALGORITHM),
    "HS256 with the public key in PEM": (hs("HS256", "sha256", PEM), ALGORITHM),
    "HS384 with the public key in PEM": (hs("HS384", "sha384", PEM), ALGORITHM),
    "RS256": (header(alg="RS256"), ALGORITHM),
    "unknown kid": (header(kid="somebody-elses-k"), "unknown_key"),
    "kid a path": (header(kid="../../../dev/null"), "unknown_key"),
    "kid empty": (header(kid=""), MALFORMED),
    "kid a number": (header(kid=1), MALFORMED),
    "no kid": (sign(compact({"alg": "EdDSA", "typ": "JWT"}), compact(GOOD)), MALFORMED),
    "unknown crit": (header(crit=["exp"]), MALFORMED),
    "empty crit": (header(crit=[]), MALFORMED),
    "b64 false": (header(b64=False, crit=["b64"]), MALFORMED),
    "a key of its own": (header(jwk={"kty": "OKP"}), MALFORMED),
    "typ another": (header(typ="at+jwt"), MALFORMED),
    "a blank in the header": (sign(HEADER.replace(b":", b": "), compact(GOOD)), MALFORMED),
    "header members in another order": (
        sign(compact({"typ": "JWT", "alg": "EdDSA", "kid": KEY.kid}), compact(GOOD)),
        MALFORMED,
    ),
    "alg twice": (sign(b'{"alg":"none",' + HEADER[1:], compact(GOOD)), MALFORMED),
    "header a list": (sign(b"[]", compact(GOOD)), MALFORMED),
    "header empty": (sign(b"", compact(GOOD)), MALFORMED),
    "deep header": (sign(b"[" * 1200, b"{}"), MALFORMED),
    "deep kid": (sign(b'{"kid":' + b"[" * 1200, b"{}"), MALFORMED),
}


@pytest.mark.parametrize(("text", "reason"), HEADERS.values(), ids=HEADERS.keys())
def test_only_our_own_header_is_taken(text: str, reason: str) -> None:
    assert refusal(text) == ("token_invalid", reason)


CLAIMS = {
    **{f"no {name}": without(name) for name in GOOD},
    **{
        f"{name} is {bad!r:.20}": token(**{name: bad})
        for name in ("nbf", "exp")
        for bad in (str(NOW), float(NOW), NOW + 0.5, -1, True, None, [NOW], {}, 2**53, 10**400)
    },
    "exp is NaN": sign(HEADER, compact({**GOOD, "exp": float("nan")})),
    "exp is Infinity": sign(HEADER, compact({**GOOD, "exp": float("inf")})),
    "exp is 1e10": sign(HEADER, compact(GOOD).replace(str(NOW + 60).encode(), b"1e10")),
    "exp at nbf": token(exp=NOW - 60),
    "exp before nbf": token(nbf=NOW + 120),
    "lifetime above the cap": token(nbf=NOW, exp=NOW + LIFETIME_MAX + 1),
    "aud a list": token(aud=[AUDIENCE]),
    "aud an empty list": token(aud=[]),
    "aud null": token(aud=None),
    "aud empty": token(aud=""),
    "sub a number": token(sub=1),
    "sub empty": token(sub=""),
    "jti a number": token(jti=1),
    "jti empty": token(jti=""),
    "jti over-long": token(jti="j" * 257),
    "epoch a string": token(epoch="3"),
    "epoch negative": token(epoch=-1),
    "typ a list": token(typ=["client"]),
    "role of another type": token(role="host"),
    "a client without a room": token(room=""),
    "a provider with a room": token(typ="provider", role="provider"),
    "one claim more": token(admin=True),
    "iat": token(iat=NOW),
    "exp twice": sign(HEADER, b'{"exp":9999999999,' + compact(GOOD)[1:]),
    "blanks": sign(HEADER, json.dumps(GOOD).encode()),
    "another order": sign(HEADER, compact(dict(reversed(GOOD.items())))),
    "a list of claims": sign(HEADER, compact([GOOD])),
    "no JSON": sign(HEADER, b"\x00"),
    "invalid UTF-8": sign(
        HEADER, compact(GOOD).replace(b"konsil.example", b"konsil.\xff\xfeample")
    ),
    "a lone surrogate": sign(HEADER, compact({**GOOD, "jti": "\ud800"})),
    "deep claims": sign(HEADER, b"[" * 1000),
    "deep sub": sign(HEADER, b'{"sub":' + b"[" * 1000),
    "deep claim of another name": sign(HEADER, b'{"x":' + b"[" * 1000),
}


@pytest.mark.parametrize("text", CLAIMS.values(), ids=CLAIMS.keys())
def test_claims_that_are_not_well_formed(text: str) -> None:
    assert refusal(text) == ("token_invalid", "malformed")


def test_somebody_elses_token() -> None:
    assert refusal(token(aud="https://other.example")) == ("token_invalid", "wrong_audience")
    assert refusal(token(iss="other")) == ("token_invalid", "wrong_audience")
    assert refusal(token(typ="admin", role="admin")) == ("token_invalid", "wrong_type")


def test_a_type_that_is_not_wanted_here() -> None:
    assert refusal(token(), allowed=[TokenType.HOST]) == ("token_wrong_role", None)
    assert check(token(), allowed=[TokenType.HOST, TokenType.CLIENT]).typ is TokenType.CLIENT


@pytest.mark.parametrize("position", range(len(token())))
def test_a_changed_character_anywhere(position: int) -> None:
    good = token()
    for other in {"A", "B", "-", ".", "=", " ", "\x00", "é"} - {good[position]}:
        code, reason = refusal(good[:position] + other + good[position + 1 :])
        assert code == "token_invalid"
        assert reason in {MALFORMED, SIGNATURE, ALGORITHM, "unknown_key"}


def test_a_flipped_bit_anywhere() -> None:
    segments = [base64.urlsafe_b64decode(s + "=" * (-len(s) % 4)) for s in token().split(".")]
    for index, segment in enumerate(segments):
        for bit in range(len(segment) * 8):
            flipped = bytearray(segment)
            flipped[bit // 8] ^= 1 << bit % 8
            parts = [bytes(flipped) if i == index else s for i, s in enumerate(segments)]
            code, _ = refusal(".".join(b64(part) for part in parts))
            assert code == "token_invalid"


def test_the_unused_bits_of_base64_are_not_free() -> None:
    good = token()
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = alphabet.index(good[-1])  # 64 bytes of signature leave 4 unused bits
    assert refusal(good[:-1] + alphabet[last | 1]) == ("token_invalid", MALFORMED)


@pytest.mark.parametrize("tail", ["=", "==", ".", "\n", " ", "~", "\x00", ".e30", "A"])
def test_nothing_can_be_added(tail: str) -> None:
    # A whole character more of base64 is one more byte of signature.
    assert refusal(token() + tail)[1] == (SIGNATURE if tail == "A" else MALFORMED)
    assert refusal(tail + token())[1] == MALFORMED


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b.c", "\x00", "🙂.🙂.🙂", "\ud800.a.a"])
def test_what_is_no_token_at_all(text: str) -> None:
    assert refusal(text) == ("token_invalid", MALFORMED)


def test_size_is_bounded_before_anything_is_parsed() -> None:
    assert refusal("A" * (TOKEN_MAX + 1)) == ("token_invalid", MALFORMED)
    assert refusal("." * 10_000_000) == ("token_invalid", MALFORMED)


def test_the_window_opens_and_closes_to_the_second() -> None:
    window = token(nbf=NOW, exp=NOW + 600)
    with pytest.raises(TokenError) as early:
        check(window, NOW - 1)
    assert (early.value.code, early.value.opens_at) == ("token_not_open_yet", NOW)
    assert early.value.extra == {"opens_at": NOW * 1000}
    assert refusal(window, NOW - 0.001) == ("token_not_open_yet", None)
    assert check(window, NOW)
    assert check(window, NOW + 599.999)
    assert refusal(window, NOW + 600) == ("token_closed", None)


def test_grace_moves_the_close_and_nothing_else() -> None:
    window = token(nbf=NOW, exp=NOW + 600)
    assert check(window, NOW + 600, grace=3600)
    assert refusal(window, NOW + 4200, grace=3600) == ("token_closed", None)
    assert refusal(window, NOW - 1, grace=3600) == ("token_not_open_yet", None)


@pytest.mark.parametrize("epoch", [None, 2, 4])
def test_an_epoch_that_is_not_the_present_one_voids(epoch: int | None) -> None:
    assert refusal(token(), epochs=lambda _: epoch) == ("token_revoked", None)
    # Voided is voided, also before it would have opened.
    assert refusal(token(), NOW - 3600, epochs=lambda _: epoch) == ("token_revoked", None)


def test_nothing_is_minted_that_would_be_refused() -> None:
    good = msgspec.convert(GOOD, Claims)
    for flaw in (
        {"exp": NOW - 60},
        {"exp": NOW - 60 + LIFETIME_MAX + 1},
        {"role": TokenType.HOST},
        {"room": ""},
        {"aud": "x" * TOKEN_MAX},
    ):
        with pytest.raises(ValueError, match=r"."):
            mint(msgspec.structs.replace(good, **flaw), KEY)


def test_an_error_never_holds_the_token() -> None:
    for text in (token(jti="canary-canary"), "canary-canary", token() + "canary-canary"):
        with pytest.raises(TokenError) as caught:
            check(text, audience="https://other.example")
        assert "canary" not in f"{caught.value!r} {caught.value} {caught.value.extra}"


segment_text = st.one_of(
    st.text(alphabet=string.ascii_letters + string.digits + "-_=", max_size=200),
    st.binary(max_size=150).map(b64),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=10,
    ).map(lambda value: b64(json.dumps(value).encode())),
)


@given(
    st.one_of(
        st.text(max_size=300),
        st.text(alphabet=st.characters(), max_size=100),
        st.lists(segment_text, min_size=1, max_size=5).map(".".join),
    )
)
@example("\ud800\udfff" * 500)
@example(b64(b"[" * 1500) + "..")
def test_any_text_is_refused_in_the_same_way(text: str) -> None:
    assert refusal(text)[0] == "token_invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(GOOD)), json_values),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), json_values),
    st.sets(st.sampled_from(sorted(GOOD))),
)
def test_whatever_our_key_may_have_signed(
    claims: dict[str, Any], head: dict[str, Any], absent: set[str]
) -> None:
    said = {key: value for key, value in {**GOOD, **claims}.items() if key not in absent}
    text = sign(compact({"alg": "EdDSA", "kid": KEY.kid, "typ": "JWT", **head}), compact(said))
    try:
        accepted = check(text)
    except TokenError:
        return
    assert msgspec.to_builtins(accepted) == said
    assert not head or head.items() <= {"alg": "EdDSA", "kid": KEY.kid, "typ": "JWT"}.items()
