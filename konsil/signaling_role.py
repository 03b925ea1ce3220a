"""The role signaling: Redis, the waiting room's store and keys, HTTP and WebSocket."""

import contextlib
import secrets
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from konsil import invite, listen, redis_program
from konsil.clock import SystemClock, now
from konsil.errors import StartError
from konsil.house import House, Running
from konsil.redis_child import RedisChild
from konsil.secret import Secret
from konsil.setting_rules import origin
from konsil.settings import Settings
from konsil.sfu_access import SfuAccess
from konsil.turn_secret import CREDENTIAL_SECONDS
from signaling.app import Server, build
from signaling.deps import CheckServers, Deps, IceServer, IceServers, OpenIdSettings, no_check
from signaling.metrics import Metrics
from signaling.pages import PagesError
from signaling.seats import MAX_CONNECTIONS
from turn.checks import CHECK_SECONDS
from waiting_room.connection import connect
from waiting_room.invitations import MINUTES_MAX
from waiting_room.keys import KeyRing
from waiting_room.keyspace import ACL_COMMANDS, Keyspace
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.providers import Providers
from waiting_room.store import SessionStore
from waiting_room.used_links import UsedLinks


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[Running]:
    """Starts signaling; see house.Starter."""
    settings = house.settings
    async with contextlib.AsyncExitStack() as stack:
        # Before all else: nothing is started, and no key made, where the port is taken.
        sockets = listen.bind(settings.listen_host, settings.port, "KONSIL_PORT")
        for one in sockets:
            stack.callback(one.close)
        public_url = origin(settings, sockets[0].getsockname()[1], house.lan_host)
        keyring, providers = KeyRing.open(house.state_dir), Providers(house.state_dir)
        redis_url, redis_line = await stack.enter_async_context(_redis(house))
        client = connect(redis_url.reveal())
        stack.push_async_callback(client.aclose)
        house.redis.set_result(redis_url)
        # A new id at every start: what a former process of this node held is gone.
        store = SessionStore(client, Keyspace(settings.redis_prefix), secrets.token_hex(8))
        await store.check()
        house.redis_answers = store.ping
        # Listening and asking block each other nowhere: forwarders have connections of their own.
        asking = connect(redis_url.reveal())
        stack.push_async_callback(asking.aclose)
        forwarders = SfuAccess(asking, Keyspace(settings.redis_prefix), store.node)
        server = _server(
            house, store, keyring, providers, public_url=public_url, forwarders=forwarders
        )
        stack.push_async_callback(server.stop)
        await server.start(sockets, house.tls)
        yield Running(
            lines=(
                ("open", public_url),
                ("listening", ", ".join(_address(one) for one in sockets)),
                ("redis", redis_line),
            ),
            drain=server.drain,
            demo=_demo(keyring, providers, public_url) if settings.demo else (),
            hint=_demo_hint(house.state_dir, public_url) if settings.demo else "",
        )


