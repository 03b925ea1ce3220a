"""How a client of each measured server joins, sends and takes a message.

`Dialect.members` makes the two clients of one pair; a `Member` is one connection. Both are counted
alike: a message is relayed when the other one of the pair has received it whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from abc import ABC, abstractmethod
from array import array
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.client_socket import ClientSocket

MARK = b"@"
STAMP = 16


@dataclass(slots=True)
class Tally:
    """What all members of a load client have seen. `late`: nanoseconds from send to receipt."""

    sent: int = 0
    received: int = 0
    late: array[int] = field(default_factory=lambda: array("q"))
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(text)

    def take(self, payload: bytes) -> None:
        self.received += 1
        at = payload.find(MARK)
        if at >= 0:
            self.late.append(time.perf_counter_ns() - int(payload[at + 1 : at + 1 + STAMP]))


class Member(ABC):
    """One connection."""

    socket: ClientSocket

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    @abstractmethod
    def send(self) -> None:
        """Sends one message to the other one of the pair."""

    def lost(self, reason: str) -> None:
        self.tally.fault(f"connection {reason}")

    def close(self) -> None:
        self.socket.close()


class Dialect(ABC):
    """One measured server, seen from its clients."""

    def __init__(self, port: int, size: int) -> None:
        self.port = port
        self.size = size
        self.tally = Tally()

    @abstractmethod
    def prepare(self, count: int) -> None:
        """Makes what `count` connections need and what is not the server's work."""

    @abstractmethod
    async def idle(self, index: int) -> Member:
        """Opens one connection that then only waits. Returns when the server has taken it in."""

    @abstractmethod
    async def pair(self, index: int) -> tuple[Member, Member]:
        """Opens two connections that may send to each other."""


def _body(room: int) -> bytes:
    """A mark, the time, and filler: `room` bytes in all."""
    stamp = MARK + b"%016d" % time.perf_counter_ns()
    return stamp + b"x" * (room - len(stamp))


class PeerMember(Member):
    def __init__(self, tally: Tally, size: int, to: str) -> None:
        super().__init__(tally)
        self._head = b'{"type":"CANDIDATE","dst":"%s","payload":"' % to.encode()
        self._room = size - len(self._head) - 2
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, payload: bytes) -> None:
        if payload.startswith(b'{"type":"CANDIDATE"'):
            self.tally.take(payload)
        elif payload.startswith(b'{"type":"OPEN"'):
            self.joined.set_result(None)
        else:
            self.tally.fault(payload.decode(errors="replace"))

    def send(self) -> None:
        self.tally.sent += 1
        self.socket.send(self._head + _body(self._room) + b'"}')


class PeerDialect(Dialect):
    """npm `peer`: the id is the client's own choice, the token any text (peerjs 1.5.5)."""

    def prepare(self, count: int) -> None:
        """Nothing: there is no invitation."""

    async def _open(self, own: str, to: str) -> PeerMember:
        member = PeerMember(self.tally, self.size, to)
        member.socket = await ClientSocket.open(
            "127.0.0.1",
            self.port,
            f"/peerjs?key=peerjs&id={own}&token={secrets.token_hex(6)}&version=1.5.5",
            origin=f"http://localhost:{self.port}",
            subprotocol=None,
            on_text=member.take,
            on_close=member.lost,
        )
        await member.joined
        return member

    async def idle(self, index: int) -> Member:
        return await self._open(secrets.token_hex(18), "nobody")

    async def pair(self, index: int) -> tuple[Member, Member]:
        # As long as the ids the server hands out (a UUID, 36 characters).
        one, other = secrets.token_hex(18), secrets.token_hex(18)
        return await self._open(one, other), await self._open(other, one)


class _Status(msgspec.Struct):
    id: str
    status: str


class _Room(msgspec.Struct):
    you: str
    participants: list[_Status]


class _Message(msgspec.Struct):
    """The fields of docs/protocol.md section 4 that a load client looks at."""

    type: str
    id: int | None = None
    seq: int = 0
    code: str = ""
    detail: str = ""
    participant: str = ""
    to: str = ""
    room: _Room | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_room = msgspec.json.Decoder(_Room).decode

ACK_AFTER = 1.0
ACK_AT = 32


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


