"""Invitations minted with a state directory's own key, as `konsil invite` does; by the hundred."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from waiting_room.invitations import issue, plan
from waiting_room.keys import KeyRing
from waiting_room.links import ID_BYTES, new_id
from waiting_room.providers import Providers

PROVIDER = "Bench"


class Invitations:
    """Makes consultations that are open now, of one provider of that state directory."""

    def __init__(self, state_dir: Path, public_url: str) -> None:
        providers = Providers(state_dir)
        self._provider = providers.named(PROVIDER) or providers.add(PROVIDER)
        self._ring = KeyRing.open(state_dir)
        self._audience = public_url

    def make(self) -> tuple[str, str, str]:
        """Room, host's token, client's token."""
        now = time.time()
        invitation = plan(
            provider=self._provider.id,
            epoch=self._provider.epoch,
            room=_fresh_id(),
            starts_at=int(now),
            minutes=60,
            now=now,
        )
        links = issue(
            invitation, self._ring.current, audience=self._audience, new_id=_fresh_id, now=now
        )
        return invitation.room, links.host_token, links.client_token


def _fresh_id() -> str:
    return new_id(secrets.token_bytes(ID_BYTES))
