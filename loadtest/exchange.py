"""One exchange with one other participant: docs/protocol.md section 7.

Pure. A table of (state, kind) says what may come when; anything else is a refusal, which is final.

Bots keep their connection for the whole of a call, so a counter that comes twice is a replay here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from loadtest import sealing
from loadtest.participant import base64url, from_base64url
from loadtest.sealing import Context, Keys, OwnShare, Reason, RefusalError

NOTICES: Final = frozenset({"restart", "again", "refused"})
_SIGNAL: Final = re.compile(
    r"(commit|key|reveal|sealed|restart|again|refused)\.([\w-]{16})\.(0|[1-9]\d{0,14})\.([\w-]*)",
    re.ASCII,
)


class State(StrEnum):
    """COMMITTED: A has sent its commitment. IDLE: B has nothing. KEYED: B has sent its share."""

    COMMITTED = "committed"
    IDLE = "idle"
    KEYED = "keyed"
    OPEN = "open"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Signal:
    kind: str
    exchange: str
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Send:
    data: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Keys are agreed upon: contents can be sealed."""


@dataclass(frozen=True, slots=True)
class Content:
    """Exactly one member, see section 7.3."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Reason


Output = Send | Ready | Content | Refused


def encode_signal(kind: str, exchange: str, seq: int, payload: bytes) -> str:
    return f"{kind}.{exchange}.{seq}.{base64url(payload)}"


def decode_signal(data: str) -> Signal:
    """Raises RefusalError `malformed`."""
    match = _SIGNAL.fullmatch(data)
    if match is None:
        raise RefusalError(Reason.MALFORMED)
    try:
        return Signal(match[1], match[2], int(match[3]), from_base64url(match[4]))
    except ValueError:
        raise RefusalError(Reason.MALFORMED) from None


def check_fingerprints(sdp: str, fingerprint: bytes) -> None:
    """Every fingerprint a description names is the share's. Raises RefusalError."""
    right = f"a=fingerprint:sha-256 {fingerprint.hex(':')}".lower()
    named = [line.lower() for line in sdp.splitlines() if "fingerprint" in line.lower()]
    if not named or any(line != right for line in named):
        raise RefusalError(Reason.FINGERPRINT_MISMATCH)


class Exchange:
    """`begin` at A; then `receive` whatever signal names this exchange, and `seal` once Ready."""

    def __init__(
        self, context: Context, own: OwnShare, *, initiator: bool, link_secret: bytes | None
    ) -> None:
        self.context = context
        self.state = State.COMMITTED if initiator else State.IDLE
        self.code = ""
        self._own, self._initiator, self._link_secret = own, initiator, link_secret
        self._sent = self._taken = 0
        self._commitment = b""
        self._fingerprint = b""
        self._keys: Keys | None = None

    def begin(self) -> list[Output]:
        return [self._send("commit", self._own.commitment)]

    def receive(self, signal: Signal) -> list[Output]:
        if self.state is State.REFUSED:
            return []
        try:
            return self._step(signal)(self, signal)
        except RefusalError as refusal:
            self.state, self._keys = State.REFUSED, None
            told = refusal.reason.value.encode()
            data = encode_signal("refused", self.context.exchange, 0, told)
            return [Refused(refusal.reason), Send(data)]

    def _step(self, signal: Signal) -> Step:
        if signal.seq != self._taken:
            late = signal.seq < self._taken
            raise RefusalError(Reason.REPLAYED if late else Reason.OUT_OF_ORDER)
        self._taken += 1
        step = _TRANSITIONS.get((self.state, signal.kind))
        if step is None:
            raise RefusalError(Reason.MALFORMED)
        return step

    def seal(self, content: dict[str, Any]) -> Send:
        """Raises RuntimeError when there are no keys (any more)."""
        if self._keys is None:
            raise RuntimeError("nothing is agreed upon")
        key = self._keys.from_a if self._initiator else self._keys.from_b
        plaintext = json.dumps(content, separators=(",", ":")).encode()
        sealed = sealing.seal(
            key, self.context, by_a=self._initiator, seq=self._sent, plaintext=plaintext
        )
        return self._send("sealed", sealed)

    def _on_commit(self, signal: Signal) -> list[Output]:
        if len(signal.payload) != 32:
            raise RefusalError(Reason.MALFORMED)
        self._commitment, self.state = signal.payload, State.KEYED
        return [self._send("key", self._own.share)]

    def _on_key(self, signal: Signal) -> list[Output]:
        self._agree((self._own.share, signal.payload), signal.payload)
        return [self._send("reveal", self._own.share), Ready()]

    def _on_reveal(self, signal: Signal) -> list[Output]:
        sealing.check_commitment(self._commitment, signal.payload)
        self._agree((signal.payload, self._own.share), signal.payload)
        return [Ready()]

    def _on_sealed(self, signal: Signal) -> list[Output]:
        assert self._keys is not None
        key = self._keys.from_b if self._initiator else self._keys.from_a
        plaintext = sealing.unseal(
            key,
            self.context,
            by_a=not self._initiator,
            seq=signal.seq,
            ciphertext=signal.payload,
        )
        content = _decoded(plaintext)
        if "description" in content:
            check_fingerprints(str(content["description"]["sdp"]), self._fingerprint)
        return [Content(content)]

    def _agree(self, shares: tuple[bytes, bytes], data: bytes) -> None:
        theirs = sealing.decode_share(data)
        if self._link_secret is not None and not self._initiator and not theirs.has_secret:
            raise RefusalError(Reason.SECRET_MISSING)
        both = self._own.has_secret and theirs.has_secret
        salt = self._link_secret if both else None
        self._keys = sealing.derive(self._own, theirs, self.context, shares, salt)
        self._fingerprint, self.code, self.state = theirs.fingerprint, self._keys.code, State.OPEN

    def _send(self, kind: str, payload: bytes) -> Send:
        data = encode_signal(kind, self.context.exchange, self._sent, payload)
        self._sent += 1
        return Send(data)


def _decoded(plaintext: bytes) -> dict[str, Any]:
    try:
        content = json.loads(plaintext)
    except ValueError:
        raise RefusalError(Reason.MALFORMED) from None
    if not isinstance(content, dict) or len(content) != 1:
        raise RefusalError(Reason.MALFORMED)
    description = content.get("description", {"type": "", "sdp": ""})
    if not isinstance(description, dict) or set(description) != {"type", "sdp"}:
        raise RefusalError(Reason.MALFORMED)
    return content


Step = Callable[[Exchange, Signal], list[Output]]
_TRANSITIONS: Final[dict[tuple[State, str], Step]] = {
    (State.COMMITTED, "key"): Exchange._on_key,
    (State.IDLE, "commit"): Exchange._on_commit,
    (State.KEYED, "reveal"): Exchange._on_reveal,
    (State.OPEN, "sealed"): Exchange._on_sealed,
}
