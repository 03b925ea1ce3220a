"""Puts signaling together: HTTP, pages, WebSocket and hub of one node."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from signaling import legal
from signaling.acceptor import Acceptor
from signaling.address import is_trusted
from signaling.api import Api
from signaling.check_api import CheckApi
from signaling.code_api import CodeApi
from signaling.credentials import Credentials
from signaling.deps import Deps
from signaling.desk import Desk
from signaling.door import AnsweredHook, Doorkeeper
from signaling.headers import on_response_prepare, origin_of, security_headers
from signaling.health import Health
from signaling.hub import Hub
from signaling.openid_api import OpenIdApi
from signaling.pages import Pages
from signaling.passkey_api import PasskeyApi
from signaling.problem import problem, problem_of
from signaling.quality_api import QualityApi
from signaling.receipt_api import ReceiptApi
from signaling.reception_api import ReceptionApi
from signaling.seats import Seats
from signaling.sign_in import SignInApi
from signaling.upgrade import Upgrade
from waiting_room.errors import Refused

_log = logging.getLogger(__name__)

MAX_BODY: Final = 65_536
_SHUTDOWN_S: Final = 1.0
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class Server:
    """Signaling on one node. `start`, then perhaps `drain`, then `stop`."""

    def __init__(self, deps: Deps) -> None:
        """Raises PagesError when the web files cannot be served."""
        self.deps = deps
        self.hub = Hub(deps)
        self.seats = Seats(
            deps.max_connections,
            deps.connections_per_address,
            place_of=self.hub.place_of,
            is_proxy=lambda peer: is_trusted(peer, deps.trusted_proxies),
        )
        headers = _headers(deps)
        self._guard_lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode("latin-1")
        self._runner = web.AppRunner(
            _application(deps, self.hub, _pages(deps)),
            access_log_class=AnsweredHook,
            access_log=_log,
            handle_signals=False,
            shutdown_timeout=_SHUTDOWN_S,
        )
        self._keeper: Doorkeeper | None = None
        self._acceptor: Acceptor | None = None

    async def start(
        self, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None = None
    ) -> None:
        """Serve on listening `sockets`."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None, "set up just now"
        await self.hub.start()
        self._keeper = Doorkeeper(
            server,
            headers=self._guard_lines,
            monotonic=self.hub.monotonic,
            wheel=self.hub.wheel,
            upgrade=Upgrade(self.deps, self.hub, self._guard_lines),
            rejected=self._count_rejected,
        )
        self._acceptor = Acceptor(
            self.seats, self._keeper, tls=tls, refused=self.deps.metrics.connection_refused
        )
        for one in sockets:
            self._acceptor.listen(one)

    async def drain(self, seconds: float) -> None:
        """Take no new connections, and send everybody away with all their messages kept."""
        if self._acceptor is not None:
            self._acceptor.stop_listening()
        await self.hub.drain(seconds)

    async def stop(self) -> None:
        """Close everything."""
        if self._acceptor is not None:
            await self._acceptor.close()
        await self.hub.stop()
        await self._runner.cleanup()

    def _count_rejected(self) -> None:
        self.deps.metrics.malformed_requests += 1


def build(deps: Deps) -> Server:
    """Make the signaling service of one node."""
    return Server(deps)


def _application(deps: Deps, hub: Hub, pages: Pages) -> web.Application:
    headers = _headers(deps)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_errors(deps), _same_origin(deps)])
    app.on_response_prepare.append(on_response_prepare(headers))
    credentials = Credentials(deps, hub.arrivals)
    app.router.add_routes(Api(deps, credentials, hub.rooms).routes())
    app.router.add_routes(CheckApi(deps, credentials).routes())
    app.router.add_routes(QualityApi(deps, credentials).routes())
    desk = Desk(deps, credentials)
    app.router.add_routes(SignInApi(deps, credentials, desk).routes())
    if deps.passkeys is not None:
        app.router.add_routes(PasskeyApi(deps, deps.passkeys, credentials, desk).routes())
    if deps.openid is not None:
        openid = OpenIdApi(deps, deps.openid, credentials, desk)
        app.cleanup_ctx.append(openid.running)
        app.router.add_routes(openid.routes())
    app.router.add_routes(CodeApi(deps, credentials, hub.rooms).routes())
    app.router.add_routes(ReceptionApi(deps, credentials, hub).routes())
    app.router.add_routes(ReceiptApi(deps, credentials, hub.rooms).routes())
    app.router.add_routes(Health(deps, hub).routes())

    async def page(request: web.Request) -> web.StreamResponse:
        found = pages.respond(request)
        if found is None and "text/html" in request.headers.get("Accept", ""):
            found = pages.not_found()  # a person with a mistyped link, not a program
        return found or problem("not_found", "there is no such page")

    app.router.add_get("/{path:.*}", page)
    return app


def _pages(deps: Deps) -> Pages:
    feet = legal.feet(deps.web_root, imprint=deps.imprint_url, privacy=deps.privacy_url)
    return Pages(deps.web_root, feet=feet, reload=deps.reload_pages)


def _headers(deps: Deps) -> Mapping[str, str]:
    return security_headers(deps.public_url, passkeys=deps.passkeys is not None)


def _errors(deps: Deps) -> Middleware:
    @web.middleware
    async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turn whatever goes wrong into a problem document."""
        try:
            return await handler(request)
        except Refused as refused:
            deps.metrics.refused(refused.code)
            return problem_of(refused)
        except web.HTTPRequestEntityTooLarge:
            return problem("too_large", "the body is too large")
        except web.HTTPMethodNotAllowed as error:
            allow = {"Allow": ", ".join(sorted(error.allowed_methods))}
            return problem("bad_request", "no such method here", status=405, headers=allow)
        except web.HTTPNotFound:
            return problem("not_found", "there is nothing here")
        except web.HTTPException as error:
            return problem("bad_request", status=error.status)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            deps.metrics.refused("internal")
            _log.exception("request_failed")
            return problem("internal", "a fault of ours")

    return errors


def _same_origin(deps: Deps) -> Middleware:
    origin = origin_of(deps.public_url)

    @web.middleware
    async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what a page of another origin sends; programs send no Origin and may come."""
        sent = request.headers.get("Origin", origin)
        if request.method not in _SAFE_METHODS and sent != origin:
            raise Refused("origin_refused", "pages of other origins may not do this")
        return await handler(request)

    return same_origin
