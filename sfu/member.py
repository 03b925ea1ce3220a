"""One participant of a room on this node: its connection, and what was agreed with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sfu.connection import Connection, Workshop
from sfu.control import Answer, Offer
from sfu.interfaces import ForwardingRoom
from sfu.sdp.negotiation import Streams
from sfu.sdp.offer import Fingerprint, SessionOffer

Identity = tuple[str, frozenset[Fingerprint]]


def identity_of(offer: SessionOffer) -> Identity:
    """What makes two offers be of one RTCPeerConnection: a page that was loaded again, or begins
    anew, has another session id, and everything of its former connection is void."""
    return offer.session_id, offer.fingerprints


class Keeper(Protocol):
    """Who is told what becomes of a member."""

    def member_connected(self, member: Member, now: float) -> None: ...

    def member_deadline(self, member: Member) -> None: ...

    def member_ended(self, member: Member, why: str, now: float) -> None: ...


class Member:
    """`sfu.connection.Owner` for its connection. `seat` is its room and participant.

    `session_id` and `version` are of our answers' o= line; `last` is the offer that was answered
    last with its answer, for an offer that comes again.
    """

    __slots__ = (
        "_keeper", "_room", "connection", "identity", "last", "participant", "seat", "session_id",
        "streams", "version",
    )  # fmt: skip

    def __init__(
        self,
        keeper: Keeper,
        seat: tuple[str, str],
        room: ForwardingRoom,
        *,
        shop: Workshop,
        offer: SessionOffer,
        now: float,
    ) -> None:
        self._keeper = keeper
        self._room = room
        self.seat = seat
        self.participant = seat[1]
        self.identity = identity_of(offer)
        self.streams = Streams(shop.random)
        self.session_id = int.from_bytes(shop.random(8)) >> 2
        self.version = 0
        self.last: tuple[Offer, Answer] | None = None
        self.connection = Connection(shop, offer, self, now)

    def receive_rtp(self, packet: bytes, now: float) -> None:
        self._room.receive_rtp(self.participant, packet, now)

    def receive_rtcp(self, packet: bytes, now: float) -> None:
        self._room.receive_rtcp(self.participant, packet, now)

    def connected(self, now: float) -> None:
        self._keeper.member_connected(self, now)

    def deadline_moved(self) -> None:
        self._keeper.member_deadline(self)

    def ended(self, why: str, now: float) -> None:
        self._keeper.member_ended(self, why, now)


RoomMaker = Callable[[], ForwardingRoom]
