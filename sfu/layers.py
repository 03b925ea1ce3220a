"""Which layer of which source one subscriber gets: the bandwidth, split over the wanted tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAUSED = -1
MARGIN = 1.15
"""Nobody gets more than now unless there is that much room: no going back and forth."""

_SCARCE = 0.7  # of its rate, at which the first source is sent all the same: better than nothing
ALL_TEMPORAL = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One quality a source can be had in: simulcast layer, temporal limit, and bits per second."""

    layer: int
    limit: int
    bitrate: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A source that is wanted. `steps` go from the least to the best that its tile can show.

    `first` is for screens and pinned tiles; `size` is the tile's, in pixels; `current` is the index
    of the step in use, or PAUSED.
    """

    steps: tuple[Step, ...]
    size: int
    first: bool = False
    current: int = PAUSED


def allocate(budget: int, wishes: Sequence[Wish]) -> list[int]:
    """The index of the step for each wish, PAUSED where nothing is left for it.

    Everybody gets the least before anybody gets more, screens and pinned tiles first, then larger
    tiles before smaller ones; then screens and pinned tiles get as much as fits, and the others in
    turns. `budget` is in bits per second and does not include sound, which is never cut.
    """
    chosen = [PAUSED] * len(wishes)
    order = sorted(
        (index for index, wish in enumerate(wishes) if wish.steps),
        key=lambda index: (not wishes[index].first, -wishes[index].size, index),
    )
    left = float(budget)

    def raise_by_one(index: int) -> bool:
        nonlocal left
        wish, at = wishes[index], chosen[index]
        if at + 1 == len(wish.steps):
            return False
        margin = MARGIN if at + 1 > wish.current else 1.0
        before = wish.steps[at].bitrate if at >= 0 else 0
        extra = wish.steps[at + 1].bitrate - before
        if extra + (margin - 1) * wish.steps[at + 1].bitrate > left:
            return False
        left -= extra
        chosen[index] = at + 1
        return True

    for place, index in enumerate(order):
        if not raise_by_one(index) and place == 0:
            least = wishes[index].steps[0].bitrate
            if left >= least * _SCARCE:
                left -= least
                chosen[index] = 0
    for index in order:
        if wishes[index].first and chosen[index] != PAUSED:
            while raise_by_one(index):
                pass
    raised = True
    while raised:
        raised = False
        for index in order:
            if chosen[index] != PAUSED and raise_by_one(index):
                raised = True
    return chosen


def best_layer(sizes: Sequence[tuple[int, int] | None], width: int, height: int) -> int:
    """The smallest layer that fills a tile well enough, of layers smallest first.

    Sizes are those of key frames seen; where none was seen each layer is taken to be twice as
    large as the one below, and the largest to have 720 lines.
    """
    count = len(sizes)
    wanted = width * height
    for layer, size in enumerate(sizes):
        lines = 720 >> (count - 1 - layer)
        pixels = size[0] * size[1] if size is not None else lines * lines * 16 // 9
        if pixels >= 0.6 * wanted:
            return layer
    return count - 1
