"""What one node holds of a room: the last known session, and the participants it serves. Pure.

A Room lives as long as it has members; a Member as long as it has a socket, and then for
`REMEMBER_S`, so that a page that comes back to this node finds its messages in memory.
"""

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

from signaling.codes import NORMAL, close_code
from signaling.forwarders import Way
from signaling.limits import Allowance
from signaling.mailbox import Letter, Mailbox
from signaling.messages import Bye, room_message
from waiting_room.participant import (
    INSIDE,
    Role,
    Status,
)
from waiting_room.session import Session
from waiting_room.views import RoomView, view_for

if TYPE_CHECKING:
    from signaling.courier import Outgoing
    from signaling.socket import Socket

REMEMBER_S: Final = 60.0
"""How long messages are kept for one whose socket is gone (docs/protocol.md section 5)."""

MAX_COMMANDS: Final = 16
"""Commands of one connection that wait for Redis; one more is told `slow_down`."""

MAX_BACKLOG: Final = 256
"""Signals of this node held back while older ones are on their way from Redis; one more is told
`slow_down`. What comes from Redis lies beside them: a mailbox of it at most, for no more is fetched
until there is nothing left."""


VIEW_EVERY_S: Final = 0.1
VIEW_BURST: Final = 10
"""So many views in a row are sent to a member at once; then one every 0.1 s with all that has
changed. Only what people outside do waits: who is inside, and the way of the media, never does."""


class Hold(Enum):
    """Where signals for a member go."""

    HERE = "here"  # into its mailbox, and to its socket if there is one
    BEHIND = "behind"  # into its backlog: older ones are on their way from Redis
    SPILLED = "spilled"  # into Redis: it is away, and any node may be the one it comes back to


class Member:
    """A participant that is connected to this node, or was until a minute ago."""

    __slots__ = (
        "allowances",
        "backlog",
        "commands",
        "fetching",
        "highest",
        "hold",
        "id",
        "instance",
        "lost_at",
        "mail",
        "mail_due",
        "mailbox",
        "refused",
        "role",
        "room",
        "socket",
        "unconfirmed",
        "view_hash",
        "view_inside",
        "views",
    )

    def __init__(
        self, room: "Room", participant: str, role: Role, instance: str, mailbox: Mailbox
    ) -> None:
        self.room = room
        self.id = participant
        self.role = role
        self.instance = instance
        self.mailbox = mailbox
        self.socket: Socket | None = None
        self.hold = Hold.HERE
        self.lost_at: float | None = None
        """Monotonic seconds at which the socket was lost."""
        self.highest = 0
        """The highest id of a signal it has sent: up to it, one may be a repetition."""
        self.unconfirmed: dict[str, int] | None = None
        """Recipient -> the last id sent that it has not taken. Bounded by the people of a room."""
        self.refused: dict[str, int] | None = None
        """Recipient -> the first id refused. Later ones are refused as well until this one has
        come again, for messages to one recipient must not overtake one another."""
        self.mail: deque[Letter] | None = None
        """What has come for it from Redis or another node, and is not in its mailbox yet."""
        self.backlog: deque[Letter] | None = None
        """What was sent to it on this node meanwhile. It comes after that."""
        self.fetching = 0
        """How many jobs are bringing its mail; two hellos of one page may be under way."""
        self.mail_due = False
        """There is mail that is not yet being fetched."""
        self.commands = 0
        """How many commands wait or run."""
        self.allowances: dict[str, Allowance] = {}
        """Of messages that have a rate of their own, by their kind."""
        self.view_hash = 0
        """Of the view that it has."""
        self.view_inside = 0
        """Of what in that view must never be late."""
        self.views = Allowance(1 / VIEW_EVERY_S, VIEW_BURST)

    @property
    def connected(self) -> bool:
        """Whether there is a socket that takes messages."""
        return self.socket is not None and self.socket.is_open

    def present(self, socket: "Socket") -> "Socket":
        """The socket on which the page that spoke on `socket` is to be found now."""
        return socket if socket.is_open or self.socket is None else self.socket

    def note_sent(self, recipient: str, signal_id: int) -> None:
        """It has sent a signal that `recipient` has not yet confirmed. 0: one that is not kept."""
        if not signal_id:
            return
        self.highest = max(self.highest, signal_id)
        if self.unconfirmed is None:
            self.unconfirmed = {}
        self.unconfirmed[recipient] = max(signal_id, self.unconfirmed.get(recipient, 0))

    def forget_about(self, recipient: str) -> None:
        """`recipient` has loaded its page anew: what was sent before is of no use to it."""
        if self.unconfirmed:
            self.unconfirmed.pop(recipient, None)
        if self.refused:
            self.refused.pop(recipient, None)

    def refuse_from(self, recipient: str, signal_id: int) -> None:
        """Remember that this signal was refused, unless it is one that will not come again."""
        if not signal_id:
            return
        if self.refused is None:
            self.refused = {}
        self.refused.setdefault(recipient, signal_id)

    def must_refuse(self, recipient: str, signal_id: int) -> bool:
        """Whether an earlier signal to the same recipient has to come first."""
        if self.refused is None or not signal_id:
            return False
        first = self.refused.get(recipient)
        if first is None or signal_id > first:
            return first is not None
        del self.refused[recipient]
        self.refused = self.refused or None
        return False


