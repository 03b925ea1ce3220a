"""Which way the media of a room goes: peer-to-peer, or through a forwarder (SFU). Pure.

docs/protocol.md section 9. A room is whole on one forwarder; which one, is part of the session and
so decided like everything else, by compare-and-set. `generation` names each way, so that nobody
mistakes a connection of a former one for a connection of this one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

PAIR: Final = 2  # people who talk peer-to-peer; one more is a group
BACK_AFTER_MS: Final = 5000  # so that somebody who leaves and comes back moves nobody twice


class Topology(StrEnum):
    """What the house wants: `auto` is as described in docs/protocol.md section 9."""

    AUTO = "auto"
    P2P = "p2p"
    SFU = "sfu"


class MediaMode(StrEnum):
    P2P = "p2p"
    SFU = "sfu"


@dataclass(frozen=True, slots=True)
class Media:
    topology: Topology = Topology.P2P
    mode: MediaMode = MediaMode.P2P
    generation: int = 0  # rises with every change of the way
    node: str | None = None  # the forwarder; None: peer-to-peer, or not chosen yet
    few_since: int | None = None  # ms; since when those who are left could talk peer-to-peer
    unreachable: tuple[str, str] | None = None  # two inside who do not reach one another
    changed: int = 0  # the session version that last changed any of this


PEER_TO_PEER: Final = Media()


def needs_forwarder(media: Media, people: int) -> bool:
    """Whether so many inside are a group."""
    if media.topology is Topology.AUTO:
        return people > PAIR
    return media.topology is Topology.SFU


def settle(media: Media, inside: Collection[str], now_ms: int, version: int) -> Media:
    """As it ought to be with these people inside; the same object when it is.

    `version`: of the session that this becomes part of.
    """
    apart = media.unreachable
    if apart is not None and not set(apart) <= set(inside):
        apart = None
    forwarded = needs_forwarder(media, len(inside)) or apart is not None
    few_since: int | None = None
    if media.mode is MediaMode.P2P:
        back = False
    elif not forwarded:
        few_since = now_ms if media.few_since is None else media.few_since
        back = now_ms - few_since >= BACK_AFTER_MS
    else:
        back = False
    settled = replace(media, few_since=few_since, unreachable=apart)
    if back:
        settled = _another_way(settled, MediaMode.P2P)
    elif forwarded and media.mode is MediaMode.P2P:
        settled = _another_way(settled, MediaMode.SFU)
    return media if settled == media else replace(settled, changed=version)


def is_due(media: Media, now_ms: int) -> bool:
    """Whether nothing but the time takes it back to peer-to-peer now."""
    return media.few_since is not None and now_ms - media.few_since >= BACK_AFTER_MS


def place(media: Media, generation: int, node: str, version: int) -> Media:
    """On that forwarder, unless it is on one already, or the choice is about a former way."""
    if not _is_current(media, generation) or media.node is not None:
        return media
    return replace(media, node=node, changed=version)


def leave_node(media: Media, generation: int, node: str, version: int) -> Media:
    """Away from a forwarder that is gone; which one is next, is chosen at the first offer."""
    if not _is_current(media, generation) or media.node != node:
        return media
    return replace(_another_way(media, MediaMode.SFU), changed=version)


def part(media: Media, one: str, other: str, version: int) -> Media:
    """These two do not reach one another."""
    if media.topology is not Topology.AUTO or media.mode is MediaMode.SFU:
        return media
    pair = (one, other) if one < other else (other, one)
    return replace(media, unreachable=pair, changed=version)


def merge(stored: Media, held: Media) -> Media:
    """Of two that each may know something of their own: see waiting_room.merge."""
    later = max(stored, held, key=lambda m: (m.generation, m.changed, m.node or ""))
    same_way = stored.generation == held.generation and stored.mode is held.mode
    if same_way and stored.node and held.node and stored.node != held.node:
        # Each has put the room on another forwarder, and it must be whole: on neither.
        return _another_way(later, MediaMode.SFU)
    return later


def _is_current(media: Media, generation: int) -> bool:
    return media.mode is MediaMode.SFU and media.generation == generation


def _another_way(media: Media, mode: MediaMode) -> Media:
    return replace(media, mode=mode, generation=media.generation + 1, node=None, few_since=None)
