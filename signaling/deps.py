"""What signaling is given by whoever puts the services together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from signaling.address import Network
from signaling.forwarders import Forwarders, NoForwarders
from signaling.metrics import Metrics
from signaling.node import Clock
from signaling.seats import CONNECTIONS_PER_ADDRESS, MAX_CONNECTIONS
from waiting_room.keys import KeyRing
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.providers import Providers
from waiting_room.store import SessionStore
from waiting_room.used_links import UsedLinks


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of RTCConfiguration.iceServers."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class IceServers:
    """What a page connects with; good for `ttl` seconds."""

    servers: tuple[IceServer, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class CheckServers:
    """What a page measures the way to the relay with.

    `relay`: "own" knows of checks, "other" may refuse them, "none" is not there; then `servers`
    is empty.
    """

    relay: Literal["own", "other", "none"]
    servers: tuple[IceServer, ...] = ()
    ttl: int = 0


def no_check(opaque: str) -> CheckServers:
    """There is no relay."""
    return CheckServers("none")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdSettings:
    """An OpenID provider by which providers of ours may sign in."""

    issuer: str
    client_id: str
    secret: Callable[[], str]
    """Reveals the client's secret; "" for a client that has none."""
    claim: str
    scope: str
    label: str
    """What the button of the desk calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Everything that signaling does not make itself."""

    store: SessionStore
    keyring: KeyRing
    providers: Providers
    used_links: UsedLinks
    metrics: Metrics
    clock: Clock
    random: Callable[[int], bytes]
    """Gives that many unpredictable bytes."""
    public_url: str
    web_root: Path
    ice_servers: Callable[[str, int], IceServers]
    """Makes the ICE servers of one participant out of an opaque id of theirs; credentials are
    good until the given time (s since 1970), or less."""
    check_servers: Callable[[str], CheckServers] = no_check
    """Makes those of one check out of an opaque id of it; they are good for nothing else."""
    ready: Callable[[], Sequence[str]] = tuple
    """Names what else is not ready to serve ("relay"), nothing when all is well."""
    ice_transport_policy: Literal["all", "relay"] = "all"
    media_topology: Literal["auto", "p2p", "sfu"] = "auto"
    tells_place: bool = True
    """Whether those who wait are told their place in line."""
    imprint_url: str = ""
    privacy_url: str = ""
    """Pages of the operator's that all of ours link to; "": none."""
    client_quality: bool = False
    """Whether pages say at the end of a call, in coarse steps, how it was."""
    trusted_proxies: tuple[Network, ...] = ()
    passkeys: PasskeyFiles | None = None
    """None: nobody signs in with a passkey here."""
    openid: OpenIdSettings | None = None
    """None: nobody signs in by way of an OpenID provider here."""
    forwarders: Forwarders = field(default_factory=NoForwarders)
    reload_pages: bool = False
    max_connections: int = MAX_CONNECTIONS
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
