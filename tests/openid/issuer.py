"""An OpenID provider that we have not written, as a process, and a person who signs in there."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp

_PROGRAM = Path(__file__).with_name("provider.mjs")
SECRET = "a/secret:with+marks"


@asynccontextmanager
async def issuing(redirect_uri: str, **environment: str) -> AsyncIterator[Issuer]:
    """Runs one that sends people back to `redirect_uri`."""
    version = await _output("node", "--version")
    old = int(version.lstrip("v").partition(".")[0]) < 20
    process = await asyncio.create_subprocess_exec(
        *("node", *(["--experimental-global-webcrypto"] if old else []), str(_PROGRAM)),
        env={"PATH": os.environ["PATH"], "REDIRECT_URI": redirect_uri, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not (line := (await process.stdout.readline()).decode()).startswith("http"):
                assert line, "oidc-provider did not start"
        yield Issuer(line.strip(), process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


class Issuer:
    """A running one."""

    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self._process = process

    async def dies(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def grants(self, url: str, login: str) -> dict[str, str]:
        """Goes to `url` as a browser would, signs in as `login`, and gives what is sent back."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            form: dict[str, str] | None = None
            for _ in range(12):
                method = "GET" if form is None else "POST"
                async with browser.request(method, url, data=form, allow_redirects=False) as answer:
                    page = await answer.text()
                form = None
                if answer.status in (302, 303):
                    url = urljoin(url, answer.headers["Location"])
                    if not url.startswith(self.url):
                        return _given(url)
                    continue
                assert answer.status == 200, page
                action = re.search(r'<form[^>]*action="([^"]+)"', page)
                prompt = re.search(r'name="prompt" value="(\w+)"', page)
                assert action is not None, page
                assert prompt is not None, page
                url = urljoin(url, action[1])
                form = {"prompt": prompt[1], "login": login, "password": "any"}
        raise AssertionError("was sent round and round")


def _given(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    assert not (parts.query and parts.fragment)
    pairs = parse_qs(parts.query or parts.fragment)
    place = "fragment" if parts.fragment else "query"
    return {**{name: values[0] for name, values in pairs.items()}, "place": place}
