"""`konsil doctor`: checks a deployment as a client would, and says what to do."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from redis.exceptions import RedisError

from konsil import audit, clock, invite, openid_check, relay_check, sfu_check, tls, turn_plan
from konsil.certificate_check import PATIENCE
from konsil.errors import StartError
from konsil.findings import Finding, exit_code, fine, note, unknown, wrong
from konsil.ice import RelayAccess, external
from konsil.relay_check import Relays
from konsil.setting_rules import is_local, origin
from konsil.settings import Settings
from konsil.turn_secret import KeptSecrets, secrets_file
from konsil.web_check import WebCheck
from waiting_room import links
from waiting_room.connection import connect, explain
from waiting_room.errors import ConfigError, Refused
from waiting_room.invitations import MINUTES_MIN
from waiting_room.keys import KeyRing
from waiting_room.keyspace import Keyspace
from waiting_room.providers import Providers
from waiting_room.store import SessionStore

_CREDENTIAL_SECONDS: Final = 120


async def run(settings: Settings, state_dir: Path) -> int:
    """Prints a line per check; gives 0, 1 or 2, see findings.exit_code."""
    findings: list[Finding] = []

    def tell(*found: Finding) -> None:
        findings.extend(found)
        for one in found:
            print(one.line(), flush=True)

    context = _trust(settings, state_dir)
    signaling = "signaling" in settings.roles
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        public_url = _public_url(settings)
        if signaling:
            tell(*await _redis(settings, state_dir))
            if public_url:
                tell(*await WebCheck(session, public_url, context).run())
            else:
                tell(
                    unknown(
                        "public URL", "not known, since the port is chosen at start: --public-url"
                    )
                )
            tell(*_legal_links(settings))
            if settings.oidc_issuer and public_url:
                tell(await openid_check.check(settings, public_url))
        if signaling or "turn" in settings.roles:
            tell(*await _relay(settings, state_dir, session, public_url, context))
        if sfu_check.is_wanted(settings):
            tell(*await _forwarders(settings, state_dir))
    return exit_code(findings)


def _public_url(settings: Settings) -> str:
    """Empty where nobody can know it."""
    if not settings.public_url and not settings.port:
        return ""
    lan_host = tls.lan_address() if settings.tls_self_signed else None
    return origin(settings, settings.port, lan_host)


def _legal_links(settings: Settings) -> list[Finding]:
    """Nothing is wrong without them, here; by the law of many countries something is."""
    if not settings.public_url or is_local(urlsplit(settings.public_url).hostname or ""):
        return []
    missing = [
        name
        for name, url in (
            ("KONSIL_IMPRINT_URL", settings.imprint_url),
            ("KONSIL_PRIVACY_URL", settings.privacy_url),
        )
        if not url
    ]
    if not missing:
        return []
    text = f"{' and '.join(missing)} not set: in many countries pages must link to both"
    return [note("legal notices", text)]


def _trust(settings: Settings, state_dir: Path) -> ssl.SSLContext:
    """What browsers trust, and the certificate that `--tls-self-signed` has made."""
    context = ssl.create_default_context()
    own = state_dir / "tls" / "self-signed.pem"
    if settings.tls_self_signed and own.is_file():
        context.load_verify_locations(own)
    return context


def _redis_of(settings: Settings, state_dir: Path) -> tuple[str, str] | None:
    """URL and key prefix; None where only a private Redis would do, and none runs."""
    if settings.redis_url is not None:
        return settings.redis_url.reveal(), settings.redis_prefix
    return audit.embedded(state_dir)


async def _forwarders(settings: Settings, state_dir: Path) -> list[Finding]:
    found = _redis_of(settings, state_dir)
    if found is None:
        return [unknown("forwarder", "found through Redis, which is not known; see there")]
    client = connect(found[0])
    try:
        return await sfu_check.check(settings, client, found[1])
    finally:
        await client.aclose()


async def _redis(settings: Settings, state_dir: Path) -> list[Finding]:
    source = "private" if settings.redis_url is None else "KONSIL_REDIS_URL"
    found = _redis_of(settings, state_dir)
    if found is None:
        return [
            unknown(
                "Redis",
                f"no server with a private Redis runs on {state_dir}: run this where the server "
                "runs, with its --state-dir, or name what it uses by KONSIL_REDIS_URL",
            )
        ]
    url, prefix = found
    client = connect(url)
    started = time.monotonic()
    try:
        await SessionStore(client, Keyspace(prefix), "doctor").check()
        findings = [fine("Redis", f"takes and gives ({source}, {_milliseconds(started)})")]
        async with asyncio.timeout(PATIENCE):
            return findings + _kept(await client.info("memory"), await client.info("persistence"))
    except (ConfigError, RedisError, OSError) as error:
        words = str(error) if isinstance(error, ConfigError) else explain(error)
        return [wrong("Redis", words)]
    finally:
        await client.aclose()


def _kept(memory: Mapping[str, Any], persistence: Mapping[str, Any]) -> list[Finding]:
    """What Redis does with sessions that it must not do."""
    policy = memory.get("maxmemory_policy", "noeviction")
    found = [wrong("Redis disk", words) for words in audit.on_disk(persistence)]
    if policy != "noeviction":
        text = f"throws people out when it is full ({policy}): set maxmemory-policy noeviction"
        found.append(wrong("Redis memory", text))
    return found


async def _relay(
    settings: Settings,
    state_dir: Path,
    session: aiohttp.ClientSession,
    public_url: str,
    context: ssl.SSLContext,
) -> list[Finding]:
    given: list[Relays] | Finding
    if "signaling" in settings.roles and public_url:
        given = await _as_host(state_dir, session, public_url, context)
    else:
        given = note("relay", "looked for where the settings say")
    findings = []
    if isinstance(given, Finding):
        findings.append(given)
        try:
            given = _as_set(settings, state_dir)
        except StartError as error:
            return [*findings, unknown("relay", str(error))]
    if not given:
        findings.append(
            note("relay", "none: calls fail where firewalls forbid a direct path; see role turn")
        )
    return findings + await relay_check.check(given, context)


async def _as_host(
    state_dir: Path, session: aiohttp.ClientSession, public_url: str, context: ssl.SSLContext
) -> list[Relays] | Finding:
    """What the server gives a host; the consultation is made up, and stored nowhere."""
    subject = "relay access"
    try:
        token = _host_token(state_dir, public_url)
    except (ConfigError, Refused) as error:
        return unknown(subject, f"cannot ask the server as a host: {error}")
    if token is None:
        return note(
            subject,
            f"no provider in {state_dir}, so the server is not asked but the settings are; "
            "konsil provider add NAME makes one",
        )
    try:
        async with session.get(
            f"{public_url}/api/v1/ice-servers",
            headers={"Authorization": f"Bearer {token}"},
            ssl=context,
        ) as answer:
            document: Any = await answer.json(content_type=None)
        if answer.status != 200:
            return wrong(
                subject,
                f"the server refuses a host ({document.get('code')}): it has another state "
                "directory or public URL than these settings, or another clock",
            )
        return [
            Relays(tuple(entry["urls"]), entry["username"], entry["credential"])
            for entry in document["ice_servers"]
            if "username" in entry
        ]
    except (aiohttp.ClientError, OSError, TimeoutError):
        return unknown(subject, "the server does not say where its relay is")
    except (ValueError, KeyError, TypeError, AttributeError):
        return wrong(subject, "not the answer of a Konsil server: see what the proxy passes on")


def _host_token(state_dir: Path, public_url: str) -> str | None:
    """None without a provider, or keys to sign with."""
    if not (state_dir / "keys").is_dir():
        return None
    provider = next((p for p in Providers(state_dir).list() if p.active), None)
    if provider is None:
        return None
    now = clock.now()
    made = invite.consultation(
        KeyRing.open(state_dir),
        provider,
        public_url,
        starts_at=now,
        minutes=MINUTES_MIN,
        now=now,
    )
    parts = links.parse(made.host_url)
    return None if parts is None else parts.token


def _as_set(settings: Settings, state_dir: Path) -> list[Relays]:
    """Where the settings say the relay is, with a password that we make ourselves."""
    access = external(settings.turn_external, settings.turn_secret)
    if access is None and "turn" in settings.roles:
        access = _own_access(settings, state_dir)
    if access is None:
        return []
    made = access.credentials("doctor", clock.now() + _CREDENTIAL_SECONDS)
    return [Relays(access.relay_urls, *made)] if made else []


def _own_access(settings: Settings, state_dir: Path) -> RelayAccess:
    lan_host = chain = None
    if settings.tls_self_signed:
        lan_host = tls.lan_address()
        chain = (state_dir / "tls" / "self-signed.pem", state_dir / "tls" / "self-signed.key")
    elif settings.tls_cert is not None and settings.tls_key is not None:
        chain = settings.tls_cert, settings.tls_key
    planned = turn_plan.plan(settings, chain, lan_host)
    if not all((planned.ports.plain, *planned.ports.tls)):
        raise StartError("its port is chosen at start, so nobody knows it: set KONSIL_TURN_PORT")
    if settings.turn_secret is not None:
        secret = settings.turn_secret
        return RelayAccess(planned.urls(planned.ports), lambda: secret)
    if not secrets_file(state_dir).is_file():
        raise StartError(f"no relay has been started with the state directory {state_dir}")
    kept = KeptSecrets.open(state_dir, clock.SystemClock().wall)
    return RelayAccess(planned.urls(planned.ports), kept.current)


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
