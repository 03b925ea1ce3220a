"""Somebody who is coming in: what is known of them between hello and welcome. Pure."""

import base64
import hashlib
from dataclasses import dataclass

from signaling.room import Member
from signaling.socket import Socket
from waiting_room.participant import (
    Participant,
    Role,
)
from waiting_room.tokens import Came, Claims


def participant_id(room: str, secret: str) -> str:
    """Give the participant id of docs/protocol.md section 2."""
    text = f"konsil/1 participant\0{room}\0{secret}"
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16])[:22].decode()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A hello whose token is good."""

    socket: Socket
    claims: Claims
    participant: str
    role: Role
    name: str
    instance: str
    last_seq: int
    reopen: bool
    groups: bool

    @property
    def came(self) -> int | None:
        """Since when they wait for this provider, in ms; None: since now. What the token says of
        one is said of no other who may have got hold of it."""
        came = self.claims.came
        if isinstance(came, Came) and came.participant == self.participant:
            return came.at
        return None

    def is_same_page(self, participant: Participant | None) -> bool:
        """Whether this page load is the one last seen."""
        return (
            participant is not None and participant.live and participant.instance == self.instance
        )


@dataclass(frozen=True, slots=True)
class Entered:
    """A participant that is in the session now, but not yet welcomed."""

    member: Member
    before: Participant | None
    """As the session knew it before."""
    same_page: bool
    was_spilled: bool
