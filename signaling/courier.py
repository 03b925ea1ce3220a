"""Signals on their way: numbered and sent at once on this node, through Redis to anywhere else.

Towards one recipient the signals of one sender never overtake one another: where one has to be
refused, so are all behind it until the sender comes with it again (docs/protocol.md section 5).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple

from signaling.codes import GOING_AWAY
from signaling.mailbox import Letter, Mailbox, MailboxError, Taken
from signaling.messages import Bye, Delivered, Error, Signal
from signaling.metrics import Metrics
from signaling.node import NodeLink, Note, NoteKind
from signaling.room import MAX_BACKLOG, Hold, Member, Room
from signaling.socket import Socket
from waiting_room.errors import RoomUnavailable, StoreUnavailable
from waiting_room.store import Posted, SessionStore

MAX_OUTGOING: Final = 1024
"""Signals of a room on their way to Redis; one more is told `slow_down`."""

MAX_QUEUED: Final = 4 * 1024 * 1024
"""Characters of all signals in one queue of this module; one more is told `slow_down`."""

_BATCH: Final = 64
_BATCH_CHARACTERS: Final = 256 * 1024
_LETTER: Final = b"L"
_BOX: Final = b"B"

_NOT_INSIDE = "only those who were admitted may exchange signals"
_UNKNOWN = "nobody of that id is in this call"
_BUSY = "too much is on its way already; send again from here on, in order"
_LATER = "send again from here on, in order"


class _Going(NamedTuple):
    sender: Member
    recipient: str
    instance: str
    """The page load of the recipient that it is meant for."""
    letter: Letter


class Outgoing:
    """Signals of one room that Redis is to carry."""

    __slots__ = ("batch", "queue", "task")

    def __init__(self) -> None:
        self.queue: deque[_Going] = deque()
        self.batch: list[_Going] = []
        """Those of which Redis is being told right now."""
        self.task: asyncio.Task[None] | None = None

    def holds(self, recipient: str) -> bool:
        """Whether something for `recipient` has not yet reached Redis."""
        return any(going.recipient == recipient for going in (*self.batch, *self.queue))


class Courier:
    """The signals of one node."""

    def __init__(
        self,
        *,
        store: SessionStore,
        link: NodeLink,
        metrics: Metrics,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        suspect: Callable[[], None],
        mark_stale: Callable[[Member], None],
        new_mailbox: Callable[[], Mailbox],
    ) -> None:
        """`suspect` is called when Redis seems to have lost a session that goes on here,
        `mark_stale` for a member whose mail is to be fetched when Redis answers again."""
        self._store = store
        self._link = link
        self._spawn = spawn
        self._suspect = suspect
        self._mark_stale = mark_stale
        self._new_mailbox = new_mailbox
        self._metrics = metrics
        self._passed = metrics.signals

    # --- from a page ---

    def signal(self, socket: Socket, member: Member, message: Signal) -> None:
        """Pass one signal on, or say why not. Between two members of this node: no waiting."""
        room = member.room
        to = message.to
        if member.id not in room.inside or to not in room.inside or to == member.id:
            _refuse(socket, message.id, *self._why_not(member, to))
            return
        if member.refused is not None and member.must_refuse(to, message.id):
            socket.carry_out(socket.connection.mailbox_full(message.id))
            return
        target = room.members.get(to)
        if target is None or target.hold is Hold.SPILLED:
            self._send_out(socket, member, message)
            return
        if target.hold is Hold.BEHIND:
            self._hold_back(socket, member, target, message)
            return
        if message.id > member.highest:
            member.highest = message.id
            if member.unconfirmed is None:
                member.unconfirmed = {}
            member.unconfirmed[to] = message.id
        elif message.id and target.mailbox.holds(member.id, member.instance, message.id):
            return  # sent again after a reconnect, and still on its way
        text = target.mailbox.post(member.id, member.instance, message.id, message.data)
        if text is None:
            socket.carry_out(socket.connection.mailbox_full(message.id))
            return
        if socket.connection.full:
            socket.connection.signal_taken()
        if target.socket is not None:
            target.socket.send_text(text)
        self._passed["local"] += 1

    def acknowledge(self, member: Member, seq: int) -> None:
        """The page has taken everything up to `seq`."""
        self.confirm(member, member.mailbox.ack(seq))
        if member.hold is Hold.BEHIND:
            self.advance(member)

    def confirm(self, recipient: Member, taken: Iterable[Taken]) -> None:
        """Tell the senders of what `recipient` has taken."""
        room = recipient.room
        for one in taken:
            if self.delivered(room, recipient.id, one) or room.session is None:
                continue
            sender = room.session.find(one.sender)
            if sender is not None and sender.node not in (None, self._store.node):
                self._link.tell(sender.node, room.id, Note(NoteKind.TAKEN, recipient.id, taken=one))

    def delivered(self, room: Room, recipient: str, taken: Taken) -> bool:
        """Tell a sender on this node that `recipient` has taken its signals; False: not here."""
        sender = room.members.get(taken.sender)
        if sender is None or sender.instance != taken.instance:
            return False
        if sender.unconfirmed and sender.unconfirmed.get(recipient, taken.id + 1) <= taken.id:
            del sender.unconfirmed[recipient]
            sender.unconfirmed = sender.unconfirmed or None
        if sender.socket is not None:
            sender.socket.send(Delivered(to=recipient, id=taken.id))
        return True

    def ask_again(self, room: Room, recipient: str) -> None:
        """Signals for `recipient` were lost: have the pages here that sent some send them again.

        A page does that after a reconnect, so it is asked to reconnect; its call goes on.
        """
        for member in list(room.members.values()):
            if member.unconfirmed and member.unconfirmed.pop(recipient, None) is not None:
                member.unconfirmed = member.unconfirmed or None
                if member.socket is not None:
                    member.socket.say_bye(Bye(reason="going_away"), GOING_AWAY)
        target = room.members.get(recipient)
        if target is not None:
            # What they have sent since comes again behind what was lost; also from those who have
            # moved to another node meanwhile and are asked there.
            target.mail = target.backlog = None

    # --- to Redis ---

    def _send_out(self, socket: Socket, member: Member, message: Signal) -> None:
        room = member.room
        if room.outgoing is None:
            room.outgoing = Outgoing()
        out = room.outgoing
        if _is_full([going.letter for going in out.queue], MAX_OUTGOING):
            member.refuse_from(message.to, message.id)
            socket.carry_out(socket.connection.mailbox_full(message.id))
            return
        letter = Letter(member.id, member.instance, message.id, message.data)
        recipient = None if room.session is None else room.session.find(message.to)
        instance = "" if recipient is None else recipient.instance
        out.queue.append(_Going(member, message.to, instance, letter))
        member.note_sent(message.to, message.id)
        if out.task is None:
            out.task = self._spawn(self._carry(room, out))

    async def _carry(self, room: Room, out: Outgoing) -> None:
        try:
            while out.queue:
                recipient = out.queue[0].recipient
                room_left = _BATCH_CHARACTERS
                while (
                    out.queue
                    and out.queue[0].recipient == recipient
                    and len(out.batch) < _BATCH
                    and room_left > 0
                ):
                    out.batch.append(out.queue.popleft())
                    room_left -= len(out.batch[-1].letter.data)
                entries = [entry_of(going.letter, going.instance) for going in out.batch]
                try:
                    with self._metrics.timed():
                        posted = await self._store.post(room.id, recipient, entries)
                except StoreUnavailable as error:
                    self._give_back(out, "store_unavailable", error.retry_after)
                else:
                    if posted is Posted.STORED:
                        self._passed["remote"] += len(out.batch)
                    elif posted is Posted.FULL:
                        self._give_back(out, "slow_down", 1.0)
                    elif recipient in room.inside:  # so Redis has lost the session, or we hear late
                        self._suspect()
                        self._give_back(out, "store_unavailable", 1.0)
                    else:
                        self._give_back(out, "unknown_participant", None)
                out.batch.clear()
        finally:
            out.batch.clear()
            out.task = None

    def _give_back(self, out: Outgoing, code: str, retry_after: float | None) -> None:
        """Refuse the batch, and what the same senders have sent to the same recipient since."""
        senders = {going.sender for going in out.batch}
        recipient = out.batch[0].recipient
        behind = [g for g in out.queue if g.recipient == recipient and g.sender in senders]
        out.queue = deque(
            g for g in out.queue if g.recipient != recipient or g.sender not in senders
        )
        for going in (*out.batch, *behind):
            if code != "unknown_participant":  # else there is nothing to come again
                going.sender.refuse_from(recipient, going.letter.id)
            if going.sender.socket is not None:
                _refuse(going.sender.socket, going.letter.id, code, _LATER, retry_after)

    async def settled(self, room: Room, recipient: str) -> None:
        """Wait until nothing for `recipient` is between here and Redis."""
        out = room.outgoing
        while out is not None and out.task is not None and out.holds(recipient):
            await asyncio.wait({out.task})

    async def spill(self, member: Member) -> None:
        """Put the mailbox of one who is away into Redis, for whichever node it comes back to.

        Where Redis holds so much for it that there is no room, it is left out: whoever finds none
        has everybody send again. Raises StoreUnavailable; then everything stays in memory.
        """
        member.hold = Hold.SPILLED
        try:
            box = _BOX + member.mailbox.dump()
            posted = await self._store.post(member.room.id, member.id, [box])
        except BaseException:
            self.unspill(member)
            raise
        if posted is Posted.GONE:
            self.unspill(member)
            self._suspect()
            raise RoomUnavailable("Redis takes no mail for one who should be known there")

    def lose(self, member: Member) -> None:
        """Forget what was kept for one who is away.

        Its page finds a mailbox that goes on from nothing it knows, and so all who sent something
        are asked to send it again (docs/protocol.md section 5).
        """
        member.mail = member.backlog = None
        member.mailbox = self._new_mailbox()
        self.advance(member)

    def unspill(self, member: Member) -> None:
        """What is in memory counts after all."""
        if member.hold is Hold.SPILLED:
            member.hold = Hold.HERE

    # --- from Redis ---

    def fetch(self, member: Member) -> None:
        """There is mail for `member`: get it, as soon as there is room for it."""
        if member.hold is not Hold.SPILLED:
            member.mail_due = True
            self.advance(member)

    async def _fetch(self, member: Member) -> None:
        room = member.room
        letters: list[Letter] = []
        try:
            with self._metrics.timed():
                entries = await self._store.take(room.id, member.id)
            letters = letters_of(entries, member.instance)
        except StoreUnavailable:
            self._mark_stale(member)
        finally:
            member.fetching -= 1
        if room.members.get(member.id) is member:
            self.deliver(member, letters)
        else:
            self.post_on(member, member.instance, letters)

    def deliver(self, member: Member, letters: Iterable[Letter]) -> None:
        """Letters have come for `member`; they go before what was held back meanwhile."""
        member.mail = deque([*(member.mail or ()), *letters])
        self.advance(member)

    def post_on(self, member: Member, instance: str, letters: Sequence[Letter]) -> None:
        """Letters for a page load that is not, or no longer, on this node: send them after it."""
        room = member.room
        if room.outgoing is None:
            room.outgoing = Outgoing()
        for letter in letters:
            sender = room.members.get(letter.sender, member)
            room.outgoing.queue.append(_Going(sender, member.id, instance, letter))
        if room.outgoing.task is None and letters:
            room.outgoing.task = self._spawn(self._carry(room, room.outgoing))

    def put_back(self, room: Room, member: Member, old: Member | None) -> None:
        """`member` was to take the place of `old` (perhaps itself), and now does not."""
        held_back, member.backlog = tuple(member.backlog or ()), None
        if old is None:
            del room.members[member.id]
            known = None if room.session is None else room.session.find(member.id)
            if known is not None:
                self.post_on(member, known.instance, held_back)
            return
        room.members[old.id] = old
        if old.hold is Hold.SPILLED:
            self.post_on(old, old.instance, held_back)
        else:
            old.backlog = deque([*(old.backlog or ()), *held_back])
            self.advance(old)

    def advance(self, member: Member) -> None:
        """Move what has come, and then what was held back, into the mailbox as far as it goes; and
        see what is to come next."""
        if member.hold is Hold.SPILLED:
            return
        # Nothing while older ones are on their way: with them another mailbox may come.
        if member.fetching or not (
            self._move(member, member.mail) and self._move(member, member.backlog)
        ):
            member.hold = Hold.BEHIND
        elif member.mail_due:
            member.mail_due = False
            member.fetching += 1
            member.hold = Hold.BEHIND
            self._spawn(self._fetch(member))
        else:
            member.mail = member.backlog = None
            member.hold = Hold.HERE

    def _move(self, member: Member, queue: deque[Letter] | None) -> bool:
        """Whether all of `queue` is in the mailbox now."""
        while queue:
            letter = queue[0]
            if not letter.id or not member.mailbox.holds(letter.sender, letter.instance, letter.id):
                text = member.mailbox.post(letter.sender, letter.instance, letter.id, letter.data)
                if text is None:
                    return False  # full: the next acknowledgement makes room
                if member.socket is not None:
                    member.socket.send_text(text)
            queue.popleft()
        return True

    def _hold_back(self, socket: Socket, member: Member, target: Member, message: Signal) -> None:
        if target.backlog is None:
            target.backlog = deque()
        if _is_full(target.backlog, MAX_BACKLOG):
            member.refuse_from(target.id, message.id)
            socket.carry_out(socket.connection.mailbox_full(message.id))
            return
        target.backlog.append(Letter(member.id, member.instance, message.id, message.data))
        member.note_sent(target.id, message.id)

    def _why_not(self, member: Member, to: str) -> tuple[str, str]:
        session = member.room.session
        if member.id not in member.room.inside:
            return "not_allowed", _NOT_INSIDE
        if session is None or session.find(to) is None:
            return "unknown_participant", _UNKNOWN
        return "not_allowed", _NOT_INSIDE


def _is_full(letters: Collection[Letter], most: int) -> bool:
    return len(letters) >= most or sum(len(one.data) for one in letters) >= MAX_QUEUED


def _refuse(
    socket: Socket, signal_id: int, code: str, detail: str, retry_after: float | None = None
) -> None:
    error = Error(code=code, detail=detail, id=signal_id)
    if retry_after is not None:
        error = Error(code=code, detail=detail, id=signal_id, retry_after=retry_after)
    socket.send(error)


def entry_of(letter: Letter, instance: str) -> bytes:
    """Give the entry of a mailbox in Redis that holds `letter`, for that page load only."""
    return b"%b%b %b" % (_LETTER, instance.encode(), letter.encode())


def letters_of(entries: Iterable[bytes], instance: str) -> list[Letter]:
    """The letters for one page load among the entries of a mailbox in Redis, in order.

    What is broken is left out.
    """
    letters = []
    for entry in entries:
        whom, _, blob = entry[1:].partition(b" ")
        if entry[:1] == _LETTER and whom == instance.encode():
            try:
                letters.append(Letter.decode(blob))
            except MailboxError:
                continue
    return letters


def box_of(entries: Iterable[bytes]) -> bytes | None:
    """The last spilled mailbox among the entries, None when there is none."""
    box = None
    for entry in entries:
        if entry[:1] == _BOX:
            box = entry[1:]
    return box
