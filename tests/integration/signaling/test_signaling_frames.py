"""Bad input over the WebSocket: a clear code, and nobody else is hurt."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from typing import Any

import pytest

from signaling.frames import encode_masked
from signaling.limits import AWAITING_PER_ADDRESS, MESSAGE_BURST
from signaling.socket import CLOSE_TIMEOUT_S, MAX_UNSENT
from tests.integration.conftest import until
from tests.integration.signaling.conftest import NewPage
from tests.integration.signaling.house import PUBLIC_URL, Deployment, Node
from tests.integration.signaling.page import Page, new_secret
from tests.integration.signaling.raw import BINARY, CLOSE, PING, PONG, TEXT, Raw
from waiting_room.tokens import TokenType

HOST, CLIENT = TokenType.HOST, TokenType.CLIENT


def hello(page: Page) -> dict[str, Any]:
    return {
        "type": "hello",
        "token": page.token,
        "secret": page.secret,
        "instance": page.instance,
        "name": page.name,
    }


async def joined(node: Node, page: Page) -> Raw:
    raw = await Raw.websocket(node)
    raw.text(hello(page))
    assert (await raw.message())["type"] == "welcome"
    return raw


# --- the handshake ---


@pytest.mark.parametrize("origin", [None, "http://evil.test", "null", PUBLIC_URL + ":8080"])
async def test_pages_of_other_origins_may_not_connect(node: Node, origin: str | None) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.upgrade(Origin=origin)
        assert (answer.status, answer.json["code"]) == (403, "origin_refused")
        assert await raw.closed() == b""


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Protocol": None}, 400),
        ({"Sec_WebSocket_Protocol": "konsil.v2"}, 400),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": "too short"}, 400),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Upgrade": None, "Connection": None}, 426),
        ({"Connection": "keep-alive"}, 400),
    ],
)
async def test_a_handshake_that_is_none(
    node: Node, changes: dict[str, str | None], status: int
) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.upgrade(**changes)
        assert (answer.status, answer.json["code"]) == (status, "bad_request")


async def test_frames_that_come_with_the_handshake_are_not_lost(node: Node, page: NewPage) -> None:
    async with await Raw.connect(node) as raw:
        early = encode_masked(TEXT, json.dumps(hello(page())).encode(), b"mask")
        raw.write(
            b"GET /ws HTTP/1.1\r\nHost: konsil.test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost\r\n"
            b"Sec-WebSocket-Protocol: konsil.v1\r\n\r\n" + early
        )
        answer = await raw.answer()
        # RFC 6455 section 1.3
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert "sec-websocket-extensions" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await raw.message())["type"] == "welcome"


async def test_few_silent_sockets_for_each_address(node: Node) -> None:
    opened = [await Raw.websocket(node) for _ in range(AWAITING_PER_ADDRESS)]
    try:
        async with await Raw.connect(node) as one_more:
            answer = await one_more.upgrade()
            assert (answer.status, answer.json["code"]) == (429, "slow_down")
        gone = opened.pop()
        gone.writer.transport.abort()
        await until(lambda: len(node.server.hub.sockets) == AWAITING_PER_ADDRESS - 1)
        async with await Raw.websocket(node):
            pass
    finally:
        for raw in opened:
            raw.writer.transport.abort()


# --- the first message ---


async def test_no_hello_within_five_seconds(node: Node, deployment: Deployment) -> None:
    async with await Raw.websocket(node) as raw:
        deployment.clock.advance(4.5)
        node.tick()
        assert len(node.server.hub.sockets) == 1
        deployment.clock.advance(1.5)
        node.tick()
        assert await raw.close_code() == (4401, "hello_expected")


@pytest.mark.parametrize(
    "first", [{"type": "ping"}, {"type": "ack", "seq": 1}, {"type": "leave", "id": 1}]
)
async def test_something_else_first(node: Node, first: dict[str, Any]) -> None:
    async with await Raw.websocket(node) as raw:
        raw.text(first)
        assert await raw.close_code() == (4401, "hello_expected")
        assert raw.texts[-1]["code"] == "hello_expected"


# --- frames ---

NESTED = b'{"type":' + b"[" * 30_000 + b"]" * 30_000 + b"}"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02hi", 1002),  # unmasked
        (b"\xc1\x82mask\x00\x00", 1002),  # a reserved bit
        (b"\x83\x80mask", 1002),  # a reserved opcode
        (b"\x80\x80mask", 1002),  # a continuation of nothing
        (b"\x01\x80mask\x81\x80mask", 1002),  # a message inside a message
        (b"\x09\x80mask", 1002),  # a ping in fragments
        (encode_masked(CLOSE, b"\x03", b"mask"), 1002),
        (encode_masked(CLOSE, b"\x03\xed", b"mask"), 1002),  # 1005
        (encode_masked(CLOSE, b"\x00\x00", b"mask"), 1002),
        (encode_masked(TEXT, b"\xff\xfe", b"mask"), 1007),
        (encode_masked(BINARY, b"x", b"mask"), 1003),
        (b"\x81\xff" + (2**62).to_bytes(8) + b"mask", 1009),
        (b"\x81\xff" + (65_537).to_bytes(8) + b"mask", 1009),
    ],
)
async def test_broken_framing_closes(node: Node, page: NewPage, data: bytes, code: int) -> None:
    async with await joined(node, page()) as raw:
        raw.write(data)
        assert (await raw.close_code())[0] == code
        assert await raw.closed() == b""


async def test_a_huge_message_leaves_no_trace(node: Node, page: NewPage) -> None:
    async with await joined(node, page()) as raw:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        raw.frame(TEXT, b"x" * 65_536)
        assert (await raw.message())["code"] == "bad_message"
        raw.write(encode_masked(TEXT, b"x" * 5_000_000, b"mask"))
        assert (await raw.close_code())[0] == 1009
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


async def test_a_ping_is_answered_and_a_close_too(node: Node, page: NewPage) -> None:
    async with await joined(node, page()) as raw:
        raw.frame(PING, b"are you there")
        assert await raw.receive() == (PONG, b"are you there")
        raw.frame(CLOSE, b"\x03\xe8bye")
        assert await raw.close_code() == (1000, "")
        assert await raw.closed() == b""
    await until(lambda: not node.server.hub.sockets)


async def test_a_silent_peer_is_asked_and_then_given_up(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    async with await joined(node, page()) as raw:
        deployment.clock.advance(21)
        node.tick()
        assert await raw.receive() == (PING, b"")
        raw.frame(PONG, b"")
        await asyncio.sleep(0.05)
        deployment.clock.advance(21)
        node.tick()
        assert await raw.receive() == (PING, b"")
        deployment.clock.advance(21)
        node.tick()
        assert (await raw.close_code())[0] == 1001


async def test_a_peer_that_never_answers_a_close_is_cut(
    node: Node, page: NewPage, deployment: Deployment
) -> None:
    async with await joined(node, page()) as raw:
        [socket] = node.server.hub.sockets
        socket.close(1000, "")
        assert (await raw.close_code())[0] == 1000
        deployment.clock.advance(CLOSE_TIMEOUT_S + 1)
        node.tick()
        await until(lambda: not node.server.hub.sockets)


# --- messages ---

BAD_MESSAGES = [
    NESTED,
    b"",
    b"{",
    b"null",
    b'{"type":"admit","id":' + b"9" * 30 + b',"participant":"' + b"A" * 22 + b'"}',
    b'{"type":"lock","id":1,"id":1,"locked":true}',
    b'{"type":"lock","id":1,"locked":true,"extra":1}',
    b'{"type":"lock","locked":true}',
    b'{"type":"lock","id":1,"locked":"yes"}',
    b'{"type":"no_such_type","id":1}',
    b'{"type":"signal","id":1,"to":"' + b"A" * 22 + b'","data":"\\ud800"}',
    b'{"type":"signal","id":1,"to":"' + b"A" * 22 + b'","data":""}',
    b'{"type":"hello","token":"x","secret":"' + b"A" * 22 + b'","instance":"' + b"A" * 8 + b'"}',
]


@pytest.mark.parametrize("message", BAD_MESSAGES)
async def test_two_bad_messages_are_survived_and_the_third_closes(
    node: Node, page: NewPage, message: bytes
) -> None:
    async with await joined(node, page()) as raw:
        for _ in range(2):
            raw.text(message)
            assert (await raw.message())["code"] == "bad_message"
        raw.text({"type": "ping"})
        assert (await raw.message())["type"] == "pong"
        for _ in range(3):
            raw.text(message)
        assert await raw.close_code() == (4400, "bad_message")
        assert [m["code"] for m in raw.texts] == ["bad_message"] * 3


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "lock", "id": 1}, "locked"),
        ({"type": "lock", "id": 1, "locked": True, "more": 1}, "more"),
        ({"type": "admit", "id": 1, "participant": "short"}, "participant"),
        ({"type": "teleport", "id": 1}, "type"),
        ({"type": "ack", "seq": -1}, "seq"),
    ],
)
async def test_a_bad_message_names_the_field(
    node: Node, page: NewPage, message: dict[str, Any], field: str
) -> None:
    async with await joined(node, page()) as raw:
        raw.text(message)
        answer = await raw.message()
        assert (answer["code"], answer["field"]) == ("bad_message", field)


@pytest.mark.parametrize("name", ["a\u0000b", "\u202eevil", " \u200b ", "x" * 61, "\ue000"])
async def test_a_name_that_cannot_be_shown(node: Node, page: NewPage, name: str) -> None:
    client = page(name=name)
    async with await Raw.websocket(node) as raw:
        raw.text(hello(client))
        assert (await raw.message())["code"] == "bad_name"
        raw.text({**hello(client), "name": "Ada"})
        assert (await raw.message())["type"] == "welcome"


# --- too much ---


async def test_a_flood_is_slowed_and_then_closed_and_nobody_else_notices(
    node: Node, page: NewPage
) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    await client.open(node)
    flooder = page(CLIENT, name="Mallory")
    async with await joined(node, flooder) as raw:
        for number in range(MESSAGE_BURST + 110):
            raw.text({"type": "lock", "id": number, "locked": True})
        assert await raw.close_code() == (4429, "slow_down")
        codes = [m["code"] for m in raw.texts if m["type"] == "error"]
        assert codes.count("slow_down") >= 100
        assert set(codes) <= {"slow_down", "not_allowed"}
    assert (await host.command("admit", participant=client.id))["type"] == "ok"
    await client.status("admitted")
    assert not any(m["type"] == "error" for m in host.messages + client.messages)


async def test_a_reader_that_stops_reading_is_cut_off(node: Node, page: NewPage) -> None:
    host, client = page(HOST), page(CLIENT)
    await host.open(node)
    async with await joined(node, client) as raw:
        await host.do("admit", participant=client.id)
        raw.writer.transport.pause_reading()
        [slow] = [s for s in node.server.hub.sockets if s.member and s.member.id == client.id]
        number = 1000
        while slow.is_open:
            number += 1
            await host.signal(client, "x" * 60_000, number=number)
            if number % 8 == 0:
                slow.member.mailbox.ack(slow.member.mailbox.seq)  # type: ignore[union-attr]
            await asyncio.sleep(0.03)
            assert number < 1400, "never cut off"
        transport = slow._transport
        assert transport is not None
        assert transport.get_write_buffer_size() < MAX_UNSENT + 100_000
        raw.writer.transport.resume_reading()
        assert await raw.close_code() == (4408, "slow_reader")
        assert node.metric("konsil_slow_readers_total") == 1


async def test_random_bytes_never_hurt(node: Node, page: NewPage) -> None:
    for size in (1, 10, 1000, 100_000):
        async with await joined(node, page(secret=new_secret())) as raw:
            raw.write(os.urandom(size))
            raw.writer.write_eof()
            await raw.closed()
    assert (await page(HOST).open(node))["role"] == "host"
