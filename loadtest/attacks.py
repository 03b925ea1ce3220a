"""What an intruder tries, and the only answer that is right.

Each attack ends with the server's answer; any other than the one named in ATTACKS is a StepError.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Final

import websocket
from websocket import ABNF

from loadtest.participant import new_instance, new_secret
from loadtest.practice import Practice
from loadtest.visit import Address, StepError, Visit, close_code, translated
from signaling.messages import Admit, Ping, encode

FLOOD: Final = 320  # messages: the burst of 200, and over a hundred refused in a row
OVERSIZE: Final = 70_000  # bytes; a message has 65,536 at most

Attack = Callable[[Practice, Address], str]
"""What came of it: the code of an error, or `closed_…` with the code of the close."""


def run(name: str, practice: Practice, address: Address) -> None:
    """Raises StepError when the server does anything but what it should."""
    attack, right = ATTACKS[name]
    outcome = attack(practice, address)
    if outcome != right:
        raise StepError(outcome)


def _hello(token: str) -> bytes:
    return json.dumps(
        {
            "type": "hello",
            "token": token,
            "secret": new_secret(),
            "instance": new_instance(),
            "name": "Intruder",
        }
    ).encode()


def _answer(opened: websocket.WebSocket) -> str:
    """The code of the next error, or of the close; `let_in` for a welcome."""
    while True:
        opcode, data = opened.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            return close_code(data)
        message = json.loads(data)
        if message["type"] == "error":
            return str(message["code"])
        if message["type"] == "welcome":
            return "let_in"


def _say(address: Address, text: bytes, opcode: int = ABNF.OPCODE_TEXT) -> str:
    """One message in place of a hello, or with one that should not be taken."""
    opened = address.upgrade()
    with translated():
        try:
            opened.send(text, opcode)
            return _answer(opened)
        finally:
            _drop(opened)


def _drop(opened: websocket.WebSocket) -> None:
    with contextlib.suppress(OSError, websocket.WebSocketException):
        opened.shutdown()


def _bad_signature(practice: Practice, address: Address) -> str:
    token = practice.appointments.make().client_token
    head, _, signature = token.rpartition(".")
    # The first character: the last one's lowest bits are padding.
    other = ("A" if signature[0] != "A" else "B") + signature[1:]
    return _say(address, _hello(f"{head}.{other}"))


def _malformed_token(practice: Practice, address: Address) -> str:
    return _say(address, _hello(secrets.token_urlsafe(40)))


def _closed_token(practice: Practice, address: Address) -> str:
    return _say(address, _hello(practice.appointments.closed()))


def _no_hello(practice: Practice, address: Address) -> str:
    return _say(address, encode(Ping()))


def _binary(practice: Practice, address: Address) -> str:
    return _say(address, secrets.token_bytes(200), ABNF.OPCODE_BINARY)


def _oversize(practice: Practice, address: Address) -> str:
    return _say(address, b"x" * OVERSIZE)


def _foreign_origin(practice: Practice, address: Address) -> str:
    try:
        _drop(address.upgrade("https://elsewhere.example"))
    except StepError as failed:
        return failed.code
    return "let_in"


def _unmasked(practice: Practice, address: Address) -> str:
    """RFC 6455 section 5.1: a server closes with 1002."""
    opened = address.upgrade()
    with translated():
        try:
            assert opened.sock is not None
            opened.sock.sendall(b"\x81\x02{}")
            return _answer(opened)
        finally:
            _drop(opened)


def _half_a_request(practice: Practice, address: Address) -> str:
    """A request head that never ends; gone without a word after that."""
    with translated(), address.dial() as dialled:
        dialled.sendall(b"GET /ws HTTP/1.1\r\nHost: " + secrets.token_hex(400).encode())
    return "gone"


def _garbage(practice: Practice, address: Address) -> str:
    """Three in a row, from somebody who was let in with a good link."""
    return _inside(practice, address, [b'{"type":"sesame"}', b"[[[", b"\\"])


def _flood(practice: Practice, address: Address) -> str:
    return _inside(practice, address, [encode(Ping())] * FLOOD)


def _inside(practice: Practice, address: Address, messages: list[bytes]) -> str:
    """Joins, sends all of it as fast as it goes, and gives the code of the close."""
    visit = Visit(address, practice.appointments.make().client_token, "Intruder")
    visit.join()
    opened = visit.socket
    with translated():
        try:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                for message in messages:
                    opened.send(message.decode())
            deadline = time.monotonic() + address.seconds
            while time.monotonic() < deadline:
                opcode, data = opened.recv_data()
                if opcode == ABNF.OPCODE_CLOSE:
                    return close_code(data)
            return "timeout"
        finally:
            _drop(opened)


def _acts_as_host(practice: Practice, address: Address) -> str:
    visit = Visit(address, practice.appointments.make().client_token, "Intruder")
    try:
        visit.join()
        visit.command(lambda number: Admit(number, visit.participant))
    except StepError as failed:
        return failed.code
    finally:
        visit.cut()
    return "let_in"


ATTACKS: Final[dict[str, tuple[Attack, str]]] = {
    "bad_signature": (_bad_signature, "token_invalid"),
    "malformed_token": (_malformed_token, "token_invalid"),
    "closed_token": (_closed_token, "token_closed"),
    "no_hello": (_no_hello, "hello_expected"),
    "binary": (_binary, "closed_1003"),
    "oversize": (_oversize, "closed_1009"),
    "foreign_origin": (_foreign_origin, "http_403"),
    "unmasked": (_unmasked, "closed_1002"),
    "half_a_request": (_half_a_request, "gone"),
    "garbage": (_garbage, "closed_4400"),
    "flood": (_flood, "closed_4429"),
    "acts_as_host": (_acts_as_host, "not_allowed"),
}
