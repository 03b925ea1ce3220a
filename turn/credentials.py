"""Time-limited credentials after the TURN REST convention (draft-uberti-behave-turn-rest-00).

The user name is `expiry:opaque`, expiry in seconds of Unix time, and the password is
base64(HMAC-SHA1(secret, user name)). Nothing is stored: whoever knows the secret can issue and
verify, so coturn (`use-auth-secret`) can stand in for this server.

A check credential (see `turn.checks`) is called `expiry:check:opaque`, and its password is made
with a secret derived from the shared one: a server that does not know of checks refuses it,
instead of giving it what belongs to calls.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import IntEnum

from turn.checks import CHECK_PREFIX, CHECK_SECONDS_MOST

_OPAQUE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_USERNAME = re.compile(rb"([0-9]{1,12}):([\x21-\x7e]{1,200})")


class PasswordAlgorithm(IntEnum):
    """How a password becomes a long-term key (RFC 8489 §18.5)."""

    MD5 = 1
    SHA256 = 2


def issue(secret: str, opaque_id: str, expires_at: int) -> tuple[str, str]:
    """User name and password that work until `expires_at` (Unix seconds).

    `opaque_id` must be 1 to 64 of `A-Za-z0-9_-` and name no person: quotas count by it.
    """
    if not _OPAQUE.fullmatch(opaque_id):
        raise ValueError("an opaque id is 1 to 64 letters, digits, '_' or '-'")
    username = f"{int(expires_at)}:{opaque_id}"
    return username, password_for(secret, username.encode())


def issue_check(secret: str, opaque_id: str, expires_at: int) -> tuple[str, str]:
    """The same for a check alone; good for CHECK_SECONDS_MOST at most, whatever it says."""
    if not _OPAQUE.fullmatch(opaque_id):
        raise ValueError("an opaque id is 1 to 64 letters, digits, '_' or '-'")
    username = f"{int(expires_at)}:{CHECK_PREFIX}{opaque_id}"
    return username, password_for(_check_secret(secret), username.encode())


def _check_secret(secret: str) -> str:
    return hmac.digest(secret.encode(), b"konsil check", "sha256").hex()


def password_for(secret: str, username: bytes) -> str:
    """The password of a user name under one secret."""
    return base64.b64encode(hmac.digest(secret.encode(), username, "sha1")).decode()


def long_term_key(
    username: bytes, realm: bytes, password: bytes, algorithm: PasswordAlgorithm
) -> bytes:
    """Key for MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 §9.2.2 and §18.5.1)."""
    joined = b":".join((username, realm, password))
    if algorithm is PasswordAlgorithm.MD5:
        return hashlib.md5(joined, usedforsecurity=False).digest()
    return hashlib.sha256(joined).digest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A user name taken apart: until when it claims to work, and whose quota it counts to."""

    expires_at: int
    opaque: str

    @property
    def check(self) -> bool:
        """Whether it is good for a check and nothing else."""
        return self.opaque.startswith(CHECK_PREFIX)


class Credentials:
    """Verifies user names against a small ring of secrets, newest first."""

    __slots__ = ("_max_lifetime", "_realm", "_secrets")

    def __init__(self, secrets: tuple[str, ...], realm: str, max_lifetime: int) -> None:
        self._secrets = secrets
        self._realm = realm.encode()
        self._max_lifetime = max_lifetime

    def rotate(self, secrets: tuple[str, ...]) -> None:
        """Replace the ring; keep the former secret in it until its last credential has expired."""
        if not secrets or not all(secrets):
            raise ValueError("at least one secret must stay")
        self._secrets = secrets

    def claim(self, username: bytes, wall: float) -> Claim | None:
        """What a user name claims, or None when no credential of ours can have that name now.

        Expired names and names that outlive every credential we issue are refused alike.
        """
        match = _USERNAME.fullmatch(username)
        if match is None:
            return None
        expires_at = int(match[1])
        claim = Claim(expires_at, match[2].decode("ascii"))
        longest = CHECK_SECONDS_MOST if claim.check else self._max_lifetime
        return claim if wall < expires_at <= wall + longest else None

    def keys(self, username: bytes, algorithm: PasswordAlgorithm) -> list[bytes]:
        """The long-term key under each secret; the caller finds the one that signed."""
        check = username.partition(b":")[2].startswith(CHECK_PREFIX.encode())
        secrets = map(_check_secret, self._secrets) if check else self._secrets
        return [
            long_term_key(username, self._realm, password_for(secret, username).encode(), algorithm)
            for secret in secrets
        ]
