"""Receipts: of a consent, and that a session has been deleted. None of them is kept here."""

import asyncio
import math
from typing import Annotated, Final

import msgspec
from aiohttp import web

from signaling.answers import JSON, answer, read_body
from signaling.arrival import participant_id
from signaling.arrivals import GRACE_S
from signaling.consent_texts import read_texts
from signaling.credentials import PARTICIPANT, Credentials, participant_secret
from signaling.deps import Deps
from signaling.limits import Allowances
from signaling.rooms import Rooms
from waiting_room.errors import Refused
from waiting_room.inventory import holds_anything
from waiting_room.receipts import (
    DELETED,
    RECEIPT_MAX,
    Receipt,
    ReceiptError,
    encode,
    time_of,
    verify,
)
from waiting_room.signatures import to_base64url
from waiting_room.tokens import Claims, TokenType

_GUESTS: Final = (TokenType.CLIENT, TokenType.GUEST)
_ROOM_TOKENS: Final = (TokenType.HOST, *_GUESTS)
MAX_LOOKING: Final = 32
"""Rooms for which a look through the store is under way or waits for its turn; whoever asks for one
more is told `slow_down`. All who ask for the same room meanwhile share one look."""

LOOK_RATE: Final = 0.5  # per second
LOOK_BURST: Final = 10
"""Of one room: everybody who was there may have a receipt, and come back for it."""


class Consent(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/receipts/consent."""

    language: Annotated[str, msgspec.Meta(min_length=2, max_length=16)]
    text_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/receipts/verify."""

    receipt: Annotated[str, msgspec.Meta(max_length=RECEIPT_MAX)]


_consent: Final = msgspec.json.Decoder(Consent)
_given: Final = msgspec.json.Decoder(Given)


class ReceiptApi:
    """Handlers of /api/v1/receipts."""

    def __init__(self, deps: Deps, credentials: Credentials, rooms: Rooms) -> None:
        self._deps = deps
        self._credentials = credentials
        self._rooms = rooms
        self._texts = read_texts(deps.web_root)
        self._looking = asyncio.Lock()
        self._looks: dict[str, asyncio.Future[bool | Exception]] = {}
        self._rates = Allowances(LOOK_RATE, LOOK_BURST)

    def routes(self) -> list[web.RouteDef]:
        """Give what there is about receipts."""
        return [
            web.post("/api/v1/receipts/consent", self.consent),
            web.get("/api/v1/receipts/deletion", self.deletion, allow_head=False),
            web.post("/api/v1/receipts/verify", self.verify),
            web.get("/api/v1/receipt-keys", self.keys, allow_head=False),
        ]

    async def consent(self, request: web.Request) -> web.StreamResponse:
        """Say that this participant has now agreed to one of our texts."""
        claims = await self._credentials.claims(request, _GUESTS)
        secret = participant_secret(request)
        if not secret:
            raise Refused("not_allowed", f"{PARTICIPANT} must be the secret of a participant")
        given = await read_body(request, _consent)
        text = self._texts.get((given.language, given.text_sha256))
        if text is None:
            raise Refused(
                "bad_request", "text_sha256 is of no text of ours", {"field": "text_sha256"}
            )
        return self._signed(
            self._receipt(
                claims,
                "consent",
                participant=participant_id(claims.room, secret),
                language=given.language,
                text=text,
                text_sha256=given.text_sha256,
            )
        )

    async def deletion(self, request: web.Request) -> web.StreamResponse:
        """Look whether anything is left of a session; say so if nothing is."""
        claims = await self._credentials.claims(request, _ROOM_TOKENS, grace=GRACE_S)
        look = self._looks.get(claims.room)
        if look is None:
            held = await self._look(claims.room)
        else:
            outcome = await asyncio.shield(look)
            if isinstance(outcome, Exception):
                raise outcome
            held = outcome
        if held:
            raise Refused("not_ended", "the session has not ended", {"retry_after": 1})
        return self._signed(self._receipt(claims, "deletion", statement=DELETED))

    async def _look(self, room: str) -> bool:
        """Whether anything is left of a room; the only look at it that is under way."""
        if len(self._looks) >= MAX_LOOKING:
            raise Refused("slow_down", "too many look at once", {"retry_after": 2})
        wait = self._rates.take(room, self._deps.clock.monotonic())
        if wait > 0:
            retry_after = math.ceil(wait * 10) / 10
            raise Refused("slow_down", "asked too often", {"retry_after": retry_after})
        look = self._looks[room] = asyncio.get_running_loop().create_future()
        try:
            async with self._looking:  # each goes through the whole database
                held = self._rooms.get(room) is not None
                held = held or await holds_anything(self._deps.store.shared, room)
        except Exception as error:
            look.set_result(error)
            raise
        else:
            look.set_result(held)
            return held
        finally:
            del self._looks[room]
            look.cancel()  # only where this was cancelled: those who share it end as well

    async def verify(self, request: web.Request) -> web.StreamResponse:
        """Say whether a receipt is one of this server's, as it was given."""
        given = await read_body(request, _given)
        try:
            found = verify(given.receipt.encode(), self._deps.keyring.public_keys.find)
        except ReceiptError:
            return answer({"verified": False})
        return answer({"verified": found.ours})

    async def keys(self, request: web.Request) -> web.StreamResponse:
        """Give the public keys of all receipts, so that anybody can keep them."""
        keys = await asyncio.to_thread(self._deps.keyring.public_keys.all)
        return answer(
            {
                "keys": [
                    {"kid": kid, "public_key": to_base64url(key.public_bytes_raw())}
                    for kid, key in keys.items()
                ]
            }
        )

    def _receipt(self, claims: Claims, kind: str, **more: str) -> Receipt:
        provider = self._deps.providers.get(claims.sub)
        return msgspec.convert(
            {
                "konsil_receipt": kind,
                "server": self._credentials.audience,
                "provider": "" if provider is None else provider.name,
                "session": claims.room,
                "at": time_of(self._deps.clock.wall()),
                **more,
            },
            Receipt,
        )

    def _signed(self, receipt: Receipt) -> web.Response:
        """The file itself: whoever saves these bytes has a receipt."""
        body = encode(receipt, self._deps.keyring.current)
        return web.Response(status=200, body=body, headers={"Content-Type": JSON})
