"""Those who were made to wait go on a few at a time. Pure.

They came by the thousand at once, so their waits are over at once. Were all of them let in then,
nobody else would have a turn meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 8
EVERY_S: Final = 0.01
"""800 a second, who take a quarter of a processor if none of them is worth letting in."""


class Turnstile:
    """`let_through` is to be called when somebody enters and it was not due anyway, and EVERY_S
    after it has been called, for as long as it gives True. Bounded by those who may wait."""

    __slots__ = ("_queue", "turning")

    def __init__(self) -> None:
        self._queue: deque[Callable[[], bool]] = deque()
        self.turning = False
        """Whether `let_through` is due anyway."""

    def enter(self, go: Callable[[], bool]) -> None:
        """`go` is called in its turn; False: there was nobody any more, and it took no turn."""
        self._queue.append(go)

    def let_through(self) -> bool:
        """True: call it again after EVERY_S."""
        gone, queue = 0, self._queue
        while queue and gone < AT_ONCE:
            gone += queue.popleft()()
        self.turning = gone > 0
        return self.turning
