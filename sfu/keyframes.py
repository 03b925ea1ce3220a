"""When a publisher is asked for a key frame, and when a subscriber's asking counts.

A key frame is several times the size of another one, for everybody who gets the layer; so no
layer is asked for more than two a second, whoever asks how often.
"""

from __future__ import annotations

_INTERVAL = 0.5
_PATIENCE = 4  # requests at that interval; when none is answered they become rarer
_LONG_INTERVAL = 2.0


class KeyFrameRequests:
    """The requests for one source layer: at most one in 500 ms.

    A wish that comes too soon is kept and becomes one request when the time has come; wishes do
    not add up. A key frame answers them all.
    """

    __slots__ = ("_asked", "_unanswered", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self._asked = float("-inf")
        self._unanswered = 0

    def want(self) -> None:
        """Somebody needs a key frame of this layer."""
        self.wanted = True

    def answered(self) -> None:
        """A key frame begins."""
        self.wanted = False
        self._unanswered = 0

    def due(self, now: float) -> bool:
        """Whether to send a request now; takes it for sent."""
        patient = self._unanswered < _PATIENCE
        if not self.wanted or now - self._asked < (_INTERVAL if patient else _LONG_INTERVAL):
            return False
        self.wanted = False
        self._asked = now
        self._unanswered += 1
        return True


class Insistence:
    """How often one subscriber's requests for key frames count.

    A page that has no key for a source yet can decode nothing and asks without end, and everybody
    else would pay for it. So each request that follows another within ten seconds counts later
    than the one before: after 0.5, 1 and then 2 seconds. What comes too soon is dropped; pages
    repeat what still is the matter.
    """

    __slots__ = ("_counted", "_wait")

    _FIRST = 0.5
    _LONGEST = 2.0
    _FORGIVEN = 10.0

    def __init__(self) -> None:
        self._counted = float("-inf")
        self._wait = 0.0

    def counts(self, now: float) -> bool:
        since = now - self._counted
        if since < self._wait:
            return False
        calm = since > self._FORGIVEN
        self._wait = self._FIRST if calm else min(self._LONGEST, self._wait * 2)
        self._counted = now
        return True
