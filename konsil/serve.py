"""`konsil serve`: wires the services together, and takes them down again in order."""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import ssl
import tempfile
from collections import ChainMap
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import konsil
from konsil import ice, listen, log, metrics, process, tls
from konsil.errors import SettingsError, StartError
from konsil.house import House, Running
from konsil.roles import STARTERS
from konsil.settings import ROLES, Settings, default_state_dir
from konsil.signals import Signals

logger: Final = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Serves until a signal says to stop. Raises StartError or ConfigError when it cannot start."""
    process.protect_memory()
    os.umask(0o077)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(settings: Settings) -> int:
    asyncio.get_running_loop().set_exception_handler(log.loop_failed)
    starting = _chosen(settings)
    async with contextlib.AsyncExitStack() as stack:
        state_dir = stack.enter_context(_state_dir(settings))
        ready: dict[str, Callable[[], bool]] = {}
        asked: dict[str, Callable[[], bool]] = {}
        certificates: dict[str, float] = {}
        house = House(
            settings=settings,
            state_dir=state_dir,
            registry=metrics.house_registry(ChainMap(ready, asked), certificates),
            ready=ready,
            certificates=certificates,
            tls=None,
            files=process.allow_files(),
            lan_host=tls.lan_address() if settings.tls_self_signed else None,
            relay=ice.external(settings.turn_external, settings.turn_secret),
        )
        _prepare_tls(house)
        signals = Signals(lambda: _renew(house))
        missing = None if "signaling" in starting else house.missing
        metrics_line = await stack.enter_async_context(_metrics(house, missing, asked))
        running = {
            name: await stack.enter_async_context(STARTERS[name](house)) for name in starting
        }
        process.spare_what_stays()
        _announce(house, running, metrics_line)
        await signals.drain.wait()
        logger.info("stopping", extra={"seconds": settings.drain_seconds})
        await _drain(list(running.values()), settings.drain_seconds, signals.stop)
    logger.info("stopped")
    return 0


def _chosen(settings: Settings) -> list[str]:
    """The roles asked for that this build has. Raises SettingsError when none is left."""
    chosen = [name for name in STARTERS if name in settings.roles]
    if settings.turn_external and "signaling" in chosen and "turn" in chosen:
        # By that setting alone another relay stands in for ours.
        chosen.remove("turn")
    if not chosen:
        raise SettingsError(
            f"KONSIL_ROLES: this version has no {' or '.join(settings.roles)} yet; "
            f"it has {', '.join(STARTERS)}"
        )
    return chosen


@contextlib.contextmanager
def _state_dir(settings: Settings) -> Iterator[Path]:
    """The directory of keys and providers; made where missing, temporary for a demo."""
    if settings.state_dir is None and settings.demo:
        try:
            made = tempfile.TemporaryDirectory(prefix="konsil-demo-")
        except OSError as error:
            raise StartError(
                f"cannot make a temporary directory: {error.strerror}; set TMPDIR"
            ) from None
        with made as name:
            yield Path(name)
        return
    path = settings.state_dir or default_state_dir()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"KONSIL_STATE_DIR: cannot make the directory {path}: {error.strerror}"
        ) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(
            f"KONSIL_STATE_DIR: no permission to write to {path}: change its owner, or set another"
        )
    yield path


def _renew(house: House) -> None:
    for renew in house.renewals:
        renew()


def _prepare_tls(house: House) -> None:
    """Makes the TLS context, if there is to be one."""
    settings = house.settings
    if settings.tls_self_signed:
        names = [house.lan_host] if house.lan_host else []
        chain = tls.self_signed(house.state_dir / "tls", dt.datetime.now(dt.UTC), names)
    elif settings.tls_cert is not None and settings.tls_key is not None:
        chain = settings.tls_cert, settings.tls_key
    else:
        return
    context: ssl.SSLContext = tls.context(*chain)
    house.tls, house.certificate = context, chain
    house.certificate_in_use("https", chain[0])

    def renew() -> None:
        try:
            tls.load(context, *chain)
        except tls.CertificateError as error:
            # The old chain goes on being served; the operator sees why the new one is not.
            logger.exception("certificate_not_renewed", extra={"reason": error.reason})
        else:
            house.certificate_in_use("https", chain[0])
            logger.info("certificate_renewed")

    house.renewals.append(renew)


@contextlib.asynccontextmanager
async def _metrics(
    house: House,
    missing: Callable[[], Sequence[str]] | None,
    asked: dict[str, Callable[[], bool]],
) -> AsyncIterator[str]:
    """`asked`: parts that are ready, as found out before each scrape; /readyz asks by itself."""
    settings = house.settings
    if settings.metrics_port is None:
        yield "off (KONSIL_METRICS_PORT)"
        return
    sockets = listen.bind(settings.metrics_host, settings.metrics_port, "KONSIL_METRICS_PORT")
    port = sockets[0].getsockname()[1]
    host = settings.metrics_host

    async def ask() -> None:
        if house.redis_answers is not None:
            answers = await house.redis_answers()
            asked["redis"] = lambda: answers

    async with metrics.serving(house.registry, sockets, missing, ask):
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"


def _announce(house: House, running: Mapping[str, Running], metrics_line: str) -> None:
    """Tells the operator on stdout where everything is. The only place that prints links."""
    missing = [name for name in ROLES if name in house.settings.roles and name not in STARTERS]
    started = [running[name] for name in ROLES if name in running]
    roles = ", ".join(name for name in ROLES if name in running)
    if missing:
        roles += f" (not part of this version yet: {', '.join(missing)})"
    lines = [("roles", roles), *(line for role in started for line in role.lines)]
    if "turn" not in running and house.relay is not None:
        lines.append(("relay", ", ".join(house.relay.urls) + " (KONSIL_TURN_EXTERNAL)"))
    lines += [("metrics", metrics_line), ("state", str(house.state_dir))]
    print(f"Konsil {konsil.__version__}")
    for label, text in lines:
        print(f"  {label:9} {text}")
    for label, link in (link for role in started for link in role.demo):
        print(f"\n{label}:\n  {link}")
    for role in started:
        if role.hint:
            print(f"\n{role.hint}")
    print(flush=True)


async def _drain(running: Sequence[Running], seconds: float, stop: asyncio.Event) -> None:
    """Lets all roles drain side by side, until done, out of time, or told to `stop`."""
    draining = asyncio.gather(*(role.drain(seconds) for role in running), return_exceptions=True)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(
            (asyncio.ensure_future(draining), stopping),
            timeout=seconds + 1,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        stopping.cancel()
        draining.cancel()
        await asyncio.gather(draining, stopping, return_exceptions=True)
