"""Appointments made with a state directory's own key, as `konsil invite` does; by the thousand.

No server is asked, so what a load test measures is never the making of its own links. The
directory is the server's, or a copy with the key and the providers file of it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from waiting_room.invitations import claims_for, issue, plan
from waiting_room.keys import KeyRing
from waiting_room.links import ID_BYTES, new_id
from waiting_room.providers import Providers
from waiting_room.tokens import TokenType, mint

PROVIDER: Final = "Load test"
MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Appointment:
    """One room that is open now, for the next hour. `secret` is the link's, base64url."""

    room: str
    host_token: str = field(repr=False)
    client_token: str = field(repr=False)
    secret: str = field(repr=False)


class Appointments:
    """Those of one provider, who is added to the providers file when not yet there.

    Raises ConfigError when the directory cannot be used.
    """

    def __init__(self, state_dir: Path, public_url: str, provider: str = PROVIDER) -> None:
        providers = Providers(state_dir)
        self._provider = providers.named(provider) or providers.add(provider)
        self._ring = KeyRing.open(state_dir)
        self.audience = public_url

    def make(self) -> Appointment:
        now = time.time()
        invitation = plan(
            provider=self._provider.id,
            epoch=self._provider.epoch,
            room=fresh_id(),
            starts_at=int(now),
            minutes=MINUTES,
            now=now,
        )
        links = issue(
            invitation, self._ring.current, audience=self.audience, new_id=fresh_id, now=now
        )
        return Appointment(invitation.room, links.host_token, links.client_token, fresh_id())

    def closed(self) -> str:
        """A client's token that was good and is so no more."""
        then = time.time() - 2 * MINUTES * 60
        invitation = plan(
            provider=self._provider.id,
            epoch=self._provider.epoch,
            room=fresh_id(),
            starts_at=int(then),
            minutes=MINUTES,
            now=then,
        )
        claims = claims_for(
            invitation, TokenType.CLIENT, audience=self.audience, jti=fresh_id(), now=then
        )
        return mint(claims, self._ring.current)


def fresh_id() -> str:
    return new_id(secrets.token_bytes(ID_BYTES))
