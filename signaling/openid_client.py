"""Talks to the OpenID provider that the operator has named: its metadata, its keys, its tokens.

No redirect is followed, answers are bounded in size and time, and nothing of them is logged.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from joserfc.jwk import KeySet

from waiting_room import openid
from waiting_room.errors import Refused
from waiting_room.openid import Client, Metadata

PATIENCE_S: Final = 8.0  # for all that one sign-in asks of it: pages wait for 10
KEPT_S: Final = 3600.0  # metadata and keys are asked for again after it
AGAIN_S: Final = 60.0  # keys at most so often, however many unknown key ids come
DOWN_S: Final = 5.0  # one that has failed is left alone for so long
ANSWER_MAX: Final = 262_144  # bytes
AT_ONCE: Final = 8  # exchanges of codes under way; beyond it people are told to slow down
_OK: Final = 200
_BAD_REQUEST: Final = (400, 401)
_CLIENT_ERROR: Final = range(400, 500)
_OURS: Final = ("invalid_client", "unauthorized_client")  # a fault of the settings, whoever comes


class RequestRefused(Refused):
    """The issuer wants no such request: it may be for a made-up code, which some do not tell from
    other faults."""


class OpenIdClient:
    """One issuer, as seen from one process. Every operation may raise Refused
    `openid_unavailable`, with `retry_after`."""

    def __init__(
        self, client: Client, secret: Callable[[], str], monotonic: Callable[[], float]
    ) -> None:
        self.client = client
        self._secret = secret
        self._monotonic = monotonic
        self._session: aiohttp.ClientSession | None = None
        self._asking = asyncio.Lock()
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._down_until = 0.0
        self._exchanges = 0

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,  # many a clinic lets nothing out but through its proxy
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def metadata(self) -> Metadata:
        """What the issuer says of itself, at most an hour old."""
        async with self._asking:
            if self._metadata is None or self._is_old(self._metadata[0], KEPT_S):
                data = await self._get(openid.well_known(self.client.issuer))
                try:
                    found = openid.read_metadata(data, self.client.issuer)
                except ValueError as error:
                    raise self._down(str(error)) from None
                self._metadata = self._monotonic(), found
            return self._metadata[1]

    async def keys(self, kid: str | None) -> KeySet:
        """The issuer's keys; asked for again where that one is not among them."""
        metadata = await self.metadata()
        async with self._asking:
            if self._keys is not None and not self._is_old(self._keys[0], KEPT_S):
                known = kid is None or any(key.kid == kid for key in self._keys[1].keys)
                if known or not self._is_old(self._keys[0], AGAIN_S):
                    return self._keys[1]
            data = await self._get(metadata.jwks_uri)
            try:
                self._keys = self._monotonic(), openid.read_keys(data)
            except ValueError as error:
                raise self._down(str(error)) from None
            return self._keys[1]

    async def identity(self, code: str, verifier: str, *, nonce: str, now: float) -> str:
        """The value of the wanted claim of whoever has brought this code (Core section 3.1.3).

        Raises Refused `openid_refused`, too.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                id_token = await self._redeem(code, verifier)
                keys = await self.keys(openid.key_id(id_token))
        except TimeoutError:
            raise self._down("does not answer") from None
        return openid.identity(id_token, keys, self.client, nonce=nonce, now=now)

    async def _redeem(self, code: str, verifier: str) -> str:
        metadata = await self.metadata()
        if self._exchanges >= AT_ONCE:
            raise Refused("slow_down", "too many sign-ins at once", {"retry_after": 1.0})
        self._exchanges += 1
        try:
            return await self._exchange(metadata, code, verifier)
        finally:
            self._exchanges -= 1

    async def _exchange(self, metadata: Metadata, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        secret = self._secret()
        methods = metadata.token_endpoint_auth_methods_supported
        if secret and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            headers["Authorization"] = _basic(self.client.client_id, secret)
        else:
            form["client_id"] = self.client.client_id
            if secret:
                form["client_secret"] = secret
        status, data = await self._ask(
            "POST", metadata.token_endpoint, data=urlencode(form), headers=headers
        )
        answer = _object(data)
        if status in _BAD_REQUEST and answer.get("error") == "invalid_grant":
            raise openid.refused("code")
        if status != _OK:
            # Wrong client id or secret, most likely: nothing that the person could mend.
            refusal = self._unavailable("does not take our request for a token")
            if status in _CLIENT_ERROR and answer.get("error") not in _OURS:
                raise RequestRefused(refusal.code, refusal.detail, refusal.extra)
            raise refusal
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise self._unavailable("gives no ID token")
        return id_token

    async def _get(self, url: str) -> bytes:
        if self._monotonic() < self._down_until:
            raise self._unavailable("has just failed")
        status, data = await self._ask("GET", url)
        if status != _OK:
            raise self._down(f"answers {status}")
        return data

    async def _ask(self, method: str, url: str, **more: Any) -> tuple[int, bytes]:
        assert self._session is not None, "started"
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **more
            ) as response:
                data = bytearray()
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > ANSWER_MAX:
                        raise self._down("says too much")
                return response.status, bytes(data)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._down("does not answer") from error

    def _is_old(self, since: float, seconds: float) -> bool:
        return self._monotonic() - since >= seconds

    def _down(self, what: str) -> Refused:
        self._down_until = self._monotonic() + DOWN_S
        return self._unavailable(what)

    def _unavailable(self, what: str) -> Refused:
        return Refused("openid_unavailable", f"the OpenID provider {what}", {"retry_after": DOWN_S})


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded first."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
