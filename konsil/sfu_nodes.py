"""Which forwarders there are, how busy they are, and which are dead. Pure; `now` is monotonic s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from konsil.sfu_wire import DEAD_AFTER_S, Announcement

NODES_MAX: Final = 1000
DOUBT_S: Final = 10.0
_PEOPLE_OF_A_ROOM: Final = 3  # until the next announcement says how many there are
_FORGET_AFTER_S: Final = 3600.0


@dataclass(slots=True)
class _Node:
    last: Announcement
    heard_at: float
    promised: int = 0
    """Rooms that were put there since it was heard last."""
    doubtful_until: float = 0.0
    """It has not answered when it was asked last."""
    full_until: float = 0.0
    """It has not taken a room."""

    def is_doubtful(self, now: float) -> bool:
        return now < max(self.doubtful_until, self.full_until)


class Directory:
    """What one signaling node knows of all forwarders."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._listening_since: float | None = None

    def listening(self, now: float | None) -> None:
        """Listening begins; None: it ends. Who says nothing while nobody listens is not dead."""
        self._listening_since = now

    def heard(self, announcement: Announcement, now: float) -> bool:
        """A forwarder says something of itself. Gives whether there is one more or one less now."""
        if announcement.node not in self._nodes and len(self._nodes) >= NODES_MAX:
            self._forget(now)
        known = self._nodes.get(announcement.node)
        if known is not None and known.last.gone:
            return False  # ids are never used twice; this was on its way before the end
        made = self._nodes[announcement.node] = _Node(announcement, now)
        if known is not None:
            made.doubtful_until, made.full_until = known.doubtful_until, known.full_until
        return known is None or announcement.gone

    def choose(self, now: float, without: str | None = None) -> str | None:
        """The least loaded that is alive and takes new rooms.

        One that has not answered, or has taken no more a moment ago, is chosen only where there is
        no other, and not in place of `without`: there would be nothing to win.
        """
        fit = [
            (node.is_doubtful(now), *_load(node), name)
            for name, node in self._nodes.items()
            if name != without
            and not node.last.draining
            and (without is None or not node.is_doubtful(now))
            and not self.is_gone(name, now)
        ]
        return min(fit)[-1] if fit else None

    def answered(self, name: str) -> None:
        """It has answered a question."""
        if (node := self._nodes.get(name)) is not None:
            node.doubtful_until = 0.0

    def unanswered(self, name: str, now: float) -> None:
        """It has not."""
        if (node := self._nodes.get(name)) is not None:
            node.doubtful_until = now + DOUBT_S

    def full(self, name: str, now: float) -> None:
        """It takes no more."""
        if (node := self._nodes.get(name)) is not None:
            node.full_until = now + DOUBT_S

    def promised(self, name: str) -> None:
        """A room was put there."""
        if (node := self._nodes.get(name)) is not None:
            node.promised += 1

    def is_gone(self, name: str, now: float) -> bool:
        """Whether it has said that it is, or has been silent for long while we listened."""
        node = self._nodes.get(name)
        if self.has_said_goodbye(name):
            return True
        if self._listening_since is None:
            return False
        heard_at = self._listening_since
        if node is not None:
            heard_at = max(heard_at, node.heard_at)
        return now - heard_at > DEAD_AFTER_S

    def has_said_goodbye(self, name: str) -> bool:
        """Whether it takes part no longer, although it may still answer for a while."""
        node = self._nodes.get(name)
        return node is not None and node.last.gone

    def alive(self, now: float) -> list[Announcement]:
        """What was said last by those who are there."""
        return [node.last for name, node in self._nodes.items() if not self.is_gone(name, now)]

    def _forget(self, now: float) -> None:
        """Make room: the dead for long first, else the one heard longest ago."""
        dead = [n for n, node in self._nodes.items() if now - node.heard_at > _FORGET_AFTER_S]
        oldest = min(self._nodes, key=lambda name: self._nodes[name].heard_at)
        for name in dead or [oldest]:
            del self._nodes[name]


def _load(node: _Node) -> tuple[float, int, int]:
    people = node.last.participants + _PEOPLE_OF_A_ROOM * node.promised
    return round(node.last.cpu, 1), people, node.last.rooms
