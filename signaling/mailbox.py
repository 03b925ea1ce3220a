"""Outgoing signals of one participant: numbering, what is not yet acknowledged, resume.

docs/protocol.md section 5. Pure; one Mailbox per participant lives where the participant is
connected, and is spilled as bytes when the participant is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from signaling.forms import Id
from signaling.messages import encode_signal

MAX_SIGNALS: Final = 256  # unacknowledged; the next is refused (the sender is told slow_down)
MAX_BYTES: Final = 1_048_576  # the same, counted in bytes of JSON
_BASE_BYTES: Final = 6
MAX_BEHIND: Final = 256  # senders who were refused and have not come again; the oldest is dropped


class MailboxError(Exception):
    """Bytes that are no dumped mailbox or letter."""


class Taken(Struct, frozen=True, array_like=True, gc=False):
    """`sender`, in its `instance`, may forget its signals up to and including `id`."""

    sender: str
    instance: str
    id: Id


class Resumed(Struct, frozen=True):
    """`missed`: JSON texts to send again, in order; `taken`: what `last_seq` acknowledged."""

    missed: tuple[bytes, ...]
    taken: tuple[Taken, ...]


class Letter(Struct, frozen=True, array_like=True, gc=False):
    """A signal between two nodes, not yet numbered (the node that holds the mailbox numbers it)."""

    sender: str
    instance: str
    id: Id
    data: str

    def encode(self) -> bytes:
        return _encode(self)

    @classmethod
    def decode(cls, blob: bytes) -> Letter:
        """Raises MailboxError."""
        try:
            return _decode_letter(blob)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise MailboxError("not a letter") from error


class _Kept(Struct, frozen=True, array_like=True, gc=False):
    """One unacknowledged signal; `text` is what is sent, number and all."""

    seq: Id
    sender: str
    instance: str
    id: Id
    text: bytes


class _Dump(Struct, frozen=True, array_like=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    seq: Id
    kept: Annotated[list[_Kept], Meta(max_length=MAX_SIGNALS)]
    behind: Annotated[list[Taken], Meta(max_length=MAX_BEHIND)]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_letter: Final = msgspec.msgpack.Decoder(Letter).decode
_decode_dump: Final = msgspec.msgpack.Decoder(_Dump).decode


class Mailbox:
    """Numbering starts after `base`.

    `base` should differ for every new mailbox (a random number below 2^52), so that the `last_seq`
    of a page which saw another mailbox of the same participant is never taken for one of this.
    """

    __slots__ = ("_behind", "_bytes", "_kept", "seq")

    @classmethod
    def fresh(cls, random: Callable[[int], bytes]) -> Mailbox:
        """An empty one whose numbers no page has seen."""
        return cls(int.from_bytes(random(_BASE_BYTES)))

    def __init__(self, base: int) -> None:
        self.seq = base  # the last number given (`base` when none): `seq` of `welcome`
        # Numbers in it are consecutive and end at `seq`. None while empty: most are, mostly.
        self._kept: list[_Kept] | None = None
        self._bytes = 0
        # (sender, instance) -> the first id refused; None while nobody was, which is nearly always.
        self._behind: dict[tuple[str, str], int] | None = None

    def __len__(self) -> int:
        """Signals not yet acknowledged."""
        return 0 if self._kept is None else len(self._kept)

    def post(self, sender: str, instance: str, id: int, data: str) -> bytes | None:
        """Numbers and keeps a signal; gives its JSON text to send, or None to refuse (slow_down).

        Refused is what comes when the mailbox is full, and then whatever the same sender sent
        after it, until the refused one comes again: a later one let through would arrive out of
        order and, with `delivered`, make the sender forget the refused one.
        """
        if self._behind is not None and self._is_behind((sender, instance), id):
            return None
        kept = self._kept
        if kept is None:
            kept = self._kept = []
        elif len(kept) >= MAX_SIGNALS or self._bytes + len(data) > MAX_BYTES:
            self._refused((sender, instance), id)
            return None
        seq = self.seq = self.seq + 1
        text = encode_signal(seq, sender, data)
        kept.append(_Kept(seq, sender, instance, id, text))
        self._bytes += len(text)
        return text

    def _is_behind(self, whose: tuple[str, str], id: int) -> bool:
        behind = self._behind
        assert behind is not None
        first = behind.get(whose)
        if first is None or id == 0:  # a notice, which neither waits nor stands for another
            return False
        if id > first:
            return True
        del behind[whose]
        if not behind:
            self._behind = None
        return False

    def _refused(self, whose: tuple[str, str], id: int) -> None:
        if id == 0:  # a notice does not come again
            return
        if self._behind is None:
            self._behind = {}
        elif len(self._behind) >= MAX_BEHIND:
            del self._behind[next(iter(self._behind))]
        self._behind[whose] = id

    def holds(self, sender: str, instance: str, id: int) -> bool:
        """Whether this signal is still kept: a resent one need not be posted twice.

        Ask only when `id` is not beyond the highest this connection has sent; the scan is linear.
        """
        return self._kept is not None and any(
            kept.id == id and kept.sender == sender and kept.instance == instance
            for kept in self._kept
        )

    def ack(self, seq: int) -> tuple[Taken, ...]:
        """Forgets up to `seq`; per sender and instance the highest id. A stale `seq` gives ().

        A `seq` beyond the last number given acknowledges nothing (the page is confused or lies).
        """
        kept = self._kept
        if kept is None or seq > self.seq:
            return ()
        count = seq - kept[0].seq + 1
        if count <= 0:
            return ()
        taken = kept[:count]
        if count == len(kept):
            self._kept = None
            self._bytes = 0
        else:
            del kept[:count]
            self._bytes -= sum(len(one.text) for one in taken)
        # Ids rise per sender and instance, so the last one seen is the highest; but a signal sent
        # again after a reconnect may come behind younger ones, hence max.
        highest: dict[tuple[str, str], int] = {}
        for one in taken:
            whose = (one.sender, one.instance)
            highest[whose] = max(one.id, highest.get(whose, 0))
        return tuple(Taken(sender, instance, id) for (sender, instance), id in highest.items())

    def resume(self, last_seq: int) -> Resumed | None:
        """Acknowledges up to `last_seq` and gives the rest; None when that cannot be done without
        loss (numbers of another mailbox): then `resumed` is false, and this mailbox stays as is."""
        first_missed = self.seq + 1 if self._kept is None else self._kept[0].seq
        if not first_missed - 1 <= last_seq <= self.seq:
            return None
        taken = self.ack(last_seq)
        return Resumed(tuple(one.text for one in self._kept or ()), taken)

    def dump(self) -> bytes:
        """The whole mailbox, for another node."""
        behind = [Taken(*whose, id) for whose, id in (self._behind or {}).items()]
        return _encode(_Dump(1, self.seq, self._kept or [], behind))

    @classmethod
    def load(cls, blob: bytes) -> Mailbox:
        """The inverse of dump. Raises MailboxError."""
        try:
            dump = _decode_dump(blob)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise MailboxError("not a mailbox") from error
        first = dump.seq - len(dump.kept) + 1
        if any(one.seq != seq for seq, one in enumerate(dump.kept, first)):
            raise MailboxError("numbers with gaps")
        mailbox = cls(dump.seq)
        if dump.kept:
            mailbox._kept = dump.kept
            mailbox._bytes = sum(len(one.text) for one in dump.kept)
        if dump.behind:
            mailbox._behind = {(one.sender, one.instance): one.id for one in dump.behind}
        return mailbox
