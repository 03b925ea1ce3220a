"""Settings of the relay. Whoever runs it makes one of these; nothing is read from elsewhere."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from turn.checks import check_ports
from turn.five_tuple import Transport

# RFC 8656 §3.2 and §7.2: what an allocation lives without and with a LIFETIME in the request.
MIN_ALLOCATION_LIFETIME = 600
MAX_ALLOCATION_LIFETIME = 3600


class ConfigError(ValueError):
    """A missing or contradictory setting; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address to serve clients on. `0.0.0.0` and `::` stand for every address of the host.

    Port 0 lets the kernel choose; `Relay.listeners` tells which it chose.
    """

    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the relay, each per process; what happens at a bound is said with it."""

    allocations: int = 4000
    """Allocations in all; beyond it Allocate is answered 508."""
    allocations_per_user: int = 64
    """Allocations of one credential's opaque part; beyond it 486."""
    allocations_per_address: int = 512
    """Allocations of one client address (IPv6: one /64); beyond it 486."""
    permissions_per_allocation: int = 128
    """Peer addresses permitted at a time; beyond it CreatePermission is answered 508."""
    channels_per_allocation: int = 128
    """Channels bound or in quarantine; beyond it ChannelBind is answered 508."""
    bandwidth: int = 50_000_000
    """Bits per second of payload per allocation and direction; what exceeds it is dropped."""
    requests_per_address: float = 100.0
    """Requests per second of one address (IPv6: one /64) outside allocations, Allocate included;
    over UDP, where an address may be forged, and over TCP and TLS, each for itself. Over UDP the
    excess is dropped unanswered, and the client's retransmission finds room; else it is 500."""
    request_burst: float = 400.0
    """Requests such an address may send at once."""
    requests_per_allocation: float = 100.0
    """Requests per second on one allocation's five-tuple; the excess as above."""
    unproven_excess: int = 2048
    """Bytes that answers to one unproven UDP source may exceed its requests by at once, and per
    second; for Bindings and for all else, each for itself. Beyond it requests go unanswered."""
    checks: int = 128
    """Check credentials in use at a time; beyond it Allocate with a further one is answered 508."""
    check_allocations: int = 24
    """Allocations of one check credential, those that have ended too; beyond it 486."""
    check_allocations_in_all: int = 512
    """Allocations of checks at a time; beyond it 508. They are not counted to `allocations`."""
    check_allocations_per_address: int = 128
    """Allocations of checks of one client address (IPv6: one /64); beyond it 486. They are not
    counted to `allocations_per_address`."""
    check_bytes: int = 3 << 20
    """Payload of one check credential, in and out of all its relayed addresses together; what
    exceeds it is dropped."""
    connections: int = 4000
    """TCP and TLS connections in all; a further one is closed at once."""
    connections_per_address: int = 256
    """TCP and TLS connections of one address (IPv6: one /64); a further one is closed at once."""
    handshakes_per_address: float = 20.0
    """TLS connections accepted per second from one address (IPv6: one /64); a further one is closed
    at once, before it costs a handshake."""
    handshake_burst: float = 100.0
    """TLS connections such an address may open at once."""
    handshake_seconds: float = 10.0
    """Time for a TLS handshake, for a frame once its first byte has come, and for a client to read
    what is left for it on a connection that ends."""
    idle_seconds: float = 60.0
    """Time a connection may stay without an allocation."""


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """Everything the relay needs to know.

    `secrets`: shared secrets for time-limited credentials, newest first; all are accepted, so
    that a rotation overlaps. `relay_ipv4`/`relay_ipv6`: address that relayed addresses are made
    on; "auto" finds the host's own, "" turns the family off. `external_ipv4`/`external_ipv6`:
    what a one-to-one NAT in front shows the world instead. `allowed_peers`/`denied_peers`:
    networks; a denied one stays denied whatever allows it.
    """

    secrets: tuple[str, ...]
    realm: str = "konsil"
    listen: tuple[Listener, ...] = (
        Listener(Transport.UDP, "0.0.0.0", 3478),  # noqa: S104 - a public server listens everywhere
        Listener(Transport.TCP, "0.0.0.0", 3478),  # noqa: S104
    )
    relay_ipv4: str = "auto"
    relay_ipv6: str = "auto"
    external_ipv4: str = ""
    external_ipv6: str = ""
    min_port: int = 49152
    max_port: int = 65535
    tls_certificate: str = ""
    tls_key: str = ""
    allow_loopback_peers: bool = False
    """For trials on one machine: peers on loopback may be reached, and coturn's test client may
    use the channel numbers it knows."""
    rfc5766_channels: bool = False
    """Accept channel numbers 0x5000 to 0x7FFF, which RFC 8656 took away, from every client."""
    allowed_peers: tuple[str, ...] = ()
    denied_peers: tuple[str, ...] = ()
    allowed_services: tuple[tuple[str, int], ...] = ()
    """Numeric addresses and ports that may be reached although they are private or this host's own,
    each at that port alone; a denied network wins over them."""
    max_credential_lifetime: int = 93_600
    """A user name whose expiry lies further ahead was not issued here (a day and two hours)."""
    nonce_lifetime: int = 600
    processes: int = 1
    limits: Limits = field(default_factory=Limits)

    @property
    def ports_for_calls(self) -> range:
        """Relay ports of all processes but those for checks."""
        return range(self.min_port, self.ports_for_checks.start)

    @property
    def ports_for_checks(self) -> range:
        """The last ports of the range, for checks alone; may be empty."""
        end = self.max_port + 1
        return range(end - check_ports(range(self.min_port, end), self.processes), end)

    def validate(self) -> None:
        """Raise ConfigError with one line that says what to do."""
        if not self.secrets or not all(self.secrets):
            raise ConfigError("the relay needs a shared secret: set KONSIL_TURN_SECRET")
        if not self.realm or len(self.realm.encode()) > 127 or '"' in self.realm:
            raise ConfigError("the relay's realm must be 1 to 127 bytes without quotes")
        if not self.listen:
            raise ConfigError("the relay has no address to listen on: set KONSIL_TURN_PORT")
        if not 1024 <= self.min_port <= self.max_port <= 65535:
            raise ConfigError("relay ports must satisfy 1024 <= min_port <= max_port <= 65535")
        if self.max_port - self.min_port + 1 < self.processes * 2:
            raise ConfigError("the relay port range is too small for the number of processes")
        if not 1 <= self.processes <= 64:
            raise ConfigError("the relay runs in 1 to 64 processes")
        tls = any(listener.transport is Transport.TLS for listener in self.listen)
        if tls and not (self.tls_certificate and self.tls_key):
            raise ConfigError("a TLS listener needs tls_certificate and tls_key")
        for name in ("relay_ipv4", "relay_ipv6", "external_ipv4", "external_ipv6"):
            value = getattr(self, name)
            if value and not (value == "auto" and name.startswith("relay")):
                self._check_host(name, value)
        for network in (*self.allowed_peers, *self.denied_peers):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigError(f"not a network for a peer list: {error}") from None
        for host, port in self.allowed_services:
            try:
                ipaddress.ip_address(host)
            except ValueError as error:
                raise ConfigError(f"not an address of a service: {error}") from None
            if not 0 < port < 65536:
                raise ConfigError(f"not a port of a service: {port}")

    @staticmethod
    def _check_host(name: str, value: str) -> None:
        try:
            version = ipaddress.ip_address(value).version
        except ValueError:
            raise ConfigError(f"{name} must be a numeric address, not {value!r}") from None
        if version != int(name[-1]):
            raise ConfigError(f"{name} must be an IPv{name[-1]} address")
