"""Packets kept for a moment, to answer NACKs and to know duplicates."""

from __future__ import annotations


class PacketHistory:
    """The last packets of one stream by extended sequence number.

    Bounded three ways: `packets` (a power of two), `size` in bytes, and `age` in seconds. The
    oldest go first, whichever bound is reached; a packet older than all that may be kept is not
    taken. What `expire` has not yet removed is not given out once it is too old.
    """

    __slots__ = (
        "_age",
        "_data",
        "_lowest",
        "_mask",
        "_newest",
        "_numbers",
        "_octets",
        "_size",
        "_times",
    )

    def __init__(self, packets: int, size: int, age: float) -> None:
        assert packets & (packets - 1) == 0
        self._mask = packets - 1
        self._size = size
        self._age = age
        self._data: list[bytes | None] = [None] * packets
        self._numbers = [-1] * packets
        self._times = [0.0] * packets
        self._octets = 0
        self._lowest = 0  # nothing below it is kept
        self._newest = -1

    @property
    def octets(self) -> int:
        """Bytes kept now."""
        return self._octets

    def __len__(self) -> int:
        return sum(data is not None for data in self._data)

    def put(self, number: int, data: bytes, now: float) -> bool:
        """Keep a packet; False when it is there already or too old to be kept."""
        slot = number & self._mask
        kept = self._numbers[slot]
        newest = self._newest
        if number <= kept or number < self._lowest or number < newest - self._mask:
            return False
        if number > newest:
            self._newest = number
            if number > newest + 1:
                self._pass_over(newest + 1, number)
        replaced = self._data[slot]
        if replaced is not None:
            self._octets -= len(replaced)
        self._data[slot] = data
        self._numbers[slot] = number
        self._times[slot] = now
        self._octets += len(data)
        if self._octets > self._size:
            self._shrink()
        return True

    def get(self, number: int, now: float) -> bytes | None:
        """The packet of this number, or None when it was never there or is gone."""
        slot = number & self._mask
        if self._numbers[slot] != number or now - self._times[slot] > self._age:
            return None
        return self._data[slot]

    def expire(self, now: float) -> None:
        """Free what is too old."""
        number = lowest = max(self._lowest, self._newest - self._mask)
        limit = now - self._age
        while number <= self._newest:
            slot = number & self._mask
            if self._numbers[slot] == number and self._data[slot] is not None:
                if self._times[slot] >= limit:
                    break
                self._free(slot)
                # Not beyond: what is missing before a younger packet may still come.
                lowest = number + 1
            number += 1
        self._lowest = lowest

    def _pass_over(self, first: int, end: int) -> None:
        """Numbers that are missing: what is kept in their slots is older than all that may be."""
        for number in range(max(first, end - self._mask), end):
            self._free(number & self._mask)

    def _shrink(self) -> None:
        lowest = max(self._lowest, self._newest - self._mask)
        while self._octets > self._size and lowest < self._newest:
            slot = lowest & self._mask
            if self._numbers[slot] == lowest:
                self._free(slot)
            lowest += 1
        self._lowest = lowest

    def _free(self, slot: int) -> None:
        data = self._data[slot]
        if data is not None:
            self._octets -= len(data)
            self._data[slot] = None
