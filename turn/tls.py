"""The TLS side of listening: versions, certificate, ALPN."""

from __future__ import annotations

import ssl

from turn.config import ConfigError, RelayConfig

# RFC 7443: TURN, and STUN for NAT discovery. A client that offers no ALPN, as browsers do for
# TURN, is served all the same.
ALPN = ["stun.turn", "stun.nat-discovery"]


def server_context(config: RelayConfig) -> ssl.SSLContext | None:
    """A context for the configured certificate, None without one; raises ConfigError."""
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the relay cannot use its TLS certificate: {error}") from error
    return context
