"""One authenticated or anonymous request under way, and how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turn.attributes import Attribute, ErrorCode, MessageClass
from turn.authentication import Identity
from turn.five_tuple import FiveTuple
from turn.message import Message, encode_message, pack_error

Attributes = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with where it came from, who signed it, and when (monotonic and wall seconds)."""

    request: Message
    flow: FiveTuple
    now: float
    wall: float
    identity: Identity | None = None

    @property
    def signer(self) -> Identity:
        """Who signed; handlers run for signed requests only."""
        assert self.identity is not None
        return self.identity

    def success(self, attributes: Attributes = ()) -> bytes:
        """Bytes of the success response."""
        return self._encode(MessageClass.SUCCESS, attributes)

    def error(self, code: ErrorCode, attributes: Attributes = ()) -> bytes:
        """Bytes of the error response. Reason phrases are for people, and only for those who
        have authenticated: to anyone else an answer is as short as it can be."""
        reason = code.name.replace("_", " ").capitalize() if self.identity else ""
        first = (int(Attribute.ERROR_CODE), pack_error(code, reason))
        return self._encode(MessageClass.ERROR, (first, *attributes))

    def _encode(self, message_class: MessageClass, attributes: Attributes) -> bytes:
        """Signed as the request was (RFC 8489 §9.2.4), with a FINGERPRINT when it had one."""
        request = self.request
        if self.identity is None:
            return encode_message(
                request.method,
                message_class,
                request.transaction_id,
                attributes,
                fingerprint=request.fingerprint,
            )
        return encode_message(
            request.method,
            message_class,
            request.transaction_id,
            attributes,
            key=self.identity.key,
            digest=self.identity.digest,
            fingerprint=request.fingerprint,
        )


def unknown_attributes(message: Message, comprehended: frozenset[Attribute]) -> bytes:
    """Value for UNKNOWN-ATTRIBUTES: comprehension-required ones we do not know, each once."""
    unknown = {
        number for number, _ in message.attributes if number < 0x8000 and number not in comprehended
    }
    return b"".join(number.to_bytes(2, "big") for number in sorted(unknown))
