"""An intruder at full speed, in a process of its own: raw sockets, no pause, many kinds of attack.

The patient wait for as long as the server makes them; the hasty give up at once and come again, and
so go as fast as one core can send. Bounded by time and by count. Writes to stdout what came of it:

    {"attacks": {kind: {outcome: how often}}, "seconds": …, "cpu": cores that this process took}

`right`: refused as it should be; `slow_down`: told to come later; `made_to_wait`: nothing within
the time; `cut`: closed without a word; anything else is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import secrets
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.client_socket import client_frame
from loadtest.appointments import Appointments
from loadtest.participant import new_instance, new_secret
from signaling.messages import Admit, Ping, encode

PATIENT_S: Final = 3.0  # longer than a server makes anybody wait
HASTY_S: Final = 0.02
ATTACKS_MOST: Final = 1_000_000
LINKS: Final = 500  # good ones, each used again and again: as of somebody whose link has leaked
FLOOD: Final = 320  # messages: a burst of 200, and over a hundred refused in a row
OVERSIZE: Final = 70_000
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # gone without a word, and without a port kept for it


@dataclass(frozen=True, slots=True)
class Attack:
    """`first` is sent at once, `then` when somebody was let in. `right`: part of the only answer
    that is right; b"" where none is due. `joins`: whether a welcome may come before it."""

    kind: str
    first: bytes
    right: bytes
    then: bytes = b""
    joins: bool = False


def _closed(code: int) -> bytes:
    """The frame that says so, up to its reason."""
    return code.to_bytes(2, "big")


class Arsenal:
    """Makes one attack after the other, of all kinds in turn."""

    def __init__(self, appointments: Appointments, origin: str) -> None:
        made = [appointments.make() for _ in range(LINKS)]
        self._tokens = itertools.cycle([one.client_token for one in made])
        self._closed = appointments.closed()
        self._upgrade = self._request(origin, origin)
        self._elsewhere = self._request(origin, "https://elsewhere.example")
        self._host = origin.partition("//")[2].encode()

    @staticmethod
    def _request(origin: str, claimed: str) -> bytes:
        return (
            f"GET /ws HTTP/1.1\r\nHost: {origin.partition('//')[2]}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: a29uc2lsLWJlbmNoLWtleQ==\r\n"
            f"Sec-WebSocket-Protocol: konsil.v1\r\nOrigin: {claimed}\r\n\r\n"
        ).encode()

    def __iter__(self) -> Iterator[Attack]:
        while True:
            yield from self._turn()

    def _turn(self) -> Iterator[Attack]:
        up = self._upgrade
        head, _, signature = next(self._tokens).rpartition(".")
        other = ("A" if signature[0] != "A" else "B") + signature[1:]
        invalid = b"token_invalid"
        yield Attack("bad_signature", up + self._hello(f"{head}.{other}"), invalid)
        yield Attack("malformed_token", up + self._hello(secrets.token_urlsafe(40)), invalid)
        yield Attack("closed_token", up + self._hello(self._closed), b"token_closed")
        yield Attack("no_hello", up + client_frame(encode(Ping())), b"hello_expected")
        yield Attack("not_json", up + client_frame(b"[[["), b"bad_message")
        yield Attack("binary", up + client_frame(secrets.token_bytes(200), 2), _closed(1003))
        yield Attack("oversize", up + _announced(OVERSIZE) + b"x" * 1000, _closed(1009))
        yield Attack("unmasked", up + b"\x81\x02{}", _closed(1002))
        yield Attack("foreign_origin", self._elsewhere, b"HTTP/1.1 403")
        yield Attack("half_a_request", up[: len(up) // 2], b"")
        yield Attack("nothing_at_all", b"", b"")
        yield Attack("not_http", secrets.token_bytes(300) + b"\r\n\r\n", b"HTTP/1.1 400")
        yield Attack("guessed_code", self._guess(), b'"code_unknown"')
        yield self._inside("flood", client_frame(encode(Ping())) * FLOOD, _closed(4429))
        yield self._inside("garbage", client_frame(b"\\") * 3, _closed(4400))
        admit = client_frame(encode(Admit(1, "A" * 22)))
        yield self._inside("acts_as_host", admit, b"not_allowed")

    def _inside(self, kind: str, then: bytes, right: bytes) -> Attack:
        first = self._upgrade + self._hello(next(self._tokens))
        return Attack(kind, first, right, then, joins=True)

    @staticmethod
    def _hello(token: str) -> bytes:
        said = {
            "type": "hello",
            "token": token,
            "secret": new_secret(),
            "instance": new_instance(),
            "name": "Intruder",
        }
        return client_frame(json.dumps(said).encode())

    def _guess(self) -> bytes:
        body = json.dumps({"code": f"{secrets.randbelow(10**9):09d}"}).encode()
        return (
            b"POST /api/v1/codes/redeem HTTP/1.1\r\nHost: " + self._host + b"\r\nOrigin: http://"
            + self._host + b"\r\nContent-Type: application/json\r\nContent-Length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body
        )  # fmt: skip


def _announced(length: int) -> bytes:
    """The head of a masked frame that says it is so long."""
    return b"\x81\xff" + length.to_bytes(8, "big") + b"mask"


class Attempt(asyncio.Protocol):
    """One connection: `outcome` is done when there is nothing more to be had from it."""

    def __init__(self, attack: Attack) -> None:
        self._attack, self._seen, self._inside = attack, b"", False
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._attack.first)

    def data_received(self, data: bytes) -> None:
        attack = self._attack
        self._seen += data
        if attack.right and attack.right in self._seen:
            self._done("right")
        elif b'"slow_down"' in self._seen or b" 429 " in self._seen[:16]:
            self._done("slow_down")
        elif b'"welcome"' in self._seen and not attack.joins:
            self._done("let_in")
        elif b'"welcome"' in self._seen and not self._inside and self.transport is not None:
            self._inside = True
            self.transport.write(attack.then)
        elif len(self._seen) > 1 << 16:
            self._done("endless")

    def connection_lost(self, exc: Exception | None) -> None:
        answered = self._seen.partition(b"\r\n\r\n")[2] or not self._seen.startswith(
            b"HTTP/1.1 101"
        )
        self._done("other" if self._seen and answered and not self._inside else "cut")

    def _done(self, outcome: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


@dataclass(slots=True)
class Flood:
    """`sources`: addresses of this machine to come from, in turn."""

    port: int
    sources: Iterator[str]
    attacks: Iterator[Attack]
    until: float
    left: int = ATTACKS_MOST
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    async def keep_on(self, patience: float) -> None:
        while time.monotonic() < self.until and self.left > 0:
            self.left -= 1
            attack = next(self.attacks)
            outcome = await self._attempt(attack, patience)
            self.outcomes.setdefault(attack.kind, Counter())[outcome] += 1

    async def _attempt(self, attack: Attack, patience: float) -> str:
        attempt = Attempt(attack)
        sock = socket.socket()
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            sock.bind((next(self.sources), 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(patience):
                await loop.sock_connect(sock, ("127.0.0.1", self.port))
                await loop.create_connection(lambda: attempt, sock=sock)
                return await attempt.outcome
        except TimeoutError:
            return "made_to_wait" if attack.right else "right"
        except OSError:
            return "cut"
        finally:
            if attempt.transport is not None:
                attempt.transport.abort()
            else:
                sock.close()


async def flood(options: argparse.Namespace) -> dict[str, object]:
    arsenal = Arsenal(Appointments(Path(options.state_dir), options.origin), options.origin)
    sources = itertools.cycle([str(one) for one in ip_network(options.sources).hosts()])
    began, used = time.monotonic(), time.process_time()
    made = Flood(options.port, sources, iter(arsenal), began + options.seconds)
    print(flush=True)  # it has begun
    async with asyncio.TaskGroup() as group:
        for number in range(options.patient + options.hasty):
            patience = PATIENT_S if number < options.patient else HASTY_S
            group.create_task(made.keep_on(patience))
    passed = time.monotonic() - began
    return {
        "attacks": {kind: dict(seen) for kind, seen in made.outcomes.items()},
        "seconds": passed,
        "cpu": (time.process_time() - used) / passed,
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", required=True)
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--sources", default="127.0.66.0/24")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--patient", type=int, default=1000)
    parser.add_argument("--hasty", type=int, default=100)
    options = parser.parse_args(arguments)
    wanted = options.patient + options.hasty + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    json.dump(uvloop.run(flood(options)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