class KonsilMember(Member):
    """Follows the protocol as a page does: acknowledges after a second or 32 signals, keeps each
    signal until it is delivered."""

    def __init__(self, tally: Tally, size: int, token: str, room: str, name: str) -> None:
        super().__init__(tally)
        secret = _base64url(secrets.token_bytes(16))
        self.hello = msgspec.json.encode(
            {
                "type": "hello",
                "token": token,
                "secret": secret,
                "instance": secrets.token_hex(8),
                "name": name,
            }
        )
        named = hashlib.sha256(f"konsil/1 participant\0{room}\0{secret}".encode()).digest()
        self.participant = _base64url(named[:16])
        self.to = ""
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._id = 0
        self._seen = 0
        self._unacknowledged = 0
        self._acks_at: asyncio.TimerHandle | None = None
        self._kept: dict[int, bytes] = {}
        self.joined: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._views: list[tuple[str, str, asyncio.Future[None]]] = []
        self._room: _Room | None = None

    def take(self, payload: bytes) -> None:
        message = _decode(payload)
        match message.type:
            case "signal":
                self.tally.take(payload)
                if message.seq <= self._seen:
                    self.tally.fault(f"signal {message.seq} after {self._seen}")
                self._seen = message.seq
                self._unacknowledged += 1
                if self._unacknowledged >= ACK_AT:
                    self._acknowledge()
                elif self._acks_at is None:
                    self._acks_at = self._loop.call_later(ACK_AFTER, self._acknowledge)
            case "ok":
                answer = self._answers.pop(message.id or 0, None)
                if answer is not None:
                    answer.set_result(None)
            case "delivered":
                for number in [n for n in self._kept if n <= (message.id or 0)]:
                    del self._kept[number]
            case "room":
                self._view(_decode_room(payload))
            case "welcome":
                self._seen = message.seq
                if message.participant != self.participant:
                    self.tally.fault("another participant id than the protocol says")
                if message.room is not None:
                    self._view(message.room)
                self.joined.set_result(None)
            case "error":
                error = ConnectionError(f"{message.code}: {message.detail}")
                answer = self._answers.pop(message.id or 0, None)
                if answer is not None:
                    answer.set_exception(error)
                elif not self.joined.done():
                    self.joined.set_exception(error)
                else:
                    self.tally.fault(str(error))
            case "closing" | "pong":
                pass
            case _:
                self.tally.fault(payload.decode(errors="replace"))

    def lost(self, reason: str) -> None:
        super().lost(reason)
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(reason))

    def _acknowledge(self) -> None:
        if self._acks_at is not None:
            self._acks_at.cancel()
            self._acks_at = None
        self._unacknowledged = 0
        self.socket.send(b'{"type":"ack","seq":%d}' % self._seen)

    def _view(self, room: _Room) -> None:
        self._room = room
        for participant, status, seen in self._views:
            if not seen.done() and self._shows(participant, status):
                seen.set_result(None)

    def _shows(self, participant: str, status: str) -> bool:
        room = self._room
        if room is None:
            return False
        if participant == self.participant:
            return room.you == status
        return any(each.id == participant and each.status == status for each in room.participants)

    async def sees(self, participant: str, status: str) -> None:
        """Returns once this one's view of the room shows it."""
        if not self._shows(participant, status):
            seen: asyncio.Future[None] = self._loop.create_future()
            self._views.append((participant, status, seen))
            await seen

    async def command(self, kind: str, **fields: object) -> None:
        """Returns at `ok`. Raises ConnectionError at `error`."""
        self._id += 1
        answer: asyncio.Future[None] = self._loop.create_future()
        self._answers[self._id] = answer
        self.socket.send(msgspec.json.encode({"type": kind, "id": self._id, **fields}))
        await answer

    def send(self) -> None:
        self.tally.sent += 1
        self._id += 1
        head = b'{"type":"signal","id":%d,"to":"%s","data":"' % (self._id, self.to.encode())
        payload = head + _body(self._size - len(head) - 2) + b'"}'
        self._kept[self._id] = payload
        self.socket.send(payload)

    def close(self) -> None:
        if self._acks_at is not None:
            self._acks_at.cancel()
        super().close()


class KonsilDialect(Dialect):
    """Invitations are minted here with the server's key, as `konsil invite` does."""

    def __init__(self, port: int, size: int, state_dir: Path, public_url: str) -> None:
        super().__init__(port, size)
        # Only the process that plays Konsil's clients needs Konsil.
        from loadtest.appointments import Appointments  # noqa: PLC0415

        self._appointments = Appointments(state_dir, public_url, "Bench")
        self._public_url = public_url
        self._links: list[tuple[str, str, str]] = []

    def prepare(self, count: int) -> None:
        made = (self._appointments.make() for _ in range(count))
        self._links = [(one.room, one.host_token, one.client_token) for one in made]

    async def _open(self, token: str, room: str, name: str) -> KonsilMember:
        member = KonsilMember(self.tally, self.size, token, room, name)
        member.socket = await ClientSocket.open(
            "127.0.0.1",
            self.port,
            "/ws",
            origin=self._public_url,
            subprotocol="konsil.v1",
            on_text=member.take,
            on_close=member.lost,
        )
        member.socket.send(member.hello)
        await member.joined
        return member

    async def idle(self, index: int) -> Member:
        """A client in a waiting room of its own, the host not yet there."""
        room, _, client_token = self._links[index]
        return await self._open(client_token, room, f"Client {index}")

    async def pair(self, index: int) -> tuple[Member, Member]:
        room, host_token, client_token = self._links[index]
        host = await self._open(host_token, room, "Dr. Host")
        client = await self._open(client_token, room, f"Client {index}")
        await host.sees(client.participant, "waiting")
        await host.command("admit", participant=client.participant)
        await client.sees(client.participant, "admitted")
        host.to, client.to = client.participant, host.participant
        await asyncio.gather(host.command("connected"), client.command("connected"))
        return host, client
