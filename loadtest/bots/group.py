"""A bot's keys of frames: sealed messages with everybody inside (docs/protocol.md 7 and 9.5)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from loadtest.bots.media import now_ms
from loadtest.bots.page import BotError, Page
from loadtest.bots.seals import Seals
from loadtest.exchange import Content, Exchange, Ready, Refused, Send, Signal, decode_signal
from loadtest.exchange import Output as ExchangeOutput
from loadtest.framekeys import Forget, FrameKeys, OpenWith, Output, SealWith, Tell
from loadtest.participant import base64url
from loadtest.sealing import Context, make_share
from signaling.messages import Person, Relayed

PATIENCE_S: Final = 3600.0  # without any news; a call of bots is shorter
_INSIDE: Final = frozenset({"admitted", "in_call"})


@dataclass(slots=True)
class _Other:
    """Somebody inside, and the exchange with this load of the page; `open`: it has keys."""

    person: Person
    exchange: Exchange | None = None
    open: bool = False


class Group:
    """`run` until the call is over. `fingerprint`: SHA-256 of the bot's certificate."""

    def __init__(
        self, page: Page, room: str, link_secret: bytes, fingerprint: bytes, seals: Seals
    ) -> None:
        self._page, self._room, self._secret = page, room, link_secret
        self._fingerprint, self._seals = fingerprint, seals
        self._keys = FrameKeys(secrets.token_bytes)
        self._others: dict[str, _Other] = {}  # as many as a room takes

    async def run(self) -> None:
        """Raises BotError when the socket closes or somebody interferes."""
        page, seen = self._page, None
        while True:
            if page.view is not seen:
                seen = page.view
                await self._look()
            while not page.signals.empty():
                await self._take(page.signals.get_nowait())
            await self._carry_out(self._keys.handle_timer(now_ms()))
            due = self._keys.next_timeout()
            wait_s = PATIENCE_S if due is None else max(0.0, (due - now_ms()) / 1000)
            try:
                await page.until(
                    lambda seen=seen: page.view is not seen or not page.signals.empty(),  # type: ignore[misc]
                    wait_s,
                )
            except TimeoutError:
                continue

    async def moved(self) -> None:
        """Tells everybody that their media is taken from the forwarder."""
        for id_, other in self._others.items():
            if other.open and other.exchange is not None:
                await self._page.signal(id_, other.exchange.seal({"moved": "sfu"}).data)

    async def _look(self) -> None:
        view = self._page.view
        inside = {
            person.id: person
            for person in (view.participants if view is not None else ())
            if person.id != self._page.participant and person.status in _INSIDE
        }
        for id_ in self._others.keys() - inside.keys():
            del self._others[id_]
            await self._carry_out(self._keys.gone(id_))
        for id_, person in inside.items():
            known = self._others.get(id_)
            if known is not None and known.person.instance == person.instance:
                continue
            if known is not None:
                await self._carry_out(self._keys.lost(id_))
            self._others[id_] = _Other(person)
            if self._is_initiator(person):
                exchange = self._begin(id_, base64url(secrets.token_bytes(12)), initiator=True)
                await self._follow(id_, exchange.begin())

    def _is_initiator(self, person: Person) -> bool:
        if "host" in (self._page.role, person.role):
            return self._page.role == "host"
        return self._page.participant < person.id

    def _begin(self, id_: str, name: str, *, initiator: bool) -> Exchange:
        ends = (self._page.participant, id_)
        a, b = ends if initiator else ends[::-1]
        own = make_share(
            fingerprint=self._fingerprint, has_secret=True, nonce=secrets.token_bytes(16)
        )
        exchange = Exchange(
            Context(self._room, a, b, name), own, initiator=initiator, link_secret=self._secret
        )
        self._others[id_].exchange = exchange
        return exchange

    async def _take(self, relayed: Relayed) -> None:
        id_, signal = relayed.from_, decode_signal(relayed.data)
        other = self._others.get(id_)
        if other is None:
            return
        if signal.kind == "commit" and self._is_another(other, signal):
            if other.open:
                await self._carry_out(self._keys.lost(id_))
                other.open = False
            self._begin(id_, signal.exchange, initiator=False)
        exchange = other.exchange
        if exchange is None or signal.exchange != exchange.context.exchange:
            return
        if signal.kind == "refused":
            raise BotError(f"refused: {signal.payload.decode(errors='replace')}")
        await self._follow(id_, exchange.receive(signal))

    def _is_another(self, other: _Other, signal: Signal) -> bool:
        if self._is_initiator(other.person):
            return False
        return other.exchange is None or other.exchange.context.exchange != signal.exchange

    async def _follow(self, id_: str, outputs: list[ExchangeOutput]) -> None:
        for output in outputs:
            match output:
                case Send():
                    await self._page.signal(id_, output.data)
                case Refused():
                    raise BotError(output.reason.value)
                case Ready():
                    other = self._others[id_]
                    other.open = True
                    assert other.exchange is not None
                    on = other.exchange.seal({"media": {"audio": True, "video": True}})
                    await self._page.signal(id_, on.data)
                    await self._carry_out(self._keys.opened(id_, now_ms()))
                case Content():
                    # Of descriptions and the rest a bot in a group has no use.
                    if "key" in output.value:
                        await self._carry_out(self._keys.received(id_, output.value["key"]))

    async def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Tell():
                    other = self._others.get(output.to)
                    if other is not None and other.exchange is not None:
                        sealed = other.exchange.seal(output.content)
                        await self._page.signal(output.to, sealed.data)
                case SealWith():
                    self._seals.seal_with(output.epoch, output.key)
                case OpenWith():
                    self._seals.open_with(output.sender, output.epoch, output.key)
                case Forget():
                    self._seals.forget(output.sender)
