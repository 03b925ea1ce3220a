"""Access to a relay, ours or another: URLs and time-limited credentials for one participant."""

from collections.abc import Sequence
from dataclasses import dataclass

from konsil.secret import Secret
from turn import credentials


@dataclass(frozen=True, slots=True)
class RelayAccess:
    """Where a relay is, and the secret it shares with us (None where it needs no credentials)."""

    urls: tuple[str, ...]
    secret: Secret | None

    def credentials(self, opaque: str, expires_at: int) -> tuple[str, str] | None:
        """User name and password until `expires_at` (s since 1970); None where none are needed.

        `opaque` names no person: it is what the relay counts quotas by.
        """
        if self.secret is None or not any(url.startswith("turn") for url in self.urls):
            return None
        return credentials.issue(self.secret.reveal(), opaque, expires_at)


def external(urls: Sequence[str], secret: Secret | None) -> RelayAccess | None:
    """Access to the TURN server that the settings name, if they do."""
    return RelayAccess(tuple(urls), secret) if urls else None
