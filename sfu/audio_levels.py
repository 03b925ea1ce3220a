"""Who speaks: levels from the header extension (RFC 6464), smoothed and with hysteresis."""

from __future__ import annotations

_INTERVAL = 0.3
_LOUD = 80.0  # -47 dBov on a scale where silence is 0 and the loudest 127
_QUIET = 70.0
_LINGER = 0.9  # seconds below the threshold that still count as speaking: pauses between words
_BONUS = 6.0  # who led before keeps the lead against those less than this louder


class _Voice:
    __slots__ = ("count", "level", "loud_at", "speaking", "spoke_at", "sum")

    def __init__(self) -> None:
        self.sum = 0
        self.count = 0
        self.level = 0.0
        self.speaking = False
        self.loud_at = 0.0
        self.spoke_at = float("-inf")


class Speakers:
    """The speakers of a room. Bounded by the room's bound on participants."""

    __slots__ = ("_next", "_told", "_voices")

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._told: tuple[str, ...] = ()
        self._next = 0.0

    def note(self, participant: str, value: int) -> None:
        """A packet of sound with this level: 0 is the loudest, 127 silence (RFC 6464 §3)."""
        voice = self._voices.get(participant)
        if voice is None:
            voice = self._voices[participant] = _Voice()
        voice.sum += 127 - (value & 0x7F)
        voice.count += 1

    def forget(self, participant: str) -> None:
        """The participant is gone; the next `evaluate` tells it when that changes something."""
        self._voices.pop(participant, None)

    def evaluate(self, now: float) -> tuple[str, ...] | None:
        """The speakers, loudest first, when that has changed and was not asked within 300 ms."""
        if now < self._next:
            return None
        self._next = now + _INTERVAL
        for voice in self._voices.values():
            mean = voice.sum / voice.count if voice.count else 0.0
            voice.sum = voice.count = 0
            # Quick to rise, slow to fall.
            voice.level = max(mean, voice.level * 0.6 + mean * 0.4)
            if mean >= _LOUD or (voice.speaking and mean >= _QUIET):
                voice.loud_at = now
                voice.speaking = True
            elif voice.speaking and now - voice.loud_at > _LINGER:
                voice.speaking = False
            if voice.speaking:
                voice.spoke_at = now
        speaking = [name for name, voice in self._voices.items() if voice.speaking]
        lead = self._told[0] if self._told else None
        speaking.sort(
            key=lambda name: self._voices[name].level + (_BONUS if name == lead else 0.0),
            reverse=True,
        )
        # A change of order behind the first is no news.
        before = self._told
        if speaking[:1] == list(before[:1]) and set(speaking) == set(before):
            return None
        self._told = tuple(speaking)
        return self._told

    def recency(self, participant: str) -> float:
        """When the participant last spoke; minus infinity for one who has not."""
        voice = self._voices.get(participant)
        return voice.spoke_at if voice is not None else float("-inf")
