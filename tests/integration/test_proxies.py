"""The proxies of deploy/ in front of a real server: pages, WebSockets, addresses, and no traces.

What is missing here is skipped: `apt-get install nginx-light haproxy caddy` has all three tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from konsil import tls
from signaling.guesses import FREE
from tests.integration.conftest import until
from tests.integration.served import Served
from tests.ports import free_port
from waiting_room import links

DEPLOY = Path(__file__).parents[2] / "deploy"
VISITOR, ANOTHER = "127.0.0.2", "127.0.0.3"
TRIES = 2 * FREE  # of a wrong code; each one too many makes the wait longer
Changes = dict[str, str]


class Place:
    """A directory of one proxy's own, with its ports and a certificate for localhost."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.plain, self.secure, self.inner = free_port(), free_port(), free_port()
        self.chain, self.key = tls.self_signed(
            directory / "tls", dt.datetime.now(dt.UTC), ["localhost"]
        )

    @property
    def url(self) -> str:
        return f"https://localhost:{self.secure}"

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def changed(self, source: str, changes: Changes) -> str:
        """The file of deploy/, with what an operator changes, too, and other ports."""
        text = (DEPLOY / source).read_text("utf-8")
        for former, new in changes.items():
            assert former in text, former
            text = text.replace(former, new)
        return text


def nginx(place: Place) -> list[str]:
    site = place.changed(
        "nginx/konsil.conf",
        {
            "listen [::]:80;\n": "\n",
            "listen [::]:443 ssl http2;\n": "\n",
            "listen 80;": f"listen 127.0.0.1:{place.plain};",
            "listen 443 ": f"listen 127.0.0.1:{place.secure} ",
            "127.0.0.1:8080": f"127.0.0.1:{place.inner}",
            "https://consult.example$": f"{place.url}$",
            "/etc/letsencrypt/live/consult.example/fullchain.pem": str(place.chain),
            "/etc/letsencrypt/live/consult.example/privkey.pem": str(place.key),
            "server_name consult.example": "server_name localhost",
            "/var/log/nginx/konsil-error.log": str(place.directory / "konsil-error.log"),
        },
    )
    temporary = "".join(
        f"{kind}_temp_path {place.directory}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = (
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"daemon off;\nworker_processes 1;\npid {place.directory}/nginx.pid;\n"
        f"error_log {place.directory}/error.log;\n"
        "events { worker_connections 256; }\n"
        # As in a distribution's file, which ours has to overrule.
        f"http {{\naccess_log {place.directory}/access.log;\n{temporary}"
        f"include {place.write('konsil.conf', site)};\n}}\n"
    )
    config = place.write("nginx.conf", main)
    return ["-p", str(place.directory), "-e", f"{place.directory}/error.log", "-c", config]


def haproxy(place: Place) -> list[str]:
    both = place.write("both.pem", place.chain.read_text() + place.key.read_text())
    text = place.changed(
        "haproxy/haproxy.cfg",
        {
            # Not every machine that runs tests allows as many files.
            "maxconn 40000": "maxconn 200",
            "bind :80": f"bind 127.0.0.1:{place.plain}",
            "bind :443 ssl crt /etc/haproxy/consult.example.pem": (
                f"bind 127.0.0.1:{place.secure} ssl crt {both}"
            ),
            "redirect scheme https code": f"redirect prefix {place.url} code",
            # A node that is not there, and one that is.
            "10.0.0.11:8080": f"127.0.0.1:{free_port()}",
            "10.0.0.12:8080": f"127.0.0.1:{place.inner}",
        },
    )
    return ["-db", "-f", place.write("haproxy.cfg", text)]


def caddy(place: Place) -> list[str]:
    text = place.changed(
        "caddy/Caddyfile",
        {
            "\nconsult.example {": (
                f"\n{{\nadmin off\nhttp_port {place.plain}\nhttps_port {place.secure}\n}}\n"
                f"https://localhost {{\nbind 127.0.0.1\ntls {place.chain} {place.key}"
            ),
            "127.0.0.1:8080": f"127.0.0.1:{place.inner}",
        },
    )
    return ["run", "--adapter", "caddyfile", "--config", place.write("Caddyfile", text)]


