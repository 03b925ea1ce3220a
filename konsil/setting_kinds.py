"""The kinds of value a setting can have: how each is read from text, and checked.

Every kind takes the text of a flag or of an environment variable; from the TOML file it takes the
value as TOML has it. A ValueError's message completes the sentence "KONSIL_X …".
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from konsil.secret import Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
# RFC 7064 and RFC 7065, as browsers read them.
_PLACE = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>[0-9]{1,5}))?"
_STUN_URL = re.compile(rf"stun:{_PLACE}")
_TURN_URL = re.compile(rf"turns?:{_PLACE}(\?transport=(udp|tcp))?")
# RFC 3986, without the apostrophe: it ends an attribute as well as a quotation mark does.
_URL_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=-]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. `read` makes it of a text; `metavar` stands for it in the help text."""

    metavar: str
    read: Callable[[str], object]
    secret: bool = False
    switch: bool = False  # a flag without an argument

    def take(self, value: object) -> object:
        """The checked value of a TOML value; a list of texts is taken as comma-separated text."""
        match value:
            case str():
                return self.read(value)
            case bool():
                if not self.switch:
                    raise ValueError("must not be true or false")
                return value
            case int() if not self.switch:
                return self.read(str(value))
            case list() if all(isinstance(item, str) for item in value):
                return self.read(",".join(value))
        raise ValueError(f"cannot be a TOML {type(value).__name__}")


def _switch(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError("must be true or false")


def _text(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be a printable, non-empty text")
    return text.strip()


def _word(text: str) -> str:
    # It becomes part of Redis ACL patterns, where * ? [ ] and spaces have a meaning.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", text):
        raise ValueError("must be 1 to 32 letters, digits, dots, hyphens or underscores")
    return text


def _secret(text: str) -> Secret:
    if not text.strip():
        raise ValueError("must not be empty")
    return Secret(text.strip())


def _redis_url(text: str) -> Secret:
    try:
        parts = urlsplit(text.strip())
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError("names no server")
    return Secret(text.strip())


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ValueError("must be a path")
    return expanded(Path(text.strip())).absolute()


def expanded(path: Path) -> Path:
    """With a home directory for ~. Raises ValueError where there is none, as in some containers."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, but there is no such home directory") from None


def _host(text: str) -> str:
    host = text.strip().strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST.match(host):
            raise ValueError("must be an address or a host name") from None
    return host.lower()


def _family_address(version: int, *, auto: bool) -> Callable[[str], str]:
    def read(text: str) -> str:
        word = text.strip().lower()
        if auto and word == "auto":
            return word
        if word in {"", "off"}:
            return ""
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            address = None
        if address is None or address.version != version:
            raise ValueError(f"must be an IPv{version} address{', auto' if auto else ''} or off")
        return str(address)

    return read


def _public_url(text: str) -> str:
    """An origin: scheme, host and port, without path. Made canonical, as browsers send it."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must look like https://consult.example")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must not have a path: Konsil needs a host name of its own")
    host = _host(parts.hostname)
    if ":" in host:
        host = f"[{host}]"
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, standard) else f":{port}")


def _secure_url(text: str, example: str) -> SplitResult:
    """The parts of an https URL, or of an http one to this machine."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError(f"must look like {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    return parts


def _issuer(text: str) -> str:
    """Kept as it is: an issuer is compared to the letter (OpenID Connect Discovery 4.3)."""
    url = text.strip()
    parts = _secure_url(url, "https://login.example")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError("must have no query and no fragment")
    return url


def _page_url(text: str) -> str:
    """A page elsewhere that ours link to."""
    url = text.strip()
    # urlsplit() passes over line feeds and tabs, so it is not asked first.
    if not _URL_CHARACTERS.fullmatch(url):
        raise ValueError("must be a URL; characters that URLs do not have are written as %XX")
    _secure_url(url, "https://clinic.example/imprint")
    return url


def _networks(text: str) -> tuple[Network, ...]:
    networks = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError:
            raise ValueError("must be addresses or networks like 10.0.0.0/8") from None
    return tuple(networks)


def _relay_urls(text: str) -> tuple[str, ...]:
    urls = tuple(filter(None, (part.strip() for part in text.split(","))))
    for url in urls:
        match = _STUN_URL.fullmatch(url) or _TURN_URL.fullmatch(url)
        # Browsers make no call at all with a list that has one wrong URL in it.
        if match is None or int(match["port"] or 1) not in range(1, 65536):
            raise ValueError("must be URLs like turn:relay.example:3478?transport=udp")
    return urls


def whole(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`, both included."""

    def read(text: str) -> int:
        # int() alone also takes "1_0", " 1" and digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,12}", text.strip()) or not low <= int(text) <= high:
            hint = ""
            if "://" in text:
                hint = "; Kubernetes sets it so by itself unless enableServiceLinks is false"
            raise ValueError(f"must be a whole number from {low} to {high}{hint}")
        return int(text)

    return Kind("N", read)


def choice(*allowed: str) -> Kind:
    """One of a few words."""

    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError("must be one of " + ", ".join(allowed))
        return word

    return Kind("|".join(allowed), read)


def subset(*allowed: str) -> Kind:
    """One or more of a few words, comma-separated, each once; given back in the order declared."""

    def read(text: str) -> tuple[str, ...]:
        words = [part.strip().lower() for part in text.split(",")]
        if len(set(words)) != len(words) or not set(words) <= set(allowed):
            raise ValueError("must be one or more of " + ",".join(allowed) + ", each once")
        return tuple(word for word in allowed if word in words)

    return Kind("LIST", read)


TEXT = Kind("TEXT", _text)
WORD = Kind("WORD", _word)
SECRET = Kind("SECRET", _secret, secret=True)
REDIS_URL = Kind("URL", _redis_url, secret=True)
PATH = Kind("PATH", _path)
HOST = Kind("HOST", _host)
IPV4 = Kind("ADDRESS", _family_address(4, auto=True))
IPV6 = Kind("ADDRESS", _family_address(6, auto=True))
# What a NAT shows outside cannot be found out from here.
IPV4_OUTSIDE = Kind("ADDRESS", _family_address(4, auto=False))
IPV6_OUTSIDE = Kind("ADDRESS", _family_address(6, auto=False))
PUBLIC_URL = Kind("URL", _public_url)
ISSUER = Kind("URL", _issuer)
PAGE_URL = Kind("URL", _page_url)
NETWORKS = Kind("LIST", _networks)
RELAY_URLS = Kind("LIST", _relay_urls)
SWITCH = Kind("", _switch, switch=True)
PORT = whole(0, 65535)