def _server(
    house: House,
    store: SessionStore,
    keyring: KeyRing,
    providers: Providers,
    *,
    public_url: str,
    forwarders: SfuAccess,
) -> Server:
    settings = house.settings
    try:
        return build(
            Deps(
                store=store,
                keyring=keyring,
                providers=providers,
                used_links=UsedLinks(house.state_dir),
                openid=openid_settings(settings),
                passkeys=PasskeyFiles(house.state_dir) if settings.passkeys else None,
                metrics=Metrics(house.registry),
                clock=SystemClock(),
                random=secrets.token_bytes,
                public_url=public_url,
                web_root=Path(str(resources.files("web"))),
                ice_servers=_ice_servers(house),
                check_servers=_check_servers(house),
                ready=house.missing,
                ice_transport_policy=cast(Literal["all", "relay"], settings.ice_transport_policy),
                media_topology=topology(settings),
                forwarders=forwarders,
                imprint_url=settings.imprint_url,
                privacy_url=settings.privacy_url,
                tells_place=not settings.hide_place,
                client_quality=settings.client_quality,
                trusted_proxies=settings.trusted_proxies,
                # The rest is for Redis, the relay, and whoever has to be told that it is full.
                max_connections=min(MAX_CONNECTIONS, house.files * 3 // 4),
                connections_per_address=settings.connections_per_address,
            )
        )
    except PagesError as error:
        raise StartError(f"the web pages cannot be served: {error}") from None


def openid_settings(settings: Settings) -> OpenIdSettings | None:
    """None where nobody signs in by way of an OpenID provider."""
    secret = settings.oidc_client_secret
    if not settings.oidc_issuer:
        return None
    return OpenIdSettings(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=secret.reveal if secret is not None else str,
        claim=settings.oidc_claim,
        scope=settings.oidc_scope,
        label=settings.oidc_label or urlsplit(settings.oidc_issuer).hostname or "",
    )


def topology(settings: Settings) -> Literal["auto", "p2p", "sfu"]:
    """As set, but without a forwarder that could ever be found all calls are peer-to-peer."""
    if settings.media_topology == "auto" and "sfu" not in settings.roles:
        return "auto" if settings.redis_url is not None else "p2p"
    return cast(Literal["auto", "p2p", "sfu"], settings.media_topology)


def _address(one: socket.socket) -> str:
    host, port = one.getsockname()[:2]
    return f"{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.asynccontextmanager
async def _redis(house: House) -> AsyncIterator[tuple[Secret, str]]:
    """URL of the Redis to use, and what to tell the operator of it."""
    settings = house.settings
    if settings.redis_url is not None:
        yield settings.redis_url, f"{_shown(settings.redis_url)} (KONSIL_REDIS_URL)"
        return
    child = RedisChild(
        redis_program.find(settings.redis_server),
        house.state_dir,
        prefix=settings.redis_prefix,
        commands=ACL_COMMANDS,
        memory_mib=settings.redis_memory,
    )
    async with child:
        yield child.url, f"private, in memory only: {child.program}"


def _shown(url: Secret) -> str:
    """Where a Redis is, without user, password and options."""
    parts = urlsplit(url.reveal())
    place = parts.hostname or ""
    if ":" in place:
        place = f"[{place}]"
    if parts.port:
        place += f":{parts.port}"
    return f"{parts.scheme}://{place}{parts.path}"


def _ice_servers(house: House) -> Callable[[str, int], IceServers]:
    def made(opaque: str, until: int) -> IceServers:
        time = now()
        expires_at = min(until, time + CREDENTIAL_SECONDS)
        # Asked at each call: the relay may have come up, or its secret been rotated, meanwhile.
        relay = house.relay
        if relay is None:
            return IceServers((), expires_at - time)
        username, password = relay.credentials(opaque, expires_at) or (None, None)
        servers = []
        if relay.relay_urls:
            servers.append(IceServer(relay.relay_urls, username, password))
        if relay.stun_urls:
            servers.append(IceServer(relay.stun_urls))
        return IceServers(tuple(servers), expires_at - time)

    return made


def _check_servers(house: House) -> Callable[[str], CheckServers]:
    def made(opaque: str) -> CheckServers:
        relay = house.relay
        given = relay and relay.check_credentials(opaque, now() + CHECK_SECONDS)
        if not relay or not given:
            return no_check(opaque)
        return CheckServers(
            "own" if relay.ours else "other",
            tuple(IceServer((url,), *given) for url in relay.relay_urls),
            CHECK_SECONDS,
        )

    return made


def _demo_hint(state_dir: Path, public_url: str) -> str:
    """How to sign in a second time: a demo's state directory is nobody's default."""
    # As it was started: `make run` puts no `konsil` into the shell's path.
    started = Path(sys.argv[0])
    program = [str(started)] if started.name == "konsil" else [sys.executable, "-m", "konsil"]
    where = ["--state-dir", str(state_dir), "--public-url", public_url]
    command = shlex.join([*program, "provider", "link", invite.DEMO_PROVIDER, *where])
    return f"The provider link signs in once. Another one: {command}"


def _demo(keyring: KeyRing, providers: Providers, public_url: str) -> tuple[tuple[str, str], ...]:
    """A provider, and a consultation that is open now and for as long as one may be."""
    time, provider = now(), invite.demo_provider(providers)
    made = invite.consultation(
        keyring, provider, public_url, starts_at=time, minutes=MINUTES_MAX, now=time
    )
    return (
        (
            "Provider link",
            invite.sign_in_link(keyring, provider, public_url, now=time),
        ),
        ("Host link", made.host_url),
        ("Client link", made.client_url),
        (
            "Reception link",
            invite.reception_link(keyring, [provider], public_url, now=time),
        ),
    )