PROXIES: dict[str, Callable[[Place], list[str]]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "caddy": caddy,
}


class Visitor:
    """A browser at an address of its own, which claims to come from elsewhere."""

    def __init__(self, place: Place, address: str) -> None:
        self.url = place.url
        context = ssl.create_default_context(cafile=str(place.chain))
        connector = aiohttp.TCPConnector(
            ssl=context, local_addr=(address, 0), limit=0, family=2, force_close=True
        )
        self.session = aiohttp.ClientSession(connector=connector)
        self._claims = iter(range(256))

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def guess(self) -> str:
        """What becomes of a wrong code; it is a body, which has to come with its length."""
        async with self.session.post(
            f"{self.url}/api/v1/codes/redeem",
            json={"code": "123456789"},
            headers={
                "Origin": self.url,
                "X-Forwarded-For": f"198.51.100.{next(self._claims)}",
            },
        ) as answer:
            return str((await answer.json())["code"])


@contextlib.asynccontextmanager
async def proxied(name: str, directory: Path) -> AsyncIterator[tuple[Place, Served]]:
    program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    place = Place(directory)
    settings = {
        "PORT": place.inner,
        "PUBLIC_URL": place.url,
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    async with Served("--demo", **settings) as server:
        with (directory / "output").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                program,
                *PROXIES[name](place),
                env={"HOME": str(directory), "PATH": os.defpath},
                stdout=output,
                stderr=output,
            )
        visitor = Visitor(place, "127.0.0.1")

        async def ready() -> bool:
            assert process.returncode is None, (directory / "output").read_text()
            try:
                return (await visitor.get("/readyz"))[0] == 200
            except (aiohttp.ClientError, OSError):
                return False

        try:
            await until(ready, within=20)
            yield place, server
        finally:
            await visitor.session.close()
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("name", PROXIES)
async def test_a_proxy_of_deploy_in_front(name: str, tmp_path: Path) -> None:
    async with proxied(name, tmp_path) as (place, server):
        client = links.parse(server.links["Client link"])
        assert client is not None
        visitor, another = Visitor(place, VISITOR), Visitor(place, ANOTHER)
        try:
            status, page = await visitor.get("/join")
            assert status == 200
            assert "<!doctype html>" in page.lower()
            plain = f"http://localhost:{place.plain}/join"
            async with visitor.session.get(plain, allow_redirects=False) as moved:
                assert moved.status in {301, 308}
            headers = {"Authorization": f"Bearer {client.token}"}
            async with visitor.session.get(f"{place.url}/api/v1/link", headers=headers) as link:
                assert link.status == 200
            async with visitor.session.ws_connect(
                f"{place.url}/ws", protocols=["konsil.v1"], origin=place.url
            ) as socket:
                await socket.send_json(
                    {
                        "type": "hello",
                        "token": client.token,
                        "secret": "s" * 22,
                        "instance": "i" * 16,
                        "name": "Vera",
                    }
                )
                assert (await socket.receive_json())["type"] == "welcome"
                await socket.send_json({"type": "ping"})
                while (await socket.receive_json())["type"] != "pong":
                    pass
            # Counted by the address they have, not by the one they claim, nor by the proxy's.
            told = [await visitor.guess() for _ in range(TRIES)]
            assert told[:FREE] == ["code_unknown"] * FREE
            assert "slow_down" in told
            assert await another.guess() == "code_unknown"
        finally:
            await visitor.session.close()
            await another.session.close()
    assert traces(tmp_path) == []


def traces(directory: Path) -> list[str]:
    """Files in which the visitor's address is."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path.name for path in files if VISITOR.encode() in path.read_bytes()]
