"""Two versions of one session, made one. Pure.

Normally one descends from the other, and the merge is the younger one, unchanged. Only when Redis
has lost data (restarted empty, or a replica took over that had not yet heard everything) can two
nodes hold versions that each know something of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from . import media
from .participant import (
    Participant,
    Status,
)
from .session import (
    Session,
    keep_bounded,
)

# Of two states that came about in the same version the one further along wins; being sent away
# wins over everything, so that no accident brings anybody back in.
_RANK: Final = {
    status: rank
    for rank, status in enumerate(
        (
            Status.WAITING,
            Status.ADMITTED,
            Status.IN_CALL,
            Status.LEFT,
            Status.DECLINED,
            Status.REMOVED,
        )
    )
}


def merge(stored: Session, held: Session) -> Session:
    """`stored` itself when it knows all that `held` does, else a session that knows both."""
    if stored.created_at != held.created_at:
        # The room has been opened again; what ended before has no part in it.
        return max(stored, held, key=lambda s: s.created_at)
    ours = {p.id: p for p in held.participants}
    theirs = {p.id: p for p in stored.participants}
    both = [_later(p, ours.get(p.id, p)) for p in stored.participants]
    both += [p for p in held.participants if p.id not in theirs]
    participants = keep_bounded(tuple(sorted(both, key=lambda p: p.line)))

    lock = max(stored, held, key=lambda s: (s.lock_changed, s.locked))
    merged = replace(
        stored,
        version=max(stored.version, held.version),
        participants=participants,
        locked=lock.locked,
        lock_changed=lock.lock_changed,
        media=media.merge(stored.media, held.media),
    )
    return stored if merged == stored else merged


def _later(stored: Participant, held: Participant) -> Participant:
    return max(stored, held, key=lambda p: (p.changed, _RANK[p.status]))
