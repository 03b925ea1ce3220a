"""Access to a relay, ours or another: URLs and time-limited credentials for one participant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from konsil.secret import Secret
from turn import credentials


@dataclass(frozen=True, slots=True)
class RelayAccess:
    """Where a relay is, and the secret it shares with us (None where it needs no credentials).

    `secret` is asked for each time: it may have been rotated. `ours`: it is the relay of this
    process.
    """

    urls: tuple[str, ...]
    secret: Callable[[], Secret] | None
    ours: bool = False

    @property
    def relay_urls(self) -> tuple[str, ...]:
        """turn: and turns:, which need credentials."""
        return tuple(url for url in self.urls if url.startswith("turn"))

    @property
    def stun_urls(self) -> tuple[str, ...]:
        return tuple(url for url in self.urls if url.startswith("stun"))

    def credentials(self, opaque: str, expires_at: int) -> tuple[str, str] | None:
        """User name and password until `expires_at` (s since 1970); None where none are needed.

        `opaque` names no person: it is what the relay counts quotas by.
        """
        if self.secret is None or not self.relay_urls:
            return None
        return credentials.issue(self.secret().reveal(), opaque, expires_at)

    def check_credentials(self, opaque: str, expires_at: int) -> tuple[str, str] | None:
        """The same for a check alone; a relay that does not know of checks refuses them."""
        if self.secret is None or not self.relay_urls:
            return None
        return credentials.issue_check(self.secret().reveal(), opaque, expires_at)


def external(urls: Sequence[str], secret: Secret | None) -> RelayAccess | None:
    """Access to the TURN server that the settings name, if they do."""
    if not urls:
        return None
    return RelayAccess(tuple(urls), None if secret is None else lambda: secret)
