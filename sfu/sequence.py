"""Numbers that wrap: RTP sequence numbers, timestamps, transport-wide sequence numbers."""

from __future__ import annotations

FIRST_CYCLE = 1 << 16
"""Extended sequence numbers begin here, so that what came before the first is not negative."""


def nearest16(value: int, reference: int) -> int:
    """The extended number nearest to `reference` whose low 16 bits are `value`."""
    return reference + ((value - reference + 0x8000) & 0xFFFF) - 0x8000


def signed32(difference: int) -> int:
    """A difference of two 32-bit timestamps, from -2^31 to 2^31 - 1."""
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000
