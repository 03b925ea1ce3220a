"""Permissions: the peer hosts a client has asked to hear from (RFC 8656 §9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turn.allocation import Allocation

PERMISSION_LIFETIME = 300.0  # fixed by RFC 8656 §9, but see `AllocationTable.bind`


@dataclass(slots=True, eq=False)
class Permission:
    """One peer host of one allocation, until `expires` (monotonic seconds)."""

    allocation: Allocation = field(repr=False)
    host: str
    expires: float
