"""Answers already given, so that a retransmitted request gets the same one (RFC 8489 §6.3.1)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from turn.five_tuple import FiveTuple

_LIFETIME = 40.0  # RFC 8489 §6.2.1: a client gives up after 39.5 s
_CAPACITY = 8192  # the oldest answer goes; its retransmission is then judged anew


class Transactions:
    """Answers to authenticated requests by five-tuple and transaction id.

    Only the very same bytes get the former answer: a transaction id used again for something
    else is a new request. Nothing is remembered for anyone who has not authenticated.
    """

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[FiveTuple, bytes], tuple[bytes, bytes, float]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._answers)

    def remember(
        self, flow: FiveTuple, transaction_id: bytes, request: bytes, answer: bytes, now: float
    ) -> None:
        self._answers[flow, transaction_id] = (_digest(request), answer, now + _LIFETIME)
        self._answers.move_to_end((flow, transaction_id))
        self.forget_old(now)
        if len(self._answers) > _CAPACITY:
            self._answers.popitem(last=False)

    def answer(
        self, flow: FiveTuple, transaction_id: bytes, request: bytes, now: float
    ) -> bytes | None:
        """The answer this very request got before, if that was within a client's patience."""
        known = self._answers.get((flow, transaction_id))
        if known is None or known[2] <= now or known[0] != _digest(request):
            return None
        return known[1]

    def forget_old(self, now: float) -> None:
        """Entries are in order of age, so the first fresh one ends the sweep."""
        while self._answers:
            key, (_, _, expires) = next(iter(self._answers.items()))
            if expires > now:
                return
            del self._answers[key]


def _digest(request: bytes) -> bytes:
    return hashlib.blake2b(request, digest_size=16).digest()
