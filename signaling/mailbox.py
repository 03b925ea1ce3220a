"""Outgoing signals of one participant: numbering, what is not yet acknowledged, resume.

docs/protocol.md section 5. Pure; one Mailbox per participant lives where the participant is
connected, and is spilled as bytes when the participant is gone.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MAX_SIGNALS: Final = 256  # unacknowledged; the next is refused (the sender is told slow_down)
MAX_BYTES: Final = 1_048_576  # the same, counted in bytes of JSON


class MailboxError(Exception):
    """Bytes that are no dumped mailbox or letter."""


class Taken(Struct, frozen=True, gc=False):
    """`sender`, in its `instance`, may forget its signals up to and including `id`."""

    sender: str
    instance: str
    id: int


class Resumed(Struct, frozen=True):
    """`missed`: JSON texts to send again, in order; `taken`: what `last_seq` acknowledged."""

    missed: tuple[bytes, ...]
    taken: tuple[Taken, ...]


class Letter(Struct, frozen=True, array_like=True, gc=False):
    """A signal between two nodes, not yet numbered (the node that holds the mailbox numbers it)."""

    sender: str
    instance: str
    id: int
    data: str

    def encode(self) -> bytes:
        raise NotImplementedError

    @classmethod
    def decode(cls, blob: bytes) -> Letter:
        """Raises MailboxError."""
        raise NotImplementedError


class Mailbox:
    """Numbering starts after `base`.

    `base` should differ for every new mailbox (a random number below 2^52), so that the `last_seq`
    of a page which saw another mailbox of the same participant is never taken for one of this.
    """

    __slots__ = ("_seq", "_entries", "_bytes")

    def __init__(self, base: int) -> None:
        raise NotImplementedError

    @property
    def seq(self) -> int:
        """The last number given (`base` when none): `seq` of `welcome`."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Signals not yet acknowledged."""
        raise NotImplementedError

    def post(self, sender: str, instance: str, id: int, data: str) -> bytes | None:
        """Numbers and keeps a signal; gives its JSON text to send, or None when full (slow_down)."""
        raise NotImplementedError

    def holds(self, sender: str, instance: str, id: int) -> bool:
        """Whether this signal is still kept: a resent one need not be posted twice.

        Ask only when `id` is not beyond the highest this connection has sent; the scan is linear.
        """
        raise NotImplementedError

    def ack(self, seq: int) -> tuple[Taken, ...]:
        """Forgets up to `seq`; per sender and instance the highest id. A stale `seq` gives ().

        A `seq` beyond the last number given acknowledges nothing (the page is confused or lies).
        """
        raise NotImplementedError

    def resume(self, last_seq: int) -> Resumed | None:
        """Acknowledges up to `last_seq` and gives the rest; None when that cannot be done without
        loss (numbers of another mailbox): then `resumed` is false, and this mailbox stays as is."""
        raise NotImplementedError

    def dump(self) -> bytes:
        """The whole mailbox, for another node."""
        raise NotImplementedError

    @classmethod
    def load(cls, blob: bytes) -> Mailbox:
        """The inverse of dump. Raises MailboxError."""
        raise NotImplementedError
