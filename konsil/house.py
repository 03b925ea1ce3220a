"""What the roles of one process share, and what each gives back once it runs."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry

from konsil.ice import RelayAccess
from konsil.secret import Secret
from konsil.settings import Settings
from konsil.tls import not_after


@dataclass(slots=True)
class House:
    """Made by serve.py. Roles never see one another; what one has for the others it puts here."""

    settings: Settings
    state_dir: Path
    registry: CollectorRegistry
    tls: ssl.SSLContext | None
    files: int  # that this process may have open
    lan_host: str | None  # an address of this machine in the local network, with --tls-self-signed
    certificate: tuple[Path, Path] | None = None  # the files of `tls`: chain and key
    relay: RelayAccess | None = None  # set by the role turn, or from KONSIL_TURN_EXTERNAL
    redis: asyncio.Future[Secret] = field(default_factory=asyncio.Future)
    """URL of the Redis; there as soon as the role that has it runs."""
    forwarder: tuple[tuple[str, int], ...] = ()
    """Addresses and ports of the forwarder of this process, which our relay may reach."""
    ready: dict[str, Callable[[], bool]] = field(default_factory=dict)
    """What a role needs in order to serve, by name, and whether it is there; for /readyz."""
    redis_answers: Callable[[], Awaitable[bool]] | None = None
    """Asks Redis, as /readyz does; set by the role signaling."""
    certificates: dict[str, float] = field(default_factory=dict)
    """Until when those in use are good, by part, in seconds since 1970; for /metrics."""
    renewals: list[Callable[[], None]] = field(default_factory=list)
    """What reads certificates again, at SIGHUP."""

    def certificate_in_use(self, part: str, chain: Path) -> None:
        """That file has just been read."""
        if (ends := not_after(chain)) is not None:
            self.certificates[part] = ends

    def missing(self) -> list[str]:
        return [name for name, is_there in self.ready.items() if not is_there()]


@dataclass(frozen=True, slots=True)
class Running:
    """A role that runs.

    `lines`: what to tell the operator, as (label, text). `drain(seconds)`: stops taking new work
    and returns when the old is done, or has moved away, at the latest after that time.
    """

    lines: tuple[tuple[str, str], ...]
    drain: Callable[[float], Awaitable[None]]
    demo: tuple[tuple[str, str], ...] = ()  # the links of --demo
    hint: str = ""  # what to know of them


Starter: TypeAlias = Callable[[House], AbstractAsyncContextManager[Running]]
"""Entering it starts a role, leaving it stops it at once. Raises StartError or ConfigError."""
