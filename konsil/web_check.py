"""Looks at the web side of a deployment as a browser does: pages, WebSocket, clock."""

import asyncio
import json
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from konsil import certificate_check
from konsil.certificate_check import PATIENCE
from konsil.findings import Finding, fine, note, unknown, wrong

CLOCK_TOLERANCE: Final = 5.0  # seconds; links and relay passwords go by the clock
_SUBPROTOCOL: Final = "konsil.v1"


class WebCheck:
    """Checks of one public URL; the session is the caller's."""

    def __init__(
        self, session: aiohttp.ClientSession, public_url: str, context: ssl.SSLContext
    ) -> None:
        self._session = session
        self._url = public_url
        self._context = context

    async def run(self) -> list[Finding]:
        """In this order; where nobody answers the rest is left out."""
        parts = urlsplit(self._url)
        findings = []
        if parts.scheme == "https":
            found = await certificate_check.check(
                "certificate", parts.hostname or "", parts.port or 443, self._context
            )
            findings.append(found)
        else:
            findings.append(note("certificate", "none: http is for trials on this machine only"))
        answered = await self._get("/readyz")
        if isinstance(answered, str):
            return [*findings, wrong("public URL", f"{self._url}: {answered}")]
        status, body, date, asked = answered
        findings += [self._ready(status, body), self._clock(date, asked)]
        findings.append(await self._websocket())
        return findings

    def _ready(self, status: int, body: str) -> Finding:
        subject = "public URL"
        if status == 200:
            return fine(subject, f"{self._url} answers, and is ready to serve")
        try:
            code, detail = (json.loads(body)[name] for name in ("code", "detail"))
        except (ValueError, KeyError, TypeError):
            return wrong(
                subject,
                f"{self._url} answers {status}, not as Konsil does: see where the name leads, and "
                "what the proxy in front passes on",
            )
        return wrong(subject, f"{self._url} is not ready: {detail} ({code})")

    def _clock(self, date: str, asked: float) -> Finding:
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return unknown("clock", "the server's answer bears no date")
        # Whole seconds, and from some moment between question and answer.
        off = 0.0
        if theirs > time.time():
            off = theirs - time.time()
        elif theirs + 1 < asked:
            off = asked - theirs - 1
        if off > CLOCK_TOLERANCE:
            return wrong(
                "clock",
                f"this machine and the server are {off:.0f} s apart: set both by NTP, since links "
                "and relay passwords go by the clock",
            )
        return fine("clock", "this machine and the server agree")

    async def _websocket(self) -> Finding:
        """A message must come through in both directions, not only the handshake."""
        subject = "WebSocket"
        advice = "the proxy in front must pass on upgrades of /ws and the Origin header"
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._session.ws_connect(
                    f"{self._url}/ws", protocols=[_SUBPROTOCOL], origin=self._url, ssl=self._context
                ) as socket,
            ):
                await socket.send_str('{"type":"ping"}')
                answer = await socket.receive_json()
        except aiohttp.WSServerHandshakeError as error:
            return wrong(subject, f"is refused with {error.status}: {advice}")
        except (aiohttp.ClientError, OSError, TimeoutError, TypeError, ValueError):
            return wrong(subject, f"does not get through: {advice}")
        if not isinstance(answer, dict) or answer.get("code") != "hello_expected":
            return wrong(subject, f"somebody else answers there: {advice}")
        return fine(subject, "messages go both ways")

    async def _get(self, path: str) -> tuple[int, str, str, float] | str:
        """Status, body, Date and when it was asked; or why there is none."""
        asked = time.time()
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._session.get(self._url + path, ssl=self._context) as answer,
            ):
                body = await answer.text(errors="replace")
                return answer.status, body, answer.headers.get("Date", ""), asked
        except aiohttp.ClientConnectorDNSError:
            return "the name leads nowhere: enter it in the DNS"
        except aiohttp.ClientConnectorCertificateError:
            return "not asked further, since the certificate is not believed"
        except aiohttp.ClientConnectorError as error:
            reason = certificate_check.reason_of(error.os_error)
            return f"{reason}: start the server, and let the port through the firewall"
        except TimeoutError:
            return f"no answer within {PATIENCE:g} s: let the port through the firewall"
        except (aiohttp.ClientError, OSError):
            return "no HTTP answer: see what listens there"
