"""Makes links on the command line and for the demo: appointments that are stored nowhere."""

import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from konsil.errors import StartError
from waiting_room import invitations, links
from waiting_room.keys import KeyRing
from waiting_room.providers import Provider, Providers
from waiting_room.tokens import mint

DEMO_PROVIDER: Final = "Dr. Demo"


@dataclass(frozen=True, slots=True)
class Consultation:
    """The two links of a consultation; times in whole seconds since 1970."""

    room: str
    host_url: str
    client_url: str
    opens_at: int
    closes_at: int

    def document(self) -> dict[str, str]:
        """What `konsil invite` prints: times as ISO 8601 in UTC."""
        return {
            "room": self.room,
            "host_url": self.host_url,
            "client_url": self.client_url,
            "opens_at": _iso(self.opens_at),
            "closes_at": _iso(self.closes_at),
        }


def consultation(
    ring: KeyRing,
    provider: Provider,
    public_url: str,
    *,
    starts_at: int,
    minutes: int,
    opens_before: int = invitations.OPENS_BEFORE_DEFAULT,
    now: int,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Consultation:
    """Both links, with one fragment secret that is known to nobody but who gets them.

    Raises Refused `bad_request` for times out of bounds.
    """

    def new_id() -> str:
        return links.new_id(random(links.ID_BYTES))

    planned = invitations.plan(
        provider=provider.id,
        epoch=provider.epoch,
        room=new_id(),
        starts_at=starts_at,
        minutes=minutes,
        opens_before=opens_before,
        now=now,
    )
    tokens = invitations.issue(planned, ring.current, audience=public_url, new_id=new_id, now=now)
    secret = new_id()
    return Consultation(
        room=planned.room,
        host_url=links.make(links.LinkParts(public_url, "host", tokens.host_token, secret)),
        client_url=links.make(links.LinkParts(public_url, "join", tokens.client_token, secret)),
        opens_at=planned.opens_at,
        closes_at=planned.closes_at,
    )


def sign_in_link(
    ring: KeyRing,
    provider: Provider,
    public_url: str,
    *,
    now: int,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """A provider's link to the page that plans consultations; signs in once, within 31 days."""
    claims = invitations.provider_claims(
        provider.id,
        provider.epoch,
        audience=public_url,
        jti=links.new_id(random(links.ID_BYTES)),
        now=now,
    )
    return links.make(links.LinkParts(public_url, "provider", mint(claims, ring.current)))


def reception_link(
    ring: KeyRing,
    providers: Sequence[Provider],
    public_url: str,
    *,
    now: int,
    hours: int = invitations.RECEPTION_HOURS_DEFAULT,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """The link of a reception that works for these providers. Raises Refused `bad_request`."""
    tokens = [
        mint(
            invitations.reception_claims(
                provider.id,
                provider.epoch,
                audience=public_url,
                jti=links.new_id(random(links.ID_BYTES)),
                now=now,
                hours=hours,
            ),
            ring.current,
        )
        for provider in providers
    ]
    return links.reception(public_url, tokens)


def find_provider(providers: Providers, name: str) -> Provider:
    """The active provider of that name or id. Raises StartError that says what to do."""
    found = providers.named(name) or providers.get(name)
    if found is None:
        raise StartError(
            f"there is no provider named {name!r}: konsil provider list shows them, "
            "konsil provider add makes one"
        )
    if not found.active:
        raise StartError(f"the provider {found.name!r} is not active")
    return found


def demo_provider(providers: Providers) -> Provider:
    return providers.named(DEMO_PROVIDER) or providers.add(DEMO_PROVIDER)


def starting_time(text: str, now: int) -> int:
    """Seconds since 1970 of `now` or an ISO 8601 time; without an offset it is local time.

    Raises ValueError.
    """
    if text.strip().lower() == "now":
        return now
    try:
        given = dt.datetime.fromisoformat(text.strip())
        # Naive means local here: the person at this keyboard reads a clock on the wall.
        moment = given.astimezone()
    except (ValueError, OverflowError):
        raise ValueError("is neither `now` nor a time like 2026-12-24T15:30") from None
    if given.tzinfo is None and moment.replace(tzinfo=None) != given:
        raise ValueError("does not exist here: clocks are put forward in that hour")
    return int(moment.timestamp())


def _iso(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
