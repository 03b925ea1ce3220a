"""Passkeys over HTTP: adding and removing one at the desk, and signing in with one."""

from functools import partial
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web

from signaling.answers import answer, read_body
from signaling.credentials import Credentials, SignedIn
from signaling.deps import Deps
from signaling.desk import Desk
from signaling.disk import stored
from waiting_room import passkeys
from waiting_room.errors import Refused
from waiting_room.once import Once
from waiting_room.passkey_files import PASSKEYS_MAX, PasskeyFiles
from waiting_room.passkeys import Assertion, NewPasskey, Passkey, RelyingParty, Use


class Removal(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/passkeys/remove."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}\Z")]


_new_passkey: Final = msgspec.json.Decoder(NewPasskey)
_assertion: Final = msgspec.json.Decoder(Assertion)
_removal: Final = msgspec.json.Decoder(Removal)


class PasskeyApi:
    """Handlers of /api/v1/passkeys and /api/v1/sign-in/passkey."""

    def __init__(
        self, deps: Deps, files: PasskeyFiles, credentials: Credentials, desk: Desk
    ) -> None:
        """Raises ConfigError where the public URL has no host name."""
        self._deps = deps
        self._files = files
        self._credentials = credentials
        self._desk = desk
        self._party = RelyingParty.of(credentials.audience)
        self._once = Once(deps.store.shared)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/passkeys", self.look, allow_head=False),
            web.post("/api/v1/passkeys", self.add),
            web.post("/api/v1/passkeys/challenge", self.ask_to_add),
            web.post("/api/v1/passkeys/remove", self.remove),
            web.post("/api/v1/sign-in/passkey", self.sign_in),
            web.post("/api/v1/sign-in/passkey/challenge", self.ask_to_sign_in),
        ]

    async def ask_to_sign_in(self, _request: web.Request) -> web.StreamResponse:
        """Make a challenge for whoever wants to sign in."""
        return answer({"challenge": self._challenge("sign_in", ""), "rp": self._party.id})

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """Exchange what an authenticator has signed for the cookie. A challenge does that once."""
        given = await read_body(request, _assertion)
        now = self._deps.clock.wall()
        try:
            asked = passkeys.challenge_of(
                given.client_data, "sign_in", self._party, self._deps.keyring, now
            )
            provider = self._deps.providers.get(given.user)
            if provider is None or not provider.active:
                raise passkeys.unknown()
            await stored(
                self._files.use,
                provider,
                given.id,
                lambda passkey: passkeys.signed(given, self._party, passkey),
            )
            await self._once.use(asked.id, asked.exp - now, passkeys.used())
        except Refused as refused:
            if refused.code == "passkey_refused":
                await self._credentials.hold_up(request)
            raise
        return self._desk.welcome(provider, now)

    async def ask_to_add(self, request: web.Request) -> web.StreamResponse:
        """Make a challenge for a passkey to be added, and say who it is for."""
        found = await self._desk.signed_in(request)
        provider = found.provider
        there = await stored(self._files.list, provider)
        return self._kept(
            found,
            {
                "challenge": self._challenge("add", provider.id),
                "rp": self._party.id,
                "user": {"id": provider.id, "name": provider.name},
                "algorithms": list(passkeys.ALGORITHMS),
                # So that an authenticator that has one already says so, and makes no second.
                "known": [one.id for one in there],
            },
        )

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Keep the public key of a passkey that a signed-in provider has made."""
        found = await self._desk.signed_in(request)
        given = await read_body(request, _new_passkey)
        now, provider = self._deps.clock.wall(), found.provider
        asked = passkeys.challenge_of(
            given.client_data, "add", self._party, self._deps.keyring, now
        )
        if asked.sub != provider.id:
            raise passkeys.unknown()
        made = passkeys.added(given, self._party, provider, now)
        await self._once.use(asked.id, asked.exp - now, passkeys.used())
        check = partial(self._credentials.refuse_ended, found)
        await stored(self._files.add, provider, made, check)
        return self._kept(found, await self._list(found), status=201)

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Say which passkeys the signed-in provider has."""
        found = await self._desk.signed_in(request)
        return self._kept(found, await self._list(found))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Forget a passkey of the signed-in provider: it signs in no more."""
        found = await self._desk.signed_in(request)
        handle = (await read_body(request, _removal)).id
        await stored(self._files.remove, found.provider, handle)
        return self._kept(found, await self._list(found))

    async def _list(self, found: SignedIn) -> dict[str, Any]:
        there: tuple[Passkey, ...] = await stored(self._files.list, found.provider)
        return {
            "passkeys": [{"id": one.handle, "added": one.added} for one in there],
            "most": PASSKEYS_MAX,
        }

    def _kept(self, found: SignedIn, content: dict[str, Any], status: int = 200) -> web.Response:
        response = answer(content, status=status)
        self._credentials.keep(response, found)
        return response

    def _challenge(self, use: Use, provider: str) -> str:
        return passkeys.challenge(
            use,
            provider,
            self._party,
            new_id=self._desk.new_id(),
            key=self._deps.keyring.current,
            now=self._deps.clock.wall(),
        )
