"""What settings mean together: which contradict, and the public URL that follows from them."""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from konsil.errors import SettingsError
from konsil.settings import Settings


def is_local(host: str) -> bool:
    """Whether browsers take http:// to this host for a secure context (Secure Contexts 3.1)."""
    host = host.strip("[]")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(settings: Settings, port: int, lan_host: str | None = None) -> str:
    """The public URL: as set, or derived from the port listened on.

    `lan_host`: a name or address of this machine in the local network, used with --tls-self-signed.
    """
    if settings.public_url:
        return settings.public_url
    host = "localhost"
    if settings.tls_self_signed and settings.host in {"", "::", "0.0.0.0"} and lan_host:  # noqa: S104
        host = lan_host
    elif settings.host and not is_local(settings.host) and settings.tls:
        host = settings.host
    if host in {"::", "0.0.0.0"}:  # noqa: S104 - compared with, not bound to
        host = "localhost"
    if ":" in host:
        host = f"[{host}]"
    scheme = "https" if settings.tls else "http"
    standard = 443 if settings.tls else 80
    return f"{scheme}://{host}" + ("" if port == standard else f":{port}")


def check_serve(settings: Settings) -> tuple[str, ...]:
    """Raises SettingsError where settings contradict; gives remarks on what only looks odd."""
    for wrong, message in _CONTRADICTIONS:
        if wrong(settings):
            raise SettingsError(message)
    if "signaling" not in settings.roles:
        return ()
    public = urlsplit(settings.public_url)
    remarks = []
    if (
        settings.tls_cert is not None
        and public.hostname
        and not is_local(public.hostname)
        and is_local(settings.listen_host)
        and not settings.trusted_proxies
    ):
        remarks.append(
            f"listening on {settings.listen_host}, so only this machine gets in: set "
            "KONSIL_HOST=:: for all addresses, since KONSIL_TLS_CERT is for visitors"
        )
    if public.scheme == "https" and not settings.tls and not settings.trusted_proxies:
        remarks.append(
            "KONSIL_PUBLIC_URL is https, so a reverse proxy stands in front: name it in "
            "KONSIL_TRUSTED_PROXIES, or every visitor counts as one"
        )
    return tuple(remarks)


def _insecure_public_url(settings: Settings) -> bool:
    public = urlsplit(settings.public_url)
    return (
        public.scheme == "http"
        and not is_local(public.hostname or "")
        and not settings.tls
        and not settings.trusted_proxies
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _same_ports(settings: Settings) -> bool:
    taken = [settings.port, settings.metrics_port]
    if "sfu" in settings.roles:
        taken.append(settings.sfu_port)
    if "turn" in settings.roles and not settings.turn_external:
        relay = [settings.turn_port, settings.turn_tls_port, settings.turn_fallback_port]
        if settings.turn_host and settings.host and settings.turn_host != settings.host:
            # On a machine with several addresses HTTPS and the relay may both have 443.
            return _twice(taken) or _twice(relay)
        taken += relay
    return _twice(taken)


def _twice(numbers: Sequence[int | None]) -> bool:
    ports = [port for port in numbers if port]
    return len(set(ports)) != len(ports)


_CONTRADICTIONS: Final[tuple[tuple[Callable[[Settings], bool], str], ...]] = (
    (
        lambda s: (s.tls_cert is None) != (s.tls_key is None),
        "KONSIL_TLS_CERT and KONSIL_TLS_KEY belong together: set both or neither",
    ),
    (
        lambda s: s.tls_self_signed and s.tls_cert is not None,
        "KONSIL_TLS_SELF_SIGNED and KONSIL_TLS_CERT exclude each other: keep one",
    ),
    (
        lambda s: s.tls and s.public_url.startswith("http://"),
        "KONSIL_PUBLIC_URL must begin with https:// since the server speaks TLS",
    ),
    (
        _insecure_public_url,
        "KONSIL_PUBLIC_URL must be https://, since browsers give camera and microphone to secure "
        "pages only: set --tls-cert and --tls-key, or --tls-self-signed, or put a reverse proxy in "
        "front and name it in KONSIL_TRUSTED_PROXIES",
    ),
    (
        lambda s: s.passkeys and _is_address(urlsplit(s.public_url).hostname or ""),
        "KONSIL_PASSKEYS needs a KONSIL_PUBLIC_URL with a host name: browsers have passkeys for "
        "names only, not for addresses",
    ),
    (
        lambda s: bool(s.oidc_issuer) != bool(s.oidc_client_id),
        "KONSIL_OIDC_ISSUER and KONSIL_OIDC_CLIENT_ID belong together: set both or neither",
    ),
    (
        lambda s: s.oidc_client_secret is not None and not s.oidc_issuer,
        "KONSIL_OIDC_CLIENT_SECRET needs KONSIL_OIDC_ISSUER and KONSIL_OIDC_CLIENT_ID",
    ),
    (
        lambda s: "openid" not in s.oidc_scope.split(),
        "KONSIL_OIDC_SCOPE must hold openid, as in: openid email",
    ),
    (
        lambda s: s.redis_url is not None and s.redis_server is not None,
        "KONSIL_REDIS_URL and KONSIL_REDIS_SERVER exclude each other: the first means a Redis "
        "elsewhere, the second a private one",
    ),
    (
        lambda s: any(u.startswith("turn") for u in s.turn_external) and s.turn_secret is None,
        "KONSIL_TURN_EXTERNAL needs KONSIL_TURN_SECRET, the static-auth-secret of that server",
    ),
    (
        lambda s: (
            s.ice_transport_policy == "relay" and "turn" not in s.roles and not s.turn_external
        ),
        "KONSIL_ICE_TRANSPORT_POLICY=relay needs a relay: add the role turn, or set "
        "KONSIL_TURN_EXTERNAL",
    ),
    (
        lambda s: s.media_topology == "sfu" and "sfu" not in s.roles and s.redis_url is None,
        "KONSIL_MEDIA_TOPOLOGY=sfu needs a forwarder: the role sfu in KONSIL_ROLES, or on another "
        "machine with the same KONSIL_REDIS_URL",
    ),
    (
        lambda s: (s.turn_tls_cert is None) != (s.turn_tls_key is None),
        "KONSIL_TURN_TLS_CERT and KONSIL_TURN_TLS_KEY belong together: set both or neither",
    ),
    (
        lambda s: s.turn_former_secret is not None and s.turn_secret is None,
        "KONSIL_TURN_FORMER_SECRET is for a KONSIL_TURN_SECRET that was changed: set that, too",
    ),
    (
        lambda s: s.turn_max_port - s.turn_min_port + 1 < 2 * s.turn_processes,
        "KONSIL_TURN_MIN_PORT to KONSIL_TURN_MAX_PORT must be two ports or more for each process",
    ),
    (
        _same_ports,
        "KONSIL_PORT, KONSIL_METRICS_PORT, KONSIL_TURN_PORT, KONSIL_TURN_TLS_PORT, "
        "KONSIL_TURN_FALLBACK_PORT and KONSIL_SFU_PORT must differ",
    ),
)
