"""Signaling nodes as `konsil serve` would run them, with a clock that the test may put forward."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from signaling.app import Server, build
from signaling.deps import Deps, IceServer, IceServers
from signaling.metrics import Metrics
from tests.integration.conftest import until
from waiting_room.connection import connect
from waiting_room.invitations import Invitation, claims_for, provider_claims
from waiting_room.keys import KeyRing
from waiting_room.keyspace import Keyspace
from waiting_room.links import new_id
from waiting_room.providers import Provider, Providers
from waiting_room.store import SessionStore
from waiting_room.tokens import Claims, TokenType, mint
from waiting_room.used_links import UsedLinks

PUBLIC_URL = "http://localhost"


@dataclass
class Clock:
    """Real time, put forward or back by hand. Wall time may jump on its own."""

    forward: float = 0.0
    jump: float = 0.0

    def wall(self) -> float:
        return time.time() + self.forward + self.jump

    def monotonic(self) -> float:
        return time.monotonic() + self.forward

    def advance(self, seconds: float) -> None:
        self.forward += seconds


@dataclass
class Deployment:
    """What all nodes share: keys, providers, and the time."""

    state_dir: Path
    web_root: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.keyring = KeyRing.open(self.state_dir, self.clock.wall())
        self.providers = Providers(self.state_dir)
        self.used_links = UsedLinks(self.state_dir)
        self.provider: Provider = self.providers.add("Dr. Okonkwo")

    def consultation(
        self, starts_in: float = 0, minutes: float = 60, opens_before: float = 15
    ) -> Consultation:
        starts_at = int(self.clock.wall() + starts_in)
        return Consultation(
            self,
            Invitation(
                provider=self.provider.id,
                epoch=self.provider.epoch,
                room=new_id(secrets.token_bytes(16)),
                starts_at=starts_at,
                opens_at=starts_at - int(opens_before * 60),
                closes_at=starts_at + int(minutes * 60),
            ),
        )

    def provider_token(self, audience: str = PUBLIC_URL) -> str:
        claims = provider_claims(
            self.provider.id,
            self.provider.epoch,
            audience=audience,
            jti=new_id(secrets.token_bytes(16)),
            now=self.clock.wall(),
        )
        return mint(claims, self.keyring.current)


@dataclass
class Consultation:
    """One planned consultation and its tokens."""

    deployment: Deployment
    invitation: Invitation

    @property
    def room(self) -> str:
        return self.invitation.room

    def claims(self, typ: TokenType) -> Claims:
        return claims_for(
            self.invitation,
            typ,
            audience=PUBLIC_URL,
            jti=new_id(secrets.token_bytes(16)),
            now=self.deployment.clock.wall(),
        )

    def token(self, typ: TokenType) -> str:
        return mint(self.claims(typ), self.deployment.keyring.current)


@dataclass
class Node:
    """One running node."""

    name: str
    server: Server
    port: int
    store: SessionStore
    registry: CollectorRegistry
    redis: Any
    running: bool = True

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tick(self) -> None:
        self.server.hub.upkeep.tick()

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def stop(self) -> None:
        if self.running:
            self.running = False
            await self.server.stop()
            await self.redis.aclose()


async def start_node(
    deployment: Deployment,
    redis_url: str,
    name: str,
    *,
    tls: ssl.SSLContext | None = None,
    **overrides: Any,
) -> Node:
    client = connect(redis_url)
    store = SessionStore(client, Keyspace(), name)
    registry = CollectorRegistry()
    deps = Deps(
        **{
            "store": store,
            "keyring": deployment.keyring,
            "providers": deployment.providers,
            "used_links": deployment.used_links,
            "metrics": Metrics(registry),
            "clock": deployment.clock,
            "random": secrets.token_bytes,
            "public_url": PUBLIC_URL,
            "web_root": deployment.web_root,
            "ice_servers": lambda opaque, until: IceServers(
                (IceServer(("turn:turn.test:3478",), f"{until}:{opaque}", "password"),), 600
            ),
            **overrides,
        }
    )
    server = build(deps)
    listening = socket.create_server(("127.0.0.1", 0))
    await server.start([listening], tls)

    async def listens() -> bool:
        return not await store.absent_nodes([name])

    await until(listens)
    return Node(name, server, listening.getsockname()[1], store, registry, client)


@contextmanager
def web_files(directory: Path) -> Iterator[Path]:
    """A little site: two pages, a script and what must not be served."""
    (directory / "js").mkdir(parents=True)
    (directory / "index.html").write_text("<!doctype html><title>Konsil</title>")
    words = "".join(
        f'<link rel="preload" as="fetch" crossorigin href="/static/i18n/{language}.json">\n'
        for language in ("en", "de", "fr")
    )
    (directory / "join.html").write_text(
        f"<!doctype html><title>Join</title>\n{words}" + "<p>x</p>" * 200
    )
    (directory / "js" / "join.js").write_text("export const answer = 42;\n" * 100)
    (directory / "__init__.py").write_text('"""Not for browsers."""')
    (directory / "js" / ".hidden.js").write_text("")
    yield directory
