"""Channels: numbers that stand for a peer, to save the headers of Send and Data (RFC 8656 §12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from turn.address import Address
from turn.attributes import CHANNELS, RFC5766_CHANNELS

if TYPE_CHECKING:
    from turn.allocation import Allocation

CHANNEL_LIFETIME = 600.0  # fixed by RFC 8656 §12
# A late ChannelData of the old binding must not reach a new peer (RFC 8656 §12).
QUARANTINE = 300.0


# `turnutils_uclient` of coturn 4 draws its channel numbers from RFC 5766's range and gives up at
# the first refusal. It is the standard tool to try a TURN server with, and it tells itself by the
# lifetime it asks for, which no other client does.
_COTURN_TEST_CLIENT_LIFETIME = 777


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """Which channel numbers a client may bind.

    `rfc5766` gives everyone the wider range of old; `trial` gives it to coturn's test client
    only, on a server that is set up for local trials.
    """

    rfc5766: bool = False
    trial: bool = False

    def range_for(self, asked_lifetime: int) -> range:
        """Numbers for an allocation whose request asked for that lifetime."""
        wide = self.rfc5766 or (self.trial and asked_lifetime == _COTURN_TEST_CLIENT_LIFETIME)
        return RFC5766_CHANNELS if wide else CHANNELS


@dataclass(slots=True, eq=False)
class Channel:
    """A number bound to one peer until `expires`, and then kept out of use for a while."""

    allocation: Allocation = field(repr=False)
    number: int
    peer: Address
    expires: float
    bound: bool = True


class ChannelTable:
    """Channels of one allocation, bound or in quarantine, by number and by peer."""

    __slots__ = ("_by_number", "_by_peer")

    def __init__(self) -> None:
        self._by_number: dict[int, Channel] = {}
        self._by_peer: dict[Address, Channel] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def conflicts(self, number: int, peer: Address) -> bool:
        """Whether the number has, or lately had, another peer, or the peer another number."""
        by_number = self._by_number.get(number)
        by_peer = self._by_peer.get(peer)
        return (by_number is not None and by_number.peer != peer) or (
            by_peer is not None and by_peer.number != number
        )

    def get(self, number: int) -> Channel | None:
        return self._by_number.get(number)

    def add(self, channel: Channel) -> None:
        self._by_number[channel.number] = channel
        self._by_peer[channel.peer] = channel

    def remove(self, channel: Channel) -> None:
        del self._by_number[channel.number]
        del self._by_peer[channel.peer]

    def of_family(self, six: bool) -> list[Channel]:
        """Channels whose peer is of that family."""
        return [c for c in self._by_number.values() if (":" in c.peer.host) == six]