class Room:
    """One room on this node."""

    __slots__ = (
        "_tells_place",
        "ended",
        "failed_at",
        "former",
        "id",
        "inside",
        "lock",
        "members",
        "outgoing",
        "session",
        "sources_told",
        "users",
        "warned",
    )

    def __init__(self, room: str, *, tells_place: bool = True) -> None:
        self.id = room
        self._tells_place = tells_place
        self.session: Session | None = None
        self.inside: frozenset[str] = frozenset()
        """Who may exchange signals, by the last known session."""
        self.members: dict[str, Member] = {}
        self.lock = asyncio.Lock()
        """Held while this node changes the session: one change at a time, in their order."""
        self.outgoing: Outgoing | None = None
        self.ended = False
        self.failed_at = float("-inf")
        """When Redis last did not answer for this room, in monotonic seconds."""
        self.warned = False
        self.former: tuple[str, Way] | None = None
        """The forwarder, and the way, that the media went before; it is closed in a moment."""
        self.sources_told = 0
        """How often everybody has been told what comes from the forwarder."""
        self.users = 0
        """Jobs that are at work on it: see Rooms.using."""

    def adopt(self, session: Session) -> list[Member]:
        """Take `session` as the present one unless it is older.

        Gives the members who are no longer part of it: their sockets are closing, and the caller
        forgets them. The others are to be shown it.
        """
        known = self.session
        if known is not None and (session.created_at, session.version) < (
            known.created_at,
            known.version,
        ):
            return []
        self.session = session
        if known is not None:
            before = {p.id: p.instance for p in known.participants}
            for p in session.participants:
                if before.get(p.id, p.instance) != p.instance:
                    for member in self.members.values():
                        member.forget_about(p.id)
        self.inside = session.inside
        gone = []
        for member in list(self.members.values()):
            bye = self.farewell(member.id)
            if bye is not None:
                gone.append(member)
                if member.socket is not None:
                    member.socket.say_bye(*bye)
        return gone

    def farewell(self, participant: str) -> tuple[Bye, int] | None:
        """What to say, and close with, to one who has left or was sent away; else None."""
        you = None if self.session is None else self.session.find(participant)
        if you is None or you.live:
            return None
        code = NORMAL if you.status is Status.LEFT else close_code("not_allowed")
        return _BYE[you.status], code

    def view(self, member: Member) -> RoomView | None:
        """What `member` may see now; remembered as seen."""
        view = None if self.session is None else self._view(self.session, member)
        if view is not None:
            member.view_hash, member.view_inside = _hash(view), _inside(view)
        return view

    def show(self, member: Member, now: float) -> bool:
        """Send `member` the view if it differs from the last one in more than its version.

        `now`: monotonic seconds. False: it does, but too many came before; show it in a moment.
        """
        if not member.connected or self.session is None:
            return True
        view = self._view(self.session, member)
        if view is None:
            return True
        seen = _hash(view)
        if seen == member.view_hash or member.socket is None:
            return True
        inside = _inside(view)
        if member.views.take(now) > 0 and inside == member.view_inside:
            return False
        member.view_hash, member.view_inside = seen, inside
        member.socket.send(room_message(view))
        return True

    def _view(self, session: Session, member: Member) -> RoomView | None:
        return view_for(session, member.id, tells_place=self._tells_place)


_BYE: Final = {
    Status.LEFT: Bye(reason="left"),
    Status.DECLINED: Bye(reason="declined"),
    Status.REMOVED: Bye(reason="removed"),
}


def _hash(view: RoomView) -> int:
    return hash(
        (
            view.you,
            view.host_present,
            view.locked,
            view.place,
            view.participants,
            view.media,
            view.onward,
        )
    )


def _inside(view: RoomView) -> int:
    """What messages between those inside refer to: they must not come before it."""
    people = tuple(
        (p.id, p.instance, p.status, p.connected) for p in view.participants if p.status in INSIDE
    )
    return hash((view.you, view.media, people))
