"""Where the clients and the providers of one load tester find each other.

Every worker of a distributed run has a practice of its own: a client meets a provider of the same
process, and the times both take are of one clock.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtest.appointments import Appointment, Appointments
from loadtest.visit import Address

WAITING_MOST: Final = 20_000


@dataclass(slots=True)
class Consultation:
    """One client who waits, as a provider sees it. `sent_at`: by step, on the performance clock."""

    appointment: Appointment
    client: str
    gone: bool = False
    sent_at: dict[str, float] = field(default_factory=dict)


class Practice:
    """`seconds` bound every step. A network, such as 127.0.8.0/24, spreads users over its
    addresses, since limits are kept per address; it must be one of this machine's."""

    def __init__(
        self,
        url: str,
        *,
        origin: str,
        state_dir: Path,
        provider: str,
        seconds: float,
        users_from: str = "",
        intruders_from: str = "",
    ) -> None:
        self.appointments = Appointments(state_dir, origin, provider)
        self._url, self._origin, self._seconds = url.rstrip("/"), origin, seconds
        self._users, self._intruders = _sources(users_from), _sources(intruders_from)
        # At the bound a client is not announced: it waits as one whose host does not come.
        self._waiting: queue.Queue[Consultation] = queue.Queue(WAITING_MOST)

    def address(self, *, intruder: bool = False) -> Address:
        source = next(self._intruders if intruder else self._users)
        return Address(self._url, self._origin, source, self._seconds)

    def announce(self, consultation: Consultation) -> None:
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(consultation)

    def next(self, seconds: float) -> Consultation | None:
        """Who has waited longest and still does, or None after that time."""
        with contextlib.suppress(queue.Empty):
            while True:
                found = self._waiting.get(timeout=seconds)
                if not found.gone:
                    return found
        return None


def _sources(network: str) -> Iterator[str]:
    """Its addresses, over and over. Raises ValueError for a network that is none."""
    if not network:
        return itertools.repeat("")
    hosts = [str(one) for one in itertools.islice(ipaddress.ip_network(network).hosts(), 4096)]
    return itertools.cycle(hosts)
