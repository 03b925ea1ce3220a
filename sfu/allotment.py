"""What one participant is given of what it wants: tiles and bandwidth into layers to aim at."""

from __future__ import annotations

from collections.abc import Callable

from sfu.interfaces import Bounds, Tile
from sfu.layers import ALL_TEMPORAL, MARGIN, PAUSED, Step, Wish, allocate, best_layer
from sfu.participant import Participant
from sfu.stream import Stream
from sfu.subscription import Subscription

SCREEN = "screen"
"""The source that comes before cameras when bandwidth is short, as pinned tiles do."""

SCREEN_BITRATE = 2_500_000
"""What pages send of a screen on which everything moves. A way is tried out for so much while
nothing does: it would be too late when a film begins."""

_SMALL = (320, 180)
_LARGE = (1280, 720)
_CALM, _LONGEST_CALM = 3.0, 12.0  # seconds after a step down in which nobody is raised
_HASTY = 5.0  # a step up that held no longer was none: the next one waits twice as long


def allot(
    participant: Participant, bounds: Bounds, recency: Callable[[str], float], now: float
) -> int:
    """Aim the participant's video subscriptions; gives the bit rate at which everything would be
    allotted that is wanted, sound included. `recency` tells when somebody last spoke."""
    sound = participant.sound_bitrate()
    wanted: list[tuple[Subscription, Tile]] = []
    for subscription in participant.videos():
        tile = _tile(participant, subscription)
        if tile is None or not tile.width or not tile.height:
            subscription.aim(None)
        else:
            wanted.append((subscription, tile))
    shown = _last_n(wanted, bounds.video_sources_shown, recency)
    wishes = [_wish(subscription, tile, now) for subscription, tile in shown]
    budget = min(participant.bandwidth.target, bounds.max_bitrate_down) - sound
    chosen = allocate(budget, wishes)
    calm = now - participant.lowered_at < participant.calm
    lowered = raised = False
    for (subscription, _), wish, index in zip(shown, wishes, chosen, strict=True):
        lowered = lowered or index < wish.current
        # Where a source was left out for want of bandwidth, its return is a step up like others.
        if wish.current < index and (wish.current > PAUSED or subscription.starved):
            if calm:
                continue
            raised = True
        _aim(subscription, wish, index)
    if lowered:
        hasty = now - participant.raised_at < _HASTY
        participant.calm = min(max(participant.calm, _CALM) * 2, _LONGEST_CALM) if hasty else _CALM
        participant.lowered_at = now
    elif raised:
        participant.raised_at = now
    return sound + int(MARGIN * sum(_best(*one) for one in zip(shown, wishes, strict=True)))


def _best(shown: tuple[Subscription, Tile], wish: Wish) -> int:
    if not wish.steps:
        return 0
    least = SCREEN_BITRATE if shown[1].source == SCREEN else 0
    return max(wish.steps[-1].bitrate, least)


def _tile(participant: Participant, subscription: Subscription) -> Tile | None:
    track = subscription.track
    if participant.tiles is not None:
        return participant.tiles.get((track.participant, track.source))
    width, height = _LARGE if track.source == SCREEN else _SMALL
    return Tile(track.participant, track.source, width, height)


def _last_n(
    wanted: list[tuple[Subscription, Tile]], most: int, recency: Callable[[str], float]
) -> list[tuple[Subscription, Tile]]:
    """The tiles that are shown when there are more than the bound: screens and pinned ones, then
    who spoke last, then the largest; the others are paused."""
    if len(wanted) <= most:
        return wanted
    order = sorted(
        wanted,
        key=lambda one: (
            not _comes_first(one[1]),
            -recency(one[1].participant),
            -one[1].width * one[1].height,
        ),
    )
    for subscription, _ in order[most:]:
        subscription.aim(None)
    return order[:most]


def _comes_first(tile: Tile) -> bool:
    return tile.pinned or tile.source == SCREEN


def _wish(subscription: Subscription, tile: Tile, now: float) -> Wish:
    publication = subscription.publication
    assert publication is not None
    sizes = [stream.size for stream in publication.streams]
    best = best_layer(sizes, tile.width, tile.height)
    steps = _steps(publication.layers_to_be_had(now), best)
    current = PAUSED
    target = subscription.target
    if target is not None:
        for index, step in enumerate(steps):
            if step.layer == target.layer and step.limit <= subscription.limit:
                current = index
    return Wish(steps, tile.width * tile.height, _comes_first(tile), current)


def _steps(streams: list[Stream], best: int) -> tuple[Step, ...]:
    """Temporal layers of the smallest picture first, then larger pictures, whole each.

    Where no layer up to the best one is to be had, the smallest that is.
    """
    usable = [stream for stream in streams if stream.layer <= best] or streams[:1]
    steps: list[Step] = []
    for place, stream in enumerate(usable):
        rates = stream.rates
        highest = max((tid for tid in range(4) if rates[tid] > 0), default=0)
        limits = [*range(highest), ALL_TEMPORAL] if not place else [ALL_TEMPORAL]
        for limit in limits:
            least = steps[-1].bitrate + 1 if steps else 1
            steps.append(Step(stream.layer, limit, max(least, stream.bitrate(limit))))
    return tuple(steps)


def _aim(subscription: Subscription, wish: Wish, index: int) -> None:
    publication = subscription.publication
    assert publication is not None
    if not wish.steps:
        # Nothing is sent at present. What is followed is kept; otherwise the smallest layer is
        # waited for, as it is the first to come.
        if subscription.target is None:
            subscription.aim(publication.streams[0])
        return
    if index == PAUSED:
        subscription.aim(None)
        subscription.starved = True
        return
    step = wish.steps[index]
    subscription.aim(publication.streams[step.layer], step.limit)
