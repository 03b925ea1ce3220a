"""The role sfu: the forwarder in a process of its own, and its voice in Redis."""

import asyncio
import contextlib
import errno
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Final

from konsil import sfu_plan
from konsil.errors import SettingsError, StartError
from konsil.house import House, Running
from konsil.sfu_control import SfuControl
from konsil.sfu_plan import Plan
from sfu.config import ConfigError
from sfu.control import Event
from sfu.supervisor import SfuProcess
from waiting_room.connection import connect
from waiting_room.keyspace import Keyspace

logger: Final = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[Running]:
    """Starts the forwarder; see house.Starter."""
    settings = house.settings
    if "signaling" in settings.roles:
        pass  # signaling says which Redis it is, once it runs
    elif settings.redis_url is not None:
        house.redis.set_result(settings.redis_url)
    else:
        raise SettingsError(
            "the role sfu without the role signaling needs KONSIL_REDIS_URL, the Redis of the "
            "signaling nodes: they find it there"
        )
    planned = sfu_plan.plan(settings, house.lan_host)
    link = _Link()
    sfu = await _started(house, planned, link)
    try:
        places = tuple(_shown(host, port) for host, port in planned.places(sfu.port))
        control = asyncio.create_task(_control(house, sfu, link, places))

        async def drain(seconds: float) -> None:
            # Whoever tries a demo out wants it to end at once.
            await link.drain(0 if settings.demo else seconds)
            # Redis may be the next to stop, and nobody is to wonder where it is.
            control.cancel()

        try:
            house.forwarder = planned.places(sfu.port)
            house.ready["forwarder"] = lambda: sfu.ready and link.found
            yield Running(
                lines=_lines(planned, sfu.port, demo=settings.demo),
                drain=drain,
            )
        finally:
            control.cancel()
            await asyncio.gather(control, return_exceptions=True)
    finally:
        await sfu.stop()


class _Link:
    """What the process tells goes to the control channel, once there is one."""

    def __init__(self) -> None:
        self.control: SfuControl | None = None

    @property
    def found(self) -> bool:
        return self.control is not None and self.control.found

    def event(self, event: Event) -> None:
        if self.control is not None:
            self.control.event(event)

    async def drain(self, seconds: float) -> None:
        if self.control is not None:
            await self.control.drain(seconds)


async def _started(house: House, planned: Plan, link: _Link) -> SfuProcess:
    """A forwarder that serves. A demo gives way to whoever has its port."""
    ports = [planned.port, 0] if house.settings.demo and planned.port else [planned.port]
    for port in ports:
        sfu = SfuProcess(planned.config(port), link.event, house.registry)
        try:
            await sfu.start()
        except ConfigError as error:
            if port != ports[-1] and _number(error) == errno.EADDRINUSE:
                continue
            raise StartError(_explained(error)) from None
        return sfu
    raise AssertionError("the last try returns or raises")


async def _control(house: House, sfu: SfuProcess, link: _Link, places: tuple[str, ...]) -> None:
    client = connect((await house.redis).reveal())
    try:
        link.control = SfuControl(
            client,
            Keyspace(house.settings.redis_prefix),
            sfu.handle,
            lambda: sfu.ready or sfu.draining,
            new_id=lambda: secrets.token_hex(8),
            places=places,
        )
        await link.control.run()
    except asyncio.CancelledError:
        raise
    except Exception:
        logger.exception("forwarder_control_failed")
    finally:
        link.control = None
        await client.aclose()


def _number(error: ConfigError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def _explained(error: ConfigError) -> str:
    match _number(error):
        case errno.EADDRINUSE:
            return f"{error}: stop the program that uses it, or set KONSIL_SFU_PORT"
        case errno.EACCES:
            return (
                f"{error}: allow it (CAP_NET_BIND_SERVICE), or set KONSIL_SFU_PORT to 1024 or above"
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return f"{error}: set KONSIL_SFU_HOST to an address of this machine"
    return str(error)


def _lines(planned: Plan, port: int, *, demo: bool) -> tuple[tuple[str, str], ...]:
    text = f"{', '.join(planned.shown)} port {port} (UDP, TCP)"
    if demo and planned.port and port != planned.port:
        text += f"; {planned.port} is in use by another program"
    return (("forwarder", text),)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
