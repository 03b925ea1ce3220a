"""Who has which key of whose frames: docs/protocol.md section 9.5. Pure; time in ms.

`web/js/groupkeys.js` is the browsers' implementation. Who leaves must open nothing that is sent
afterwards: a new key, used at once. Who comes must open nothing that was sent before: a new key,
used when all have it, so that nobody misses sound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from loadtest.frames import LAST_EPOCH
from loadtest.participant import base64url, from_base64url

KEY_BYTES: Final = 32
HAND_OUT_MS: Final = 1000.0
"""Longest wait for receipts before a key that was made for a newcomer is used."""
_REMEMBERED: Final = 8  # keys of one other that are told from one another; the oldest goes


@dataclass(frozen=True, slots=True)
class EpochKey:
    epoch: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tell:
    """To be sealed for `to`: a key, or the receipt for one."""

    to: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SealWith:
    """Our own frames, from now on. `key` None: not at all any more."""

    epoch: int
    key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenWith:
    sender: str
    epoch: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Forget:
    """All keys of this sender."""

    sender: str


Output = Tell | SealWith | OpenWith | Forget


@dataclass(slots=True)
class _Coming:
    """A key that is handed out and not used yet."""

    key: EpochKey
    due_ms: float
    holders: set[str] = field(default_factory=set)


class FrameKeys:
    """One page's. Every verb gives what is to be done, in this order."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._out: list[Output] = []
        self._present: EpochKey | None = None
        self._coming: _Coming | None = None
        self._members: dict[str, int] = {}  # the newest epoch each has confirmed
        self._holders: set[str] = set()  # who was given the present key, reachable or not
        self._theirs: dict[str, list[EpochKey]] = {}
        self._next_epoch = 0

    def opened(self, participant: str, now_ms: float) -> list[Output]:
        """Sealed messages reach this one, who is inside."""
        self._members[participant] = -1
        known = participant in self._holders
        if self._present is None or (len(self._members) == 1 and not known):
            self._change()  # nobody else is listening
            return self._taken()
        if known:  # the same person with the page loaded anew
            self._tell(participant, self._present)
        elif self._coming is None and (made := self._make()) is not None:
            self._coming = _Coming(made, now_ms + HAND_OUT_MS)
            for member in self._members:
                self._hand_out(member, self._coming)
            return self._taken()
        if self._coming is not None:
            self._hand_out(participant, self._coming)
        return self._taken()

    def lost(self, participant: str) -> list[Output]:
        """Sealed messages do not reach this one at present, who stays in the room."""
        self._members.pop(participant, None)
        self._switch_if_confirmed()
        return self._taken()

    def gone(self, participant: str) -> list[Output]:
        """Out: left, removed, sent back to wait, or not trusted any more."""
        self._members.pop(participant, None)
        if self._theirs.pop(participant, None) is not None:
            self._out.append(Forget(participant))
        coming = self._coming.holders if self._coming else ()
        if participant in self._holders or participant in coming:
            self._change()
        else:
            self._switch_if_confirmed()
        return self._taken()

    def received(self, sender: str, content: object) -> list[Output]:
        """The member `key` of a sealed message. Raises ValueError for anything else."""
        epoch, key = _parsed(content)
        if sender not in self._members:
            return []
        if key is None:
            self._members[sender] = max(epoch, self._members[sender])
            self._switch_if_confirmed()
            return self._taken()
        keys = self._theirs.get(sender, [])
        if EpochKey(epoch, key) not in keys:
            if keys and epoch <= keys[-1].epoch:  # epochs rise within one load of a page
                self._out.append(Forget(sender))
                keys = []
            self._theirs[sender] = [*keys, EpochKey(epoch, key)][-_REMEMBERED:]
            self._out.append(OpenWith(sender, epoch, key))
        self._out.append(Tell(sender, {"key": {"epoch": epoch}}))
        return self._taken()

    def next_timeout(self) -> float | None:
        return self._coming.due_ms if self._coming else None

    def handle_timer(self, now_ms: float) -> list[Output]:
        if self._coming is not None and now_ms >= self._coming.due_ms:
            self._switch()
        return self._taken()

    def _change(self) -> None:
        """A new key for all who are left, used at once."""
        made = self._make()
        self._coming = None
        if made is None:
            self._out.append(SealWith(LAST_EPOCH, None))
            return
        for member in self._members:
            self._tell(member, made)
        self._use(made, set(self._members))

    def _make(self) -> EpochKey | None:
        if self._next_epoch > LAST_EPOCH:
            return None
        self._next_epoch += 1
        return EpochKey(self._next_epoch - 1, self._random(KEY_BYTES))

    def _switch_if_confirmed(self) -> None:
        coming = self._coming
        if coming and all(epoch >= coming.key.epoch for epoch in self._members.values()):
            self._switch()

    def _switch(self) -> None:
        coming, self._coming = self._coming, None
        assert coming is not None
        self._use(coming.key, coming.holders)

    def _use(self, key: EpochKey, holders: set[str]) -> None:
        self._present, self._holders = key, holders
        self._out.append(SealWith(key.epoch, key.key))

    def _hand_out(self, to: str, coming: _Coming) -> None:
        coming.holders.add(to)
        self._tell(to, coming.key)

    def _tell(self, to: str, key: EpochKey) -> None:
        self._out.append(Tell(to, {"key": {"epoch": key.epoch, "key": base64url(key.key)}}))

    def _taken(self) -> list[Output]:
        out, self._out = self._out, []
        return out


def _parsed(content: object) -> tuple[int, bytes | None]:
    if not isinstance(content, dict) or not {"epoch"} <= content.keys() <= {"epoch", "key"}:
        raise ValueError("not a key")
    epoch, key = content["epoch"], content.get("key")
    if type(epoch) is not int or not 0 <= epoch <= LAST_EPOCH:
        raise ValueError("not an epoch")
    if "key" not in content:
        return epoch, None
    if not isinstance(key, str) or len(raw := from_base64url(key)) != KEY_BYTES:
        raise ValueError("not a key")
    return epoch, raw
