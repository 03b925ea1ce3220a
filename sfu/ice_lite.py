"""The ICE-lite side of one page: its checks are judged and answered (RFC 8445 §2.5, §7.3).

A lite agent looks for no paths. Whoever knows the password may come by any address, the page says
which one it uses (USE-CANDIDATE), and a page that is silent for long is gone. All that we ask is
whether the page takes what is sent to that address (RFC 7675 §5.1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from aioice import stun

from sfu.path import Path, Remote
from sfu.sdp.offer import IceCredentials

_HEADER: Final = 20
_USERNAME: Final = 0x0006
_COOKIE: Final = stun.COOKIE.to_bytes(4)
_MAX_MESSAGE: Final = 548  # bytes; checks have about 100 (RFC 8489 §6.1 for an unknown path MTU)
_MAX_USERNAME: Final = 513
_ANSWER: Final = stun.Method.BINDING | stun.Class.RESPONSE
# Of a peer-reflexive candidate (RFC 8445 §5.1.2.1); nothing depends on it.
_PRIORITY: Final = 110 << 24 | 65_535 << 8 | 255
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Verdict(Enum):
    """What became of a check. All but VALID are counted by their value, and not answered."""

    VALID = "valid"
    MALFORMED = "stun_malformed"
    NOT_A_CHECK = "stun_not_a_check"
    WRONG_UFRAG = "stun_wrong_ufrag"
    WRONG_PASSWORD = "stun_wrong_password"  # noqa: S105 - a word for the counters
    UNASKED = "stun_unasked"


class Judgement(NamedTuple):
    """What became of a message, the answer to send if there is one, and whether the page chose
    the path with it."""

    verdict: Verdict
    answer: bytes = b""
    nominates: bool = False


def make_credentials(random: Callable[[int], bytes]) -> IceCredentials:
    """48 bits to be told apart by, 144 bits to be proven by (RFC 8839 §5.4)."""
    text = "".join(_ALPHABET[byte & 63] for byte in random(8 + 24))
    return IceCredentials(text[:8], text[8:])


def is_stun(data: bytes | memoryview) -> bool:
    """Whether the length and the magic cookie are those of a STUN message (RFC 8489 §5)."""
    return (
        _HEADER <= len(data) <= _MAX_MESSAGE
        and len(data) % 4 == 0
        and data[4:8] == _COOKIE
        and int.from_bytes(data[2:4]) == len(data) - _HEADER
    )


def is_answer(data: bytes | memoryview) -> bool:
    """Whether a STUN message says that a binding request succeeded."""
    return int.from_bytes(data[:2]) == _ANSWER


def addressed_ufrag(data: bytes | memoryview) -> str | None:
    """Our user name fragment in a STUN message, found without reading the rest of it.

    It decides in about a microsecond whether a datagram of a stranger is worth a look.
    """
    at, end = _HEADER, len(data)
    while at + 4 <= end:
        kind, size = struct.unpack_from("!HH", data, at)
        if kind == _USERNAME:
            if size > _MAX_USERNAME or at + 4 + size > end:
                return None
            local, colon, _ = bytes(data[at + 4 : at + 4 + size]).partition(b":")
            return local.decode("ascii", "replace") if colon else None
        at += 4 + (size + 3 & ~3)
    return None


class IceAgent:
    """Judges checks with the credentials of now and, during a restart, of before.

    `heard` is when the last valid check came. `credentials` are ours that the next answer tells.
    """

    __slots__ = ("_pairs", "_random", "_tie_breaker", "credentials", "heard")

    def __init__(self, remote: IceCredentials, random: Callable[[int], bytes], now: float) -> None:
        self._random = random
        self.credentials = make_credentials(random)
        # Newest first: our credentials and the page's.
        self._pairs = [(self.credentials, remote)]
        self._tie_breaker = int.from_bytes(random(8))
        self.heard = now

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our fragments that checks may be addressed to."""
        return tuple(local.ufrag for local, _ in self._pairs)

    @property
    def remote(self) -> IceCredentials:
        return self._pairs[0][1]

    def restart(self, remote: IceCredentials) -> None:
        """New credentials on both sides (RFC 8445 §9); the former ones are good until the page
        begins to use the new ones, so that media goes on meanwhile."""
        self.credentials = make_credentials(self._random)
        self._pairs = [(self.credentials, remote), *self._pairs[:1]]

    def judge(self, data: bytes, path: Path, now: float) -> Judgement:
        """Judge one message; a valid check is noted on the path."""
        try:
            message = stun.parse_message(data)
        except (ValueError, struct.error, IndexError, KeyError):
            return Judgement(Verdict.MALFORMED)
        if (message.message_method, message.message_class) != (
            stun.Method.BINDING,
            stun.Class.REQUEST,
        ):
            return Judgement(Verdict.NOT_A_CHECK)
        pair = self._addressed(message.attributes.get("USERNAME", ""))
        if pair is None:
            return Judgement(Verdict.WRONG_UFRAG)
        local, _ = pair
        key = local.password.encode()
        if not message.check_message_integrity(key):
            return Judgement(Verdict.WRONG_PASSWORD)
        if "ICE-CONTROLLED" in message.attributes:
            # Both would wait for the other (RFC 8445 §7.3.1.1).
            return Judgement(Verdict.NOT_A_CHECK, _conflict(message, key))
        # The former credentials keep a path alive during a restart, but choose none.
        nominates = "USE-CANDIDATE" in message.attributes and pair is self._pairs[0]
        if nominates:
            del self._pairs[1:]
        path.heard = self.heard = now
        path.spoken = pair
        return Judgement(Verdict.VALID, _success(message, path.remote, key), nominates)

    def question(self, path: Path, transaction: bytes) -> bytes | None:
        """A check of ours by a path (RFC 7675 §5.1); None where the page has not come by it yet.
        `transaction`: 12 bytes that nobody can guess."""
        if path.spoken is None:
            return None
        local, remote = path.spoken
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            transaction_id=transaction,
            attributes={
                "USERNAME": f"{remote.ufrag}:{local.ufrag}",
                "PRIORITY": _PRIORITY,
                "ICE-CONTROLLED": self._tie_breaker,
            },
        )
        request.add_message_integrity(remote.password.encode())
        return bytes(request)

    def judge_answer(self, data: bytes, path: Path) -> Verdict:
        """Judge what came by a path as an answer to a question of ours."""
        if data[8:_HEADER] not in path.asked or path.spoken is None:
            return Verdict.UNASKED
        try:
            message = stun.parse_message(data)
        except (ValueError, struct.error, IndexError, KeyError):
            return Verdict.MALFORMED
        _, remote = path.spoken
        if not message.check_message_integrity(remote.password.encode()):
            return Verdict.WRONG_PASSWORD
        return Verdict.VALID

    def _addressed(self, username: str) -> tuple[IceCredentials, IceCredentials] | None:
        for pair in self._pairs:
            if username == f"{pair[0].ufrag}:{pair[1].ufrag}":
                return pair
        return None


def _success(request: stun.Message, remote: Remote, key: bytes) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.transaction_id,
        attributes={"XOR-MAPPED-ADDRESS": (remote[0].partition("%")[0], remote[1])},
    )
    response.add_message_integrity(key)
    return bytes(response)


def _conflict(request: stun.Message, key: bytes) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.ERROR,
        transaction_id=request.transaction_id,
        attributes={"ERROR-CODE": (487, "Role Conflict")},
    )
    response.add_message_integrity(key)
    return bytes(response)
