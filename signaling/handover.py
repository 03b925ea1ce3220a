"""Finds the messages of one who has come back, wherever they were kept.

In the memory of this node, in that of the node it was on before, or in Redis. Where they are lost,
everybody who sent some is asked to send them again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signaling.arrival import Arrival, Entered
from signaling.courier import Courier, box_of, letters_of
from signaling.mailbox import Letter, Mailbox, MailboxError, Resumed
from signaling.metrics import Metrics
from signaling.node import NodeLink, NoteKind
from signaling.room import Room
from waiting_room.errors import StoreUnavailable
from waiting_room.participant import INSIDE
from waiting_room.store import SessionStore

UNKNOWN_HIGHEST: Final = 2**53
"""Any signal of one whose former ids are not known may be a repetition."""


@dataclass(frozen=True, slots=True)
class Brought:
    """`resumed`: how its mailbox goes on; None: anew. `letters`: what comes after that."""

    resumed: Resumed | None
    letters: list[Letter]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was found elsewhere."""

    handed: bytes | None
    spilled: bytes | None
    letters: list[Letter]


class Handover:
    """Brings mailboxes to this node."""

    def __init__(
        self,
        *,
        store: SessionStore,
        courier: Courier,
        link: NodeLink,
        metrics: Metrics,
        new_mailbox: Callable[[], Mailbox],
    ) -> None:
        self._store = store
        self._courier = courier
        self._link = link
        self._metrics = metrics
        self._new_mailbox = new_mailbox

    async def bring(self, arrival: Arrival, room: Room, entered: Entered) -> Brought:
        """Give the member of `entered` its mailbox. Never raises for Redis' sake."""
        before = entered.before
        if before is None:
            return Brought(None, [])
        kept = await self._collect(arrival, room, entered, before.node)
        if not entered.same_page:
            return Brought(None, kept.letters)
        resumed, outcome = self._resume(arrival, entered, kept)
        # Signals may have come for it while it was away; then they are in Redis behind the box.
        lost = resumed is None or (entered.was_spilled and kept.spilled is None)
        letters = kept.letters
        if before.status in INSIDE:
            self._metrics.resumes[outcome] += 1
            if lost:
                await self._have_sent_again(room, arrival.participant)
                letters = []
        if resumed is None:
            entered.member.mailbox = self._new_mailbox()
            entered.member.highest = UNKNOWN_HIGHEST
        return Brought(resumed, letters)

    async def _collect(
        self, arrival: Arrival, room: Room, entered: Entered, old_node: str | None
    ) -> _Kept:
        handed = None
        if old_node is not None and old_node != self._store.node:
            handed = await self._link.ask(
                old_node, room.id, NoteKind.HAND_OVER, arrival.participant, arrival.instance
            )
        entries: list[bytes] = []
        try:
            with self._metrics.timed():
                entries = await self._store.take(room.id, arrival.participant)
        except StoreUnavailable:
            entered.member.mail_due = True
        earlier = handed.letters if handed else ()
        return _Kept(
            handed=handed.box if handed else None,
            spilled=box_of(entries),
            letters=letters_of((*earlier, *entries), arrival.instance),
        )

    def _resume(
        self, arrival: Arrival, entered: Entered, kept: _Kept
    ) -> tuple[Resumed | None, str]:
        """Find the mailbox that goes on after the page's `last_seq`."""
        member = entered.member
        resumed = member.mailbox.resume(arrival.last_seq)
        if resumed is not None:
            return resumed, "spilled" if entered.was_spilled else "memory"
        for box, outcome in ((kept.handed, "handover"), (kept.spilled, "spilled")):
            if box is None:
                continue
            with contextlib.suppress(MailboxError):
                mailbox = Mailbox.load(box)
                resumed = mailbox.resume(arrival.last_seq)
                if resumed is not None:
                    member.mailbox = mailbox
                    if member.highest == 0:
                        member.highest = UNKNOWN_HIGHEST
                    return resumed, outcome
        return None, "lost"

    async def _have_sent_again(self, room: Room, participant: str) -> None:
        """Have all senders, on all nodes, send again what `participant` has not confirmed.

        When it returns, what they had sent before can no longer come in between.
        """
        self._courier.ask_again(room, participant)
        session = room.session
        nodes = frozenset[str]() if session is None else session.nodes - {self._store.node}
        await asyncio.gather(
            *(self._have_node_send_again(node, room, participant) for node in nodes)
        )

    async def _have_node_send_again(self, node: str, room: Room, participant: str) -> None:
        answer = await self._link.ask(node, room.id, NoteKind.AGAIN, participant)
        # At once, and not behind a node that is dead: soon there is what has been sent again.
        if answer is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._store.take(room.id, participant)
