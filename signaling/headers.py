"""Security headers, put on every HTTP response, whoever made it.

They are computed once per process: the public URL decides whether HSTS is sent and which
WebSocket origin the pages may connect to.
"""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from aiohttp import web

CACHE_NEVER = "no-store"
CACHE_REVALIDATE = "no-cache"
"""Stored, but asked for again with its ETag each time: a new release is seen at the next load."""

WASM_WORKER = "/static/js/blurworker.js"
"""The one script that may compile WebAssembly: a worker goes by its own answer's policy."""

_TWO_YEARS_S = 63_072_000

# Only names that browsers know: an unknown one is an error in their console.
_ALLOWED_FEATURES = (
    "autoplay",
    "camera",
    "clipboard-write",
    "display-capture",
    "fullscreen",
    "microphone",
    "picture-in-picture",
    "screen-wake-lock",
)
_REFUSED_FEATURES = (
    "accelerometer",
    "browsing-topics",
    "clipboard-read",
    "encrypted-media",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "keyboard-map",
    "local-fonts",
    "magnetometer",
    "midi",
    "otp-credentials",
    "payment",
    "serial",
    "storage-access",
    "sync-xhr",
    "usb",
    "window-management",
    "xr-spatial-tracking",
)
_PASSKEY_FEATURES = ("publickey-credentials-create", "publickey-credentials-get")


def origin_of(url: str) -> str:
    """Give the origin (RFC 6454 section 6.2) of `url` in the form browsers send it."""
    parts = urlsplit(url)
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def security_headers(public_url: str, *, passkeys: bool = False) -> Mapping[str, str]:
    """Give the headers of every response of a server that is reached at `public_url`.

    `passkeys`: whether providers may sign in with one.
    """
    origin = origin_of(public_url)
    secure = origin.startswith("https://")
    # Safari before 15.4 does not take 'self' for the WebSocket of the same origin.
    websocket_origin = "ws" + origin.removeprefix("http")
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "connect-src": f"'self' {websocket_origin}",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "require-trusted-types-for": "'script'",
        # The one policy a page may make: it turns our own worker's URL into a trusted one.
        "trusted-types": "konsil",
    }
    features = [f"{name}=(self)" for name in _ALLOWED_FEATURES]
    features += [f"{name}=()" for name in _REFUSED_FEATURES]
    features += [f"{name}={'(self)' if passkeys else '()'}" for name in _PASSKEY_FEATURES]
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": ", ".join(features),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
    }
    if secure:
        headers["Strict-Transport-Security"] = f"max-age={_TWO_YEARS_S}"
    return headers


def on_response_prepare(
    headers: Mapping[str, str],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Make the aiohttp signal that adds `headers` and takes the server's banner away."""

    policy = headers["Content-Security-Policy"]
    compiles = policy.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)
        if request.path == WASM_WORKER:
            response.headers["Content-Security-Policy"] = compiles
        response.headers.setdefault("Cache-Control", CACHE_NEVER)
        response.headers.pop("Server", None)

    return prepare
